"""Sentence embeddings from a file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from models.errors import ModelError, VocabularyError, WeightsError
from models.text_encoders import TextSettings
from models.text_encoders.sentence_file import SentenceFile

TEXTS = ["make it red", "remove  cube", "größer"]
VECTORS = np.arange(12, dtype=np.float32).reshape(3, 4)


def write(path: Path, texts: Any = TEXTS, vectors: Any = VECTORS) -> TextSettings:
    if path.suffix == ".npz":
        np.savez(path, texts=np.array(texts), vectors=vectors)
    else:
        save_file({"vectors": vectors}, path, {"texts": json.dumps(texts)})
    return TextSettings(text_width=5, weights=str(path))


@pytest.mark.parametrize("name", ["s.npz", "s.safetensors"])
def test_features_are_a_linear_layer_on_the_files_vectors(name: str, tmp_path: Path) -> None:
    settings = write(tmp_path / name)
    encoder = SentenceFile(SentenceFile.tokenizer_of(["remove cube"], settings), settings).eval()
    text = encoder(*encoder.tokenize(["gro\u0308ßer", " make it\nred"]))
    linear = encoder.output_layer[1]
    expected = torch.from_numpy(VECTORS[[2, 0]]) @ linear.weight.T + linear.bias
    torch.testing.assert_close(text.pooled, expected)
    torch.testing.assert_close(text.tokens, expected[:, None])


def test_the_vectors_are_kept_and_not_trained(tmp_path: Path) -> None:
    settings = write(tmp_path / "s.npz")
    encoder = SentenceFile(SentenceFile.tokenizer_of(TEXTS, settings), settings)
    assert {name for name, _ in encoder.named_parameters()} == {"output_layer.1.weight", "output_layer.1.bias"}
    assert torch.equal(encoder.state_dict()["vectors"], torch.from_numpy(VECTORS))


def test_a_text_without_a_vector_is_named(tmp_path: Path) -> None:
    settings = write(tmp_path / "s.npz")
    with pytest.raises(VocabularyError, match=r"s\.npz: has no vector for the text 'make it Red'"):
        SentenceFile.tokenizer_of(["make it red", "make it Red"], settings)
    encoder = SentenceFile(SentenceFile.tokenizer_of(TEXTS, settings), settings)
    with pytest.raises(VocabularyError, match=r"no vector for the text 'add'.* only the 3 texts"):
        encoder.tokenize(["make it red", "add"])


@pytest.mark.parametrize("name", ["s.npz", "s.safetensors"])
@pytest.mark.parametrize(
    ("texts", "vectors", "message"),
    [
        (TEXTS[:2], VECTORS, r"has 2 texts and vectors \(3, 4\)"),
        (TEXTS, VECTORS.ravel(), r"has 3 texts and vectors \(12,\)"),
        ([], VECTORS[:0], "has|texts are"),
        (["a", "b", " a "], VECTORS, "holds the text 'a' more than once"),
        (TEXTS, np.where(VECTORS == 5, np.nan, VECTORS), "the vector of 'remove cube' is not finite"),
        ([1, 2, 3], VECTORS, "texts"),
        ("abc", VECTORS, "texts"),
    ],
)
def test_files_that_do_not_fit_are_named(name: str, texts: Any, vectors: Any, message: str, tmp_path: Path) -> None:
    settings = write(tmp_path / name, texts, vectors)
    with pytest.raises(WeightsError, match=rf"{name}: .*({message})") as caught:
        SentenceFile.require(settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["s.npz", "s.safetensors", "s.txt"])
@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut short", b"\x80\x04.", b"\x00" * 64])
def test_damaged_files_are_named(name: str, content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=rf"{name}: cannot be read as sentence embeddings") as caught:
        SentenceFile.require(TextSettings(weights=str(tmp_path / name)))
    assert "\n" not in str(caught.value)


def test_without_a_file_it_says_which_key_names_one() -> None:
    with pytest.raises(WeightsError, match=r"set model\.text_weights=FILE"):
        SentenceFile.require(TextSettings())


@pytest.mark.parametrize(
    "change",
    [{"texts": "ab"}, {"texts": []}, {"texts": ["a", "a"]}, {"texts": [1]}, {"texts": [" a"]}, {"width": 0},
     {"width": 10**12}, {"width": "4"}, {"format": "css-bench vocabulary 1"}],
)  # fmt: skip
def test_a_bad_state_is_refused(change: dict[str, Any]) -> None:
    state = {"format": "css-bench sentences 1", "texts": ["a", "b"], "width": 4}
    SentenceFile(state, TextSettings())
    with pytest.raises(ModelError):
        SentenceFile(state | change, TextSettings())
