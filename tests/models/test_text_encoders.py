"""The vocabulary and the word LSTM."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from models.recurrence import lstm_states
from models.text_encoders import Vocabulary, VocabularyError, WordLSTM, words_of

TEXTS = ["make top-left small circle red", "remove cube", "add large red cube to bottom-right"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("make top-left circle large", ["make", "top-left", "circle", "large"]),
        ("  Replace: 'Black', with WHITE!  ", ["replace", "black", "with", "white"]),
        ("women's v-neck -- t-shirt (2nd)", ["women's", "v-neck", "t-shirt", "2nd"]),
        ("under_score", ["under", "score"]),
        ("Größe été", ["größe", "été"]),
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
    loaded = Vocabulary.from_json(vocabulary.to_json())
    assert loaded == vocabulary
    ids, mask = loaded.encode([*texts, other])
    for text, row, valid in zip([*texts, other], ids, mask, strict=True):
        decoded = [loaded.words[number - 2] if number > 1 else "?" for number in row[valid].tolist()]
        assert decoded == ([word if word in loaded.words else "?" for word in words_of(text)] or ["?"])


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
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
        Vocabulary.from_json(stored)
    assert "\n" not in str(caught.value)


def test_the_stored_vocabulary_is_readable() -> None:
    assert json.loads(Vocabulary(("été",)).to_json()) == {"format": "css-bench vocabulary 1", "words": ["été"]}
    assert "été" in Vocabulary(("été",)).to_json()


def encoder() -> tuple[Vocabulary, WordLSTM]:
    torch.manual_seed(0)
    vocabulary = Vocabulary.from_texts(TEXTS)
    return vocabulary, WordLSTM(len(vocabulary), text_width=6, state_width=10)


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
    model = WordLSTM(3)
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
