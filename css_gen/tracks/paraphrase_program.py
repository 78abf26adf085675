"""A modification of css, worded with one production and one synonym for each of its words."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from css_gen.scenes.factors import Colour
from css_gen.scenes.modification import Make, Modification, from_json
from css_gen.scenes.modification.program import types
from css_gen.scenes.scene import Scene
from css_gen.scenes.selector import ANY_SHAPE, shape_word
from css_gen.tracks.edits import CssEdit
from css_gen.tracks.wording import HELD_OUT_WORDS, LEXICON, MEANING, PRODUCTIONS, SLOTS, Production

WORDINGS = ("seen", "production held out", "synonym held out", "both")
UNKNOWN_WORDS = ("0", "1", "2", "3 or more")


@dataclass(frozen=True)
class Paraphrase(CssEdit):
    """A modification and its wording.

    Attributes:
        production: its number among those of the modification's verb.
        words: of the filled slots, in the order of `SLOTS`; a shape is written under its flat name.

    Raises:
        ValueError: there is no such production, or the words do not say what the modification means.
    """

    production: int
    words: tuple[str, ...]

    def __post_init__(self) -> None:
        productions = PRODUCTIONS[verb_of(self.modification)]
        if not 0 <= self.production < len(productions):
            raise ValueError(f"expected a production from 0 to {len(productions) - 1}, got {self.production}")
        expected = meanings(self.modification, self._production).values()
        meant = [value for word, value in zip(self.words, expected, strict=False) if word in LEXICON[value]]
        if len(self.words) != len(expected) or len(meant) != len(expected):
            raise ValueError(f"expected words for {', '.join(expected)}, got {', '.join(self.words)}")

    @property
    def by_slot(self) -> dict[str, str]:
        """The word in each slot."""
        return dict(zip(meanings(self.modification, self._production), self.words, strict=True))

    @property
    def unknown(self) -> tuple[str, ...]:
        """The slots whose words training never shows."""
        return tuple(slot for slot, word in self.by_slot.items() if word in HELD_OUT_WORDS)

    @property
    def wording(self) -> str:
        """Which of WORDINGS: what training never shows of it."""
        return WORDINGS[self._production.held_out + 2 * bool(self.unknown)]

    def text_with(self, names: str) -> str:
        words = self.by_slot
        shape = self.modification.selector.shape
        base = shape_word(shape, names)
        return self._production.write({**words, "shape": base} if words["shape"] == shape else words)

    def to_json(self) -> str:
        modification = json.loads(self.modification.to_json())
        return json.dumps({"modification": modification, "production": self.production, "words": self.words})

    def attributes(self, source: Scene) -> Mapping[str, str]:
        del source
        number = UNKNOWN_WORDS[min(len(self.unknown), 3)]
        return {"wording": self.wording, "kind": self.kind, "unknown words": number}

    @property
    def _production(self) -> Production:
        return PRODUCTIONS[verb_of(self.modification)][self.production]


def parse(text: str) -> Paraphrase:
    """Return the program of a text, in flat or solid names.

    Raises:
        ValueError: no production writes it.
    """
    for productions in PRODUCTIONS.values():
        for production in productions:
            if words := production.read(text):
                return _build(production, words)
    raise ValueError(f"cannot read {text[:80]!r}: it is no text of the track paraphrase")


def program_from_json(text: str) -> Paraphrase:
    """Return the program that `to_json` wrote.

    Raises:
        ValueError: the text is not what `to_json` writes.
    """
    try:
        values = json.loads(text)
        if not isinstance(values, dict) or values.keys() != {"modification", "production", "words"}:
            raise ValueError("expected exactly modification, production, words")
        production, words = values["production"], values["words"]
        if type(production) is not int or not isinstance(words, list) or not all(isinstance(w, str) for w in words):
            raise ValueError("expected the number of a production and a list of words")
        return Paraphrase(from_json(json.dumps(values["modification"])), production, tuple(words))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot read the paraphrase {text[:80]!r}: {error}") from None


def verb_of(modification: Modification) -> str:
    return type(modification).__name__.lower()


def meanings(modification: Modification, production: Production) -> dict[str, str]:
    """Return what the word in each slot of a production means; open slots are left out."""
    selector = modification.selector
    new = (modification.new_colour or modification.new_size) if isinstance(modification, Make) else None
    verb = production.verb if production.has_verb else None
    values = (verb, selector.size, selector.colour, selector.shape or ANY_SHAPE, selector.cell, new)
    return {slot: value for slot, value in zip(SLOTS, values, strict=True) if value}


def _build(production: Production, words: dict[str, str]) -> Paraphrase:
    """Return the program of a production and the words in its slots, where a shape may have its solid name."""
    values: dict[str, str | None] = {slot: MEANING[word] for slot, word in words.items() if slot != "verb"}
    if values["shape"] == ANY_SHAPE:
        values["shape"] = None
    if new := values.pop("new", None):
        values["new_colour" if new in {*Colour} else "new_size"] = new
    modification = types[production.verb].build(values)
    ordered = {slot: words[slot] for slot in SLOTS if slot in words}
    if words["shape"] not in LEXICON[MEANING[words["shape"]]]:
        ordered["shape"] = MEANING[words["shape"]]
    return Paraphrase(modification, production.number, tuple(ordered.values()))
