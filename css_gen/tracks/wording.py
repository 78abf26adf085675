"""The words of the track `paraphrase`: synonyms and productions, half of each held out of training.

Both lists are part of the dataset's definition and are the same for every seed. Both splits show the first half of each
entry, and the test split alone shows the second.

A held-out production arranges words that training shows, so it tests the arrangement alone. A held-out synonym is a
word that training never shows.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.selector import ANY_SHAPE

LEXICON: dict[str, tuple[str, ...]] = {
    "add": ("add", "put", "insert", "place"),
    "remove": ("remove", "delete", "erase", "discard"),
    "make": ("change", "switch", "convert", "set"),
    ANY_SHAPE: ("object", "item", "thing", "element"),
    # A name of a solid stands for its flat shape, too, as "cube" does for "rectangle".
    "rectangle": ("rectangle", "box", "block", "brick"),
    "circle": ("circle", "ball", "orb", "globe"),
    "triangle": ("triangle", "tube", "drum", "barrel"),
    "small": ("small", "little", "tiny", "miniature"),
    "large": ("large", "big", "huge", "giant"),
    "gray": ("gray", "grey", "slate", "ashen"),
    "red": ("red", "scarlet", "crimson", "ruby"),
    "blue": ("blue", "sapphire", "cobalt", "navy"),
    "green": ("green", "emerald", "jade", "mint"),
    "brown": ("brown", "chocolate", "chestnut", "coffee"),
    "purple": ("purple", "violet", "plum", "amethyst"),
    "cyan": ("cyan", "aqua", "turquoise", "teal"),
    "yellow": ("yellow", "golden", "lemon", "canary"),
    "top-left": ("top-left", "upper-left", "northwest", "back-left"),
    "top-center": ("top-center", "upper-center", "north", "back-center"),
    "top-right": ("top-right", "upper-right", "northeast", "back-right"),
    "middle-left": ("middle-left", "center-left", "west", "mid-left"),
    "middle-center": ("middle-center", "central", "innermost", "dead-center"),
    "middle-right": ("middle-right", "center-right", "east", "mid-right"),
    "bottom-left": ("bottom-left", "lower-left", "southwest", "front-left"),
    "bottom-center": ("bottom-center", "lower-center", "south", "front-center"),
    "bottom-right": ("bottom-right", "lower-right", "southeast", "front-right"),
}
"""The words for each value of a factor, for any shape and for each verb; the verbs of make are followed by "to"."""

_PARTICIPLES = {
    "put": "put", "insert": "inserted", "add": "added", "place": "placed", "remove": "removed", "delete": "deleted",
    "erase": "erased", "discard": "discarded", "change": "changed", "switch": "switched", "convert": "converted",
    "set": "set",
}  # fmt: skip

_TEMPLATES: dict[str, tuple[str, ...]] = {
    "add": (
        "{verb} a [{size}] [{colour}] {shape} [in the {cell} cell]",
        "please {verb} one more [{size}] [{colour}] {shape} [at the {cell} spot]",
        "a [{size}] [{colour}] {shape} should be {verbed} [in the {cell} cell]",
        "I want a new [{size}] [{colour}] {shape} [at the {cell} spot]",
        "there must be another {shape} [of color {colour}] [of size {size}] [in the {cell} cell]",
        "[in the {cell} cell] there is now a new [{size}] [{colour}] {shape}",
        # Held out:
        "please {verb} another [{size}] [{colour}] {shape} [in the {cell} cell]",
        "[in the {cell} cell] {verb} a new {shape} [of size {size}] [of color {colour}]",
        "one more [{size}] [{colour}] {shape} must be {verbed} [at the {cell} spot]",
        "I want to see another [{size}] [{colour}] {shape} [in the {cell} cell]",
        "now there should be a new [{size}] [{colour}] {shape} [at the {cell} spot]",
        "have a [{size}] [{colour}] {shape} {verbed} [in the {cell} cell] please",
    ),
    "remove": (
        "{verb} every [{size}] [{colour}] {shape} [in the {cell} cell]",
        "please {verb} each [{cell}] [{size}] [{colour}] {shape}",
        "any [{size}] [{colour}] {shape} [in the {cell} cell] should be gone",
        "I want every {shape} [of color {colour}] [of size {size}] [at the {cell} spot] {verbed}",
        "there is now no [{size}] [{colour}] {shape} [in the {cell} cell]",
        "have each [{size}] [{colour}] {shape} [at the {cell} spot] {verbed}",
        # Held out:
        "please {verb} any {shape} [of size {size}] [of color {colour}] [in the {cell} cell]",
        "[in the {cell} cell] there should be no [{size}] [{colour}] {shape}",
        "every [{cell}] [{size}] [{colour}] {shape} must be {verbed}",
        "I want to see no [{size}] [{colour}] {shape} [at the {cell} spot]",
        "now each [{size}] [{colour}] {shape} [in the {cell} cell] is gone",
        "have every [{cell}] [{size}] [{colour}] {shape} gone please",
    ),
    "make": (
        "make every [{size}] [{colour}] {shape} [in the {cell} cell] {new}",
        "please turn each [{cell}] [{size}] [{colour}] {shape} {new}",
        "{verb} any [{size}] [{colour}] {shape} [in the {cell} cell] to {new}",
        "every [{size}] [{colour}] {shape} [at the {cell} spot] should be {new}",
        "I want to see each [{size}] [{colour}] {shape} [in the {cell} cell] {verbed} to {new}",
        "any {shape} [of color {colour}] [of size {size}] [at the {cell} spot] is now {new}",
        "have every [{size}] [{colour}] {shape} [in the {cell} cell] {verbed} to {new}",
        "each [{cell}] [{size}] [{colour}] {shape} must be made {new}",
        # Held out:
        "please make any {shape} [of size {size}] [of color {colour}] [in the {cell} cell] {new}",
        "make {new} every [{size}] [{colour}] {shape} [at the {cell} spot]",
        "now {verb} each [{cell}] [{size}] [{colour}] {shape} to {new}",
        "[in the {cell} cell] any [{size}] [{colour}] {shape} must be {new}",
        "I want every [{size}] [{colour}] {shape} [in the {cell} cell] to be {new}",
        "each [{size}] [{colour}] {shape} [at the {cell} spot] should now be {verbed} to {new}",
        "have any {shape} [of color {colour}] [of size {size}] [in the {cell} cell] made {new} please",
        "turn every [{size}] [{colour}] {shape} [at the {cell} spot] {new}",
    ),
}

_FACTORS: dict[str, type[StrEnum]] = {"size": Size, "colour": Colour, "shape": Shape, "cell": Cell}
SLOTS = ("verb", *_FACTORS, "new")
"""The slots of productions; "new" is the new colour or size."""

MEANING = {word: value for value, words in LEXICON.items() for word in words} | {
    shape.solid_name: str(shape) for shape in Shape
}
"""The value that each word stands for. A word has one meaning."""


@dataclass(frozen=True)
class Production:
    """A sentence with a slot for each word of the lexicon; a part in brackets is left out where its slot is open.

    Attributes:
        verb: the type of the modifications that it words: add, remove or make.
        number: its place among the productions of its verb; a dataset's JSON holds it.
        held_out: whether the test split alone shows it.
    """

    verb: str
    number: int
    template: str
    held_out: bool

    @property
    def has_verb(self) -> bool:
        """Whether it has a slot for the verb; otherwise the verb is a fixed word, or there is none."""
        return "{verb" in self.template

    def write(self, words: Mapping[str, str]) -> str:
        """Return the sentence with these words, by slot."""
        filled = {**words, "verbed": _PARTICIPLES.get(words.get("verb", ""), "")}
        parts = [part.format_map(filled) for slot, part in self._parts if slot is None or slot in words]
        return re.sub(r"\ba (?=[aeiou])", "an ", " ".join(parts))

    def read(self, text: str) -> dict[str, str] | None:
        """Return the words of a text, by slot; None where `write` does not write it."""
        found = self._pattern.fullmatch(f"{text} ")
        if not found:
            return None
        words = {slot: word for slot, word in found.groupdict().items() if word}
        if done := words.pop("verbed", None):
            words["verb"] = next(verb for verb, participle in _PARTICIPLES.items() if participle == done)
        return words if self.write(words) == text else None

    @cached_property
    def _parts(self) -> list[tuple[str | None, str]]:
        """Fixed parts (None) and optional ones, each of these with its slot, in the order of the sentence."""
        parts: list[tuple[str | None, str]] = []
        for optional, fixed in re.findall(r"\[([^]]+)\]|([^[\s]+)", self.template):
            slot = re.search(r"{(\w+)}", optional)
            parts.append((slot[1] if slot else None, optional or fixed))
        return parts

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """A pattern of its texts, with a space after the last word."""
        words = {
            slot: [word for word, value in MEANING.items() if value in {*factor}] for slot, factor in _FACTORS.items()
        }
        words["verb"] = [*LEXICON[self.verb]]
        words["verbed"] = [_PARTICIPLES[verb] for verb in words["verb"]]
        words["new"] = words["size"] + words["colour"]
        words["shape"] = [*words["shape"], *LEXICON[ANY_SHAPE]]
        groups = {slot: f"(?P<{slot}>{'|'.join(each)})" for slot, each in words.items()}
        parts = [(slot, "an?" if part == "a" else part.format_map(groups)) for slot, part in self._parts]
        return re.compile("".join(f"{part} " if slot is None else f"(?:{part} )?" for slot, part in parts))


PRODUCTIONS: dict[str, tuple[Production, ...]] = {
    verb: tuple(Production(verb, at, template, 2 * at >= len(some)) for at, template in enumerate(some))
    for verb, some in _TEMPLATES.items()
}
"""All productions of each verb."""


def synonyms(value: str, *, held_out: bool) -> tuple[str, ...]:
    """Return the words for a value that training shows, or those that it never shows."""
    words = LEXICON[value]
    return words[len(words) // 2 :] if held_out else words[: len(words) // 2]


HELD_OUT_WORDS = frozenset(word for value in LEXICON for word in synonyms(value, held_out=True))
"""Every synonym that training never shows."""
