"""The vocabulary and the word LSTM, and what every registered text encoder has to do."""

import json
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from models import text_encoders
from models.errors import RegistryError, VocabularyError, WeightsError
from models.recurrence import lstm_states
from models.text_encoders import TextSettings
from models.text_encoders.vocabulary import Vocabulary, words_of
from models.text_encoders.word_lstm import WordLSTM

TEXTS = ["make top-left small circle red", "remove cube", "add large red cube to bottom-right"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("make top-left circle large", ["make", "top-left", "circle", "large"]),
        ("  Replace: 'Black', with WHITE!  ", ["replace", "black", "with", "white"]),
        ("women's v-neck -- t-shirt (2nd)", ["women's", "v-neck", "t-shirt", "2nd"]),
        ("under_score", ["under", "score"]),
        ("Größe été", ["größe", "été"]),
        ("gro\u0308ße e\u0301te\u0301", ["größe", "été"]),  # decomposed, as macOS writes file names
        ("हिन्दी में बड़ा", ["हिन्दी", "में", "बड़ा"]),  # vowel signs and viramas are marks, no letters
        ("தமிழ், ਪੰਜਾਬੀ!", ["தமிழ்", "ਪੰਜਾਬੀ"]),
        ("mi\u200cravam", ["miravam"]),  # a joiner is invisible
        ("cir\u00adcle \ufeffred\u202c", ["circle", "red"]),
        ("one\u200btwo", ["one", "two"]),  # this one parts words
        ("❤\ufe0f \u0301 \u0301a x-\u0301y", ["a", "x", "y"]),  # marks of nothing
        ("don\u0301't", ["doń't"]),
        ("İstanbul", ["i̇stanbul"]),
        ("...", []),
        ("", []),
    ],
)
def test_words_of(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_the_vocabulary_is_sorted_whatever_the_order() -> None:
    vocabulary = Vocabulary.from_texts(TEXTS)
    assert vocabulary == Vocabulary.from_texts(reversed(TEXTS * 2))
    assert vocabulary.words == (
        "add", "bottom-right", "circle", "cube", "large", "make", "red", "remove", "small", "to", "top-left",
    )  # fmt: skip
    assert len(vocabulary) == 13


def test_encoding() -> None:
    vocabulary = Vocabulary.from_texts(["a b c"])
    ids, mask = vocabulary.encode(["b", "c unheard-of a", "", "?!"])
    assert ids.tolist() == [[3, 0, 0], [4, 1, 2], [1, 0, 0], [1, 0, 0]]
    assert mask.tolist() == [[True, False, False], [True, True, True], [True, False, False], [True, False, False]]
    with pytest.raises(ValueError, match="no texts to encode"):
        vocabulary.encode([])


@given(st.lists(st.text(), min_size=1, max_size=5), st.text())
def test_any_texts_round_trip(texts: list[str], other: str) -> None:
    vocabulary = Vocabulary.from_texts(texts)
    loaded = Vocabulary.from_state(json.loads(json.dumps(vocabulary.to_state())))
    assert loaded == vocabulary
    ids, mask = loaded.encode([*texts, other])
    for text, row, valid in zip([*texts, other], ids, mask, strict=True):
        decoded = [loaded.words[number - 2] if number > 1 else "?" for number in row[valid].tolist()]
        assert decoded == ([word if word in loaded.words else "?" for word in words_of(text)] or ["?"])


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ("null", "expected a JSON object with"),
        ("[]", "expected a JSON object with"),
        ('{"words": ["a"]}', "expected a JSON object with"),
        ('{"format": "css-bench vocabulary 2", "words": []}', "expected a JSON object with"),
        ('{"format": "css-bench vocabulary 1"}', "expected a list of words"),
        ('{"format": "css-bench vocabulary 1", "words": "abc"}', "expected a list of words"),
        ('{"format": "css-bench vocabulary 1", "words": ["b", "a"]}', "'a' follows 'b', expected sorted words"),
        ('{"format": "css-bench vocabulary 1", "words": ["a", "a"]}', "'a' follows 'a', expected sorted words"),
        ('{"format": "css-bench vocabulary 1", "words": [1]}', "1 is not a single lowercase word"),
        ('{"format": "css-bench vocabulary 1", "words": ["A"]}', "'A' is not a single lowercase word"),
        ('{"format": "css-bench vocabulary 1", "words": ["a b"]}', "'a b' is not a single lowercase word"),
    ],
)
def test_a_bad_vocabulary_is_refused(stored: str, message: str) -> None:
    with pytest.raises(VocabularyError, match=message) as caught:
        Vocabulary.from_state(json.loads(stored))
    assert "\n" not in str(caught.value)


def test_the_stored_vocabulary_is_readable() -> None:
    assert Vocabulary(("été",)).to_state() == {"format": "css-bench vocabulary 1", "words": ["été"]}


def encoder() -> tuple[Vocabulary, WordLSTM]:
    torch.manual_seed(0)
    vocabulary = Vocabulary.from_texts(TEXTS)
    return vocabulary, WordLSTM(vocabulary.to_state(), TextSettings(text_width=6, state_width=10))


def test_the_word_lstm_equals_a_packed_one() -> None:
    vocabulary, model = encoder()
    model.eval()
    ids, mask = vocabulary.encode(TEXTS)
    text = model(ids, mask)
    embedded = model.embedding.weight[ids]
    packed = nn.utils.rnn.pack_padded_sequence(embedded, mask.sum(dim=1), batch_first=True, enforce_sorted=False)
    _, (last_state, _) = model.lstm(packed)
    linear = model.output_layer[1]
    torch.testing.assert_close(text.pooled, last_state[0] @ linear.weight.T + linear.bias)
    assert torch.equal(text.tokens, embedded)
    assert torch.equal(text.mask, mask)


def test_a_text_is_encoded_alike_beside_any_other() -> None:
    vocabulary, model = encoder()
    model.eval()
    together = model(*vocabulary.encode(TEXTS))
    for row, one_text in enumerate(TEXTS):
        alone = model(*vocabulary.encode([one_text]))
        torch.testing.assert_close(together.pooled[row], alone.pooled[0])
        torch.testing.assert_close(together.tokens[row][together.mask[row]], alone.tokens[0])


def test_gradients_reach_the_words_and_no_padding() -> None:
    vocabulary, model = encoder()
    model(*vocabulary.encode(["remove cube", "add large red cube"])).pooled.square().sum().backward()
    used = {
        vocabulary.words[row - 2] for row in model.embedding.weight.grad.abs().sum(dim=1).nonzero().flatten().tolist()
    }
    assert used == {"remove", "cube", "add", "large", "red"}
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_dropout_acts_in_training_alone() -> None:
    vocabulary, model = encoder()
    encoded = vocabulary.encode(TEXTS * 20)
    assert not torch.equal(model(*encoded).pooled, model(*encoded).pooled)
    model.eval()
    assert torch.equal(model(*encoded).pooled, model(*encoded).pooled)


def test_the_word_lstm_reads_nothing_back_to_the_host() -> None:
    """On the meta device there is no data: a tensor made elsewhere, or a value read by the host, is an error."""
    vocabulary, model = encoder()
    ids, mask = vocabulary.encode(TEXTS)
    assert model.to("meta")(ids.to("meta"), mask.to("meta")).pooled.device.type == "meta"


def test_the_papers_widths_are_the_default() -> None:
    model = WordLSTM(Vocabulary(("a",)).to_state(), TextSettings())
    assert (model.text_width, model.lstm.hidden_size, model.embedding.embedding_dim) == (512, 512, 512)
    assert model.output_layer[0].p == 0.1


def test_the_lstm_keeps_the_precision_of_its_weights_under_autocast() -> None:
    vocabulary, model = encoder()
    words = model.embedding(vocabulary.encode(TEXTS)[0])
    with torch.autocast("cpu", torch.bfloat16):
        states = lstm_states(model.lstm, words.bfloat16())
        assert model.output_layer[1](states).dtype == torch.bfloat16
    assert states.dtype == torch.float32
    torch.testing.assert_close(states, model.lstm(words.bfloat16().float())[0])
    assert lstm_states(model.double().lstm, words).dtype == torch.float64


def test_hostile_texts_are_read_in_linear_time() -> None:
    for text in ("a" + "\u0301" * 200_000 + "!", "a-" * 100_000, "a'" * 100_000 + "\u0301", "-" * 200_000):
        assert all(words_of(word) == [word] for word in set(words_of(text)))


@given(st.text(alphabet="aäÅİßςΣ\u0301\u0323\u0345\u093e\u094d\u200b\u200c\u00ad'-_ \ufe0f\u1100\u1161"))
def test_words_are_words_and_equal_however_they_are_composed(text: str) -> None:
    words = words_of(text)
    assert [words_of(word) for word in words] == [[word] for word in words]
    assert words_of(unicodedata.normalize("NFD", text)) == words
    assert words_of(unicodedata.normalize("NFC", text)) == words


def settings_of(name: str, folder: Path) -> TextSettings:
    weights = ""
    if name == "sentence_file":
        weights = str(folder / "sentences.npz")
        np.savez(weights, texts=np.array(TEXTS), vectors=np.random.default_rng(0).normal(size=(len(TEXTS), 7)))
    return TextSettings(text_width=6, state_width=10, weights=weights)


@pytest.mark.parametrize("name", text_encoders.names())
def test_every_encoder_is_made_again_of_its_state_alone(name: str, tmp_path: Path) -> None:
    """As a checkpoint does: without the training texts, and without the file that it was made with."""
    kind, settings = text_encoders.get(name), settings_of(name, tmp_path)
    kind.require(settings)
    state = kind.tokenizer_of(TEXTS, settings)
    assert kind.tokenizer_of(TEXTS[::-1], settings) == state
    encoder = kind(state, settings).eval()
    for file in tmp_path.iterdir():
        file.unlink()
    again = kind(json.loads(json.dumps(encoder.tokenizer)), replace(settings, weights="")).eval()
    again.load_state_dict(encoder.state_dict())
    for ours, theirs in zip(encoder(*encoder.tokenize(TEXTS)), again(*again.tokenize(TEXTS)), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", text_encoders.names())
def test_every_encoder_reads_a_text_by_itself_and_tells_texts_apart(name: str, tmp_path: Path) -> None:
    kind, settings = text_encoders.get(name), settings_of(name, tmp_path)
    encoder = kind(kind.tokenizer_of(TEXTS, settings), settings).eval()
    together = encoder(*encoder.tokenize(TEXTS))
    assert together.pooled.shape == (3, 6)
    assert together.tokens.shape[2] == encoder.text_width == 6
    assert together.mask.any(dim=1).all()
    assert torch.equal(together.mask, together.mask.sort(dim=1, descending=True).values)
    for row, text in enumerate(TEXTS):
        alone = encoder(*encoder.tokenize([text]))
        torch.testing.assert_close(together.pooled[row], alone.pooled[0])
        torch.testing.assert_close(together.tokens[row][together.mask[row]], alone.tokens[0])
    assert (together.pooled[0] - together.pooled[1]).abs().max() > 1e-3
    with pytest.raises(ValueError, match="no texts"):
        encoder.tokenize([])


@pytest.mark.parametrize("name", text_encoders.names())
@pytest.mark.parametrize("state", [None, [], {}, {"format": "css-bench vocabulary 0"}, {"format": None, "words": []}])
def test_every_encoder_refuses_what_is_not_its_state(name: str, state: object) -> None:
    with pytest.raises(VocabularyError):
        text_encoders.get(name)(state, TextSettings())  # type: ignore[arg-type]


def test_an_encoder_without_a_file_refuses_one() -> None:
    with pytest.raises(WeightsError, match=r"x\.npz: this text encoder reads no file"):
        WordLSTM.require(TextSettings(weights="x.npz"))


def test_an_unknown_encoder_offers_the_nearest() -> None:
    with pytest.raises(RegistryError, match="unknown text encoder 'word-lstn': did you mean word_lstm"):
        text_encoders.get("word-lstn")
