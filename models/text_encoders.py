"""Texts -> word numbers -> TextFeatures: the vocabulary and the word LSTM that all composers share."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor, nn

from models.base import TextFeatures
from models.recurrence import lstm_states

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_FORMAT = "css-bench vocabulary 1"


class VocabularyError(ValueError):
    """Text that was to be a vocabulary is none: one line that says what is wrong with it."""


def words_of(text: str) -> list[str]:
    """The words of a text, lowercase, without punctuation; a hyphen or apostrophe inside a word stays.

    >>> words_of("Make top-left circle large!")
    ['make', 'top-left', 'circle', 'large']
    """
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class Vocabulary:
    """Which number stands for which word. It belongs to the checkpoint: using a model never needs the dataset.

    Number 0 is padding, 1 any word that is not in the vocabulary, and `words[i]` is number i + 2. The words are sorted,
    so the same texts give the same vocabulary in whatever order they come.

    Raises VocabularyError if words repeat, are not sorted, or are not words as `words_of` makes them.
    """

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        for word in self.words:
            if not isinstance(word, str) or words_of(word) != [word]:
                raise VocabularyError(f"vocabulary: {word!r} is not a single lowercase word")
        for word, following in zip(self.words, self.words[1:], strict=False):
            if word >= following:
                raise VocabularyError(f"vocabulary: {following!r} follows {word!r}, expected sorted words, each once")

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> Self:
        """The vocabulary of all words in the texts."""
        return cls(tuple(sorted({word for text in texts for word in words_of(text)})))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote. Raises VocabularyError if it is anything else."""
        try:
            stored = json.loads(text)
        except json.JSONDecodeError as error:
            raise VocabularyError(f"vocabulary: no JSON ({error})") from error
        if not isinstance(stored, dict) or stored.get("format") != _FORMAT:
            raise VocabularyError(f'vocabulary: expected a JSON object with "format": "{_FORMAT}"')
        words = stored.get("words")
        if not isinstance(words, list):
            raise VocabularyError('vocabulary: expected a list of words under "words"')
        return cls(tuple(words))

    def to_json(self) -> str:
        """The vocabulary as JSON text."""
        return json.dumps({"format": _FORMAT, "words": self.words}, ensure_ascii=False)

    def __len__(self) -> int:
        """How many numbers there are, padding and unknown included."""
        return len(self.words) + 2

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, start=2)}

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """B texts -> word numbers (B, L), int64, and mask (B, L), bool, on the CPU; L is the longest text's length.

        A text without any word counts as one unknown word, so that each row has something to read.
        Raises ValueError if there are no texts.
        """
        if not texts:
            raise ValueError("no texts to encode: expected at least one")
        numbers = self._numbers
        rows = [torch.tensor([numbers.get(word, 1) for word in words_of(text)] or [1]) for text in texts]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=0)
        return ids, ids != 0


class WordLSTM(nn.Module):
    """Word embeddings and a one-layer LSTM: google/tirg's text encoder.

    `pooled` is a dropout and a linear layer on the LSTM's state after a text's last word. `tokens` are the words'
    embeddings as they enter the LSTM, for composers that read the words themselves, so they are as wide as `pooled`.

    The LSTM runs over the padded batch and the state after each row's last word is picked from it. A state depends on
    earlier inputs alone, so this equals a packed sequence, which would need the lengths on the host: on a GPU, a wait
    in every step.

    `size` is the vocabulary's `len`. The paper has widths of 512 and a dropout of 0.1.
    """

    def __init__(self, size: int, *, text_width: int = 512, state_width: int = 512, dropout: float = 0.1) -> None:
        super().__init__()
        self.text_width = text_width
        self.embedding = nn.Embedding(size, text_width, padding_idx=0)
        self.lstm = nn.LSTM(text_width, state_width, batch_first=True)
        self.output_layer = nn.Sequential(nn.Dropout(dropout), nn.Linear(state_width, text_width))

    def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """ids (B, L), int64, and mask (B, L), bool, as `Vocabulary.encode` makes them -> features T wide."""
        tokens: Tensor = self.embedding(ids)
        states = lstm_states(self.lstm, tokens)
        rows = torch.arange(len(ids), device=ids.device)
        pooled: Tensor = self.output_layer(states[rows, mask.sum(dim=1) - 1])
        return TextFeatures(pooled, tokens, mask)
