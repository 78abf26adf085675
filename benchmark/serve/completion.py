"""Complete a modification text word by word: by the grammar of CSS, or by the texts of a dataset."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.modification.program import types
from css_gen.scenes.modification.words import SHAPE_WORDS
from css_gen.scenes.selector import ANY_SHAPE, shape_word

_MOST_WORDS = 40


class Completion(NamedTuple):
    """How a text may go on.

    Attributes:
        keep: the part of the text that stays: "make top-left " of "make top-left re".
        words: that may follow it, in the order in which to show them.
        is_text: whether the whole text is one that can be asked.
    """

    keep: str
    words: tuple[str, ...]
    is_text: bool


class Language(Protocol):
    """Texts, as sequences of words in any case."""

    def next_words(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return the words that may follow these; none if no text begins with these."""
        ...

    def is_text(self, words: Sequence[str]) -> bool:
        """Return whether these words are a whole text."""
        ...


def complete(language: Language, text: str) -> Completion:
    """Return the words that complete a text: the rest of its last word, or the next word if that one is whole.

    >>> complete(CssGrammar("2d"), "make top-left re").words
    ('red', 'rectangle')
    >>> complete(CssGrammar("2d"), "remove object")
    Completion(keep='remove object ', words=(), is_text=True)
    """
    words = text.split()
    is_text = language.is_text(words)
    if words and not text[-1].isspace():
        last = words[-1].lower()
        begun = [word for word in language.next_words(words[:-1]) if word.lower().startswith(last)]
        if begun and [word.lower() for word in begun] != [last]:
            return Completion(_joined(words[:-1]), tuple(begun), is_text)
    return Completion(_joined(words), language.next_words(words), is_text)


@dataclass(frozen=True)
class CssGrammar:
    """The texts of CSS, as the `form` of each type of modification describes them.

    Attributes:
        names: of shapes that are offered: "2d" for rectangle, circle and triangle, "3d" for cube, sphere and cylinder.
            Both are understood.
    """

    names: str

    def next_words(self, words: Sequence[str]) -> tuple[str, ...]:
        # A colour that may describe the object and may be the new one is listed once.
        return tuple(dict.fromkeys(word for slots in self._rests(words) for word in _first_words(slots)))

    def is_text(self, words: Sequence[str]) -> bool:
        return any(all(slot.is_optional for slot in slots) for slots in self._rests(words))

    def _rests(self, words: Sequence[str]) -> list[tuple["_Slot", ...]]:
        """Return what is left to say after these words, for every way to read them."""
        rests = [_slots(each.form, self.names) for each in types.values()]
        for word in map(str.lower, words):
            shape = SHAPE_WORDS.get(word)
            word = shape_word(shape, self.names) if shape else word
            rests = [after for slots in rests for after in _after(slots, word)]
        return rests


class DatasetTexts:
    """The texts of a dataset: a word may follow two others if it does in one of them; frequent words come first."""

    def __init__(self, texts: Sequence[str]) -> None:
        written = {" ".join(text.split()) for text in texts}
        self._texts = frozenset(text.lower() for text in written)
        self._counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for text in written:
            words = ("", "", *text.split())
            for place in range(2, len(words)):
                before = tuple(word.lower() for word in words[place - 2 : place])
                self._counts[before][words[place]] += 1

    def next_words(self, words: Sequence[str]) -> tuple[str, ...]:
        before = ("", "", *map(str.lower, words))[-2:]
        following = self._counts.get(before, Counter())
        return tuple(word for word, _ in sorted(following.items(), key=lambda item: (-item[1], item[0]))[:_MOST_WORDS])

    def is_text(self, words: Sequence[str]) -> bool:
        return " ".join(words).lower() in self._texts


class _Slot(NamedTuple):
    """One part of a form: words that must follow each other, each one of several."""

    choices: tuple[tuple[str, ...], ...]
    is_optional: bool


def _slots(form: str, names: str) -> tuple[_Slot, ...]:
    """Read a form such as "add [size] [colour] shape [to cell]"."""
    parts = re.findall(r"\[([^]]+)\]|(\S+)", form)
    return tuple(
        _Slot(tuple(_choices(symbol, names) for symbol in (optional or fixed).split()), bool(optional))
        for optional, fixed in parts
    )


def _choices(symbol: str, names: str) -> tuple[str, ...]:
    """Return the words that a symbol of a form stands for; any other symbol is a word itself."""
    words: dict[str, tuple[str, ...]] = {
        "cell": tuple(Cell),
        "size": tuple(Size),
        "colour": tuple(Colour),
        "shape": (*(shape_word(shape, names) for shape in Shape), ANY_SHAPE),
        "new-colour": tuple(Colour),
        "new-size": tuple(Size),
    }
    return tuple(str(word) for part in symbol.split("|") for word in words.get(part, (part,)))


def _first_words(slots: Sequence[_Slot]) -> tuple[str, ...]:
    """Return the words that can come first: of every slot up to the first that is not optional."""
    words: tuple[str, ...] = ()
    for slot in slots:
        words += slot.choices[0]
        if not slot.is_optional:
            break
    return words


def _after(slots: tuple[_Slot, ...], word: str) -> list[tuple[_Slot, ...]]:
    """Return what is left to say after one more word, for every slot that it can be of."""
    found = []
    for place, slot in enumerate(slots):
        if word in slot.choices[0]:
            rest = (_Slot(slot.choices[1:], False),) if slot.choices[1:] else ()
            found.append((*rest, *slots[place + 1 :]))
        if not slot.is_optional:
            break
    return found


def _joined(words: Sequence[str]) -> str:
    return "".join(f"{word} " for word in words)
