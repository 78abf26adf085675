"""Split texts into words, and number the words."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor, nn

from models.errors import VocabularyError

_FORMAT = "css-bench vocabulary 1"
_MARK = "\u0300"
_WORD = re.compile(rf"(?:[^\W_]{_MARK}*)+(?:['-](?:[^\W_]{_MARK}*)+)*")
"""Letters and digits, each with its marks. `_outline` writes every mark as this one: `re` knows no class of marks."""

_ZERO_WIDTH_SPACE = "\u200b"


def words_of(text: str) -> list[str]:
    """The words of a text, lowercase and composed (NFC), without punctuation.

    A hyphen or apostrophe inside a word stays. Accents and vowel signs belong to their letter, and invisible format
    characters, such as joiners and soft hyphens, are left out, so that the same word is always the same string.

    >>> words_of("Make top-left circle large!")
    ['make', 'top-left', 'circle', 'large']
    """
    text = text.lower()
    if not text.isascii():
        text = unicodedata.normalize("NFC", "".join(filter(_is_visible, text)))
    return [text[slice(*word.span())] for word in _WORD.finditer(_outline(text))]


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) != "Cf" or character == _ZERO_WIDTH_SPACE


def _outline(text: str) -> str:
    """The same text with one and the same mark for every combining mark."""
    if text.isascii():
        return text
    return "".join(_MARK if unicodedata.category(character).startswith("M") else character for character in text)


@dataclass(frozen=True)
class Vocabulary:
    """The number of each word. It is stored in checkpoints, so that using a model needs no dataset.

    Number 0 is padding, 1 any word that is not in the vocabulary, and `words[i]` is number i + 2. The words are sorted,
    so the same texts give the same vocabulary in any order.

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
    def from_state(cls, state: object) -> Self:
        """Read what `to_state` gave. Raises VocabularyError if it is anything else."""
        if not isinstance(state, dict) or state.get("format") != _FORMAT:
            raise VocabularyError(f'vocabulary: expected a JSON object with "format": "{_FORMAT}"')
        words = state.get("words")
        if not isinstance(words, list):
            raise VocabularyError('vocabulary: expected a list of words under "words"')
        return cls(tuple(words))

    def to_state(self) -> dict[str, Any]:
        """The vocabulary as values that JSON can hold."""
        return {"format": _FORMAT, "words": list(self.words)}

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
