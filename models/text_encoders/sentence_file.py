"""Frozen sentence embeddings, read from a file that any other model may have written."""

import json
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from models.base import TextFeatures
from models.errors import VocabularyError, WeightsError
from models.text_encoders.base import TextEncoder, TextSettings, TokenizerState, register

_FORMAT = "css-bench sentences 1"
_WIDEST = 65_536


class _Sentences(NamedTuple):
    """Texts as `_key` writes them, and their vectors (N, D), float32."""

    texts: list[str]
    vectors: Tensor


@register("sentence_file")
class SentenceFile(TextEncoder):
    """A vector for each whole text, looked up in a table that is not trained; a dropout and a linear layer are.

    `settings.weights` names the file: .npz with `texts` (N strings) and `vectors` (N, D), or .safetensors with a tensor
    `vectors` (N, D) and the texts as a JSON list under `texts` in its metadata. It has to hold every text, those of the
    test split included. A checkpoint keeps the whole table. `tokens` is the pooled feature as the only word.

    Raises VocabularyError if `tokenizer` is not the state of such a table.
    """

    def __init__(self, tokenizer: TokenizerState, settings: TextSettings) -> None:
        super().__init__(tokenizer, settings)
        texts, width = _from_state(tokenizer)
        self._rows = {text: row for row, text in enumerate(texts)}
        vectors = _read(settings).vectors if settings.weights else torch.zeros(len(texts), width)
        self.register_buffer("vectors", vectors)
        self.output_layer = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(width, settings.text_width))

    @classmethod
    def require(cls, settings: TextSettings) -> None:
        _read(settings)

    @classmethod
    def tokenizer_of(cls, texts: Sequence[str], settings: TextSettings) -> TokenizerState:
        sentences = _read(settings)
        known = set(sentences.texts)
        for text in texts:
            if _key(text) not in known:
                raise VocabularyError(f"{settings.weights}: has no vector for the text {text!r}; add it to the file")
        return {"format": _FORMAT, "width": sentences.vectors.shape[1], "texts": sentences.texts}

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        if not texts:
            raise ValueError("no texts to encode: expected at least one")
        for text in texts:
            if _key(text) not in self._rows:
                raise VocabularyError(
                    f"the model has no vector for the text {text!r}: it knows only the {len(self._rows):,} texts of "
                    "the file of sentence embeddings that it was trained with"
                )
        ids = torch.tensor([[self._rows[_key(text)]] for text in texts])
        return ids, torch.ones_like(ids, dtype=torch.bool)

    def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        vectors = self.get_buffer("vectors").index_select(0, ids[:, 0])
        pooled: Tensor = self.output_layer(vectors)
        return TextFeatures(pooled, pooled[:, None], mask)


def _key(text: str) -> str:
    """A text as it is looked up: composed (NFC), with single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _from_state(state: object) -> tuple[list[str], int]:
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise VocabularyError(f'sentences: expected a JSON object with "format": "{_FORMAT}"')
    texts, width = state.get("texts"), state.get("width")
    if not isinstance(texts, list) or not all(isinstance(text, str) and text == _key(text) for text in texts):
        raise VocabularyError('sentences: expected a list of texts with single spaces under "texts"')
    if not texts or len(set(texts)) < len(texts):
        raise VocabularyError("sentences: expected at least one text, and each once")
    if not isinstance(width, int) or not 1 <= width <= _WIDEST:
        raise VocabularyError(f"sentences: the width is {width!r}, expected a number from 1 to {_WIDEST}")
    return texts, width


def _read(settings: TextSettings) -> _Sentences:
    """The texts and vectors of a file. Raises WeightsError, naming the file, if it cannot be used."""
    if not settings.weights:
        raise WeightsError("sentence_file needs a file of sentence embeddings: set model.text_weights=FILE")
    path = Path(settings.weights)
    try:
        raw, vectors = _of_safetensors(path) if path.suffix == ".safetensors" else _of_npz(path)
    except (OSError, SafetensorError, zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError) as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        raise WeightsError(f"{path}: cannot be read as sentence embeddings ({why})") from None
    if vectors.ndim != 2 or not 1 <= vectors.shape[1] <= _WIDEST or not len(raw) == len(vectors) > 0:
        raise WeightsError(f"{path}: has {len(raw)} texts and vectors {tuple(vectors.shape)}; expected (texts, width)")
    texts = [_key(text) for text in raw]
    if twice := [text for text, count in Counter(texts).items() if count > 1]:
        raise WeightsError(f"{path}: holds the text {twice[0]!r} more than once; expected each once")
    broken = (~vectors.isfinite().all(dim=1)).nonzero()
    if len(broken):
        raise WeightsError(f"{path}: the vector of {texts[int(broken[0])]!r} is not finite")
    return _Sentences(texts, vectors)


def _of_npz(path: Path) -> tuple[list[str], Tensor]:
    with path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it is not an .npz file")
        texts, vectors = archive["texts"], archive["vectors"]
    if texts.ndim != 1 or texts.dtype.kind != "U":
        raise ValueError(f"texts are {texts.dtype} {texts.shape}, expected a list of strings")
    return texts.tolist(), torch.from_numpy(vectors.astype(np.float32))


def _of_safetensors(path: Path) -> tuple[list[str], Tensor]:
    with safe_open(path, framework="pt") as file:
        texts = json.loads((file.metadata() or {})["texts"])
        vectors: Tensor = file.get_tensor("vectors")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("texts in its metadata are not a JSON list of strings")
    return texts, vectors.float()
