"""css's own edits in other words: sentences and synonyms that training never shows.

A program is a modification of css with the production and the words that it is written with. The text means exactly
what css's text of the modification means, for every object that it matches. Each test target is asked for in six
texts: three in productions and synonyms that training shows, one in a held-out production, one with held-out synonyms,
and one with both. Where synonyms are held out, each word is with even odds, and at least one.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np

from css_gen.scenes.factors import Colour, Size
from css_gen.scenes.modification import Add, Make, Modification, Remove, from_json, type_of
from css_gen.scenes.modification.program import types
from css_gen.scenes.randomness import SplitId, one_of
from css_gen.scenes.sampling import KINDS_ASKED
from css_gen.scenes.scene import Scene
from css_gen.scenes.selector import ANY_SHAPE, shape_word
from css_gen.tracks.base import Draw, Pool, Program, Shortcut, Track
from css_gen.tracks.edits import CONTRASTS, Edit, draw_edit, near_misses
from css_gen.tracks.registry import register
from css_gen.tracks.wording import HELD_OUT_WORDS, LEXICON, MEANING, PRODUCTIONS, SLOTS, Production, synonyms

WORDINGS = ("seen", "production held out", "synonym held out", "both")
UNKNOWN_WORDS = ("0", "1", "2", "3 or more")
DISTRACTORS = 3

_TURNS = ("add", "remove", "make-colour", "add", "remove", "make-size")
_DRAWS = 8


@dataclass(frozen=True)
class Paraphrase(Edit):
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
        productions = PRODUCTIONS[_verb(self.modification)]
        if not 0 <= self.production < len(productions):
            raise ValueError(f"expected a production from 0 to {len(productions) - 1}, got {self.production}")
        expected = _values(self.modification, self._production).values()
        meant = [value for word, value in zip(self.words, expected, strict=False) if word in LEXICON[value]]
        if len(self.words) != len(expected) or len(meant) != len(expected):
            raise ValueError(f"expected words for {', '.join(expected)}, got {', '.join(self.words)}")

    @property
    def by_slot(self) -> dict[str, str]:
        """The word in each slot."""
        return dict(zip(_values(self.modification, self._production), self.words, strict=True))

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
        return PRODUCTIONS[_verb(self.modification)][self.production]


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


def word(modification: Modification, production: Production, *, unknown: bool, rng: np.random.Generator) -> Paraphrase:
    """Word a modification in synonyms that training shows or, if `unknown`, in any, at least one of them held out."""
    values = [*_values(modification, production).values()]
    held_out = rng.integers(2, size=len(values)) * unknown
    if unknown and not held_out.any():
        held_out[rng.integers(len(values))] = 1
    words = [one_of(synonyms(value, held_out=bool(new)), rng) for value, new in zip(values, held_out, strict=True)]
    return Paraphrase(modification, production.number, tuple(words))


def _draw(pool: Pool, source: int, visit: int, *, rng: np.random.Generator) -> Draw | None:
    scene = pool.scenes[source]
    for kind, named in _attempts(source, visit):
        modification = draw_edit(kind, named, scene, pool.combinations, rng=rng)
        if not modification:
            continue
        target = modification.apply(scene, rng=rng, combinations=pool.combinations)
        seen, held_out = _shuffled(modification, rng)
        if pool.split is SplitId.TRAIN:
            return Draw((word(modification, seen[0], unknown=False, rng=rng),), target)
        distractors = near_misses(
            modification, scene, target, pool.combinations, count=DISTRACTORS, allowed=lambda *_: True, rng=rng
        )
        if distractors:
            wordings = [(one, False) for one in seen[:3]]
            wordings += [(held_out[0], False), (seen[3], True), (held_out[1], True)]
            programs = (word(modification, production, unknown=unknown, rng=rng) for production, unknown in wordings)
            return Draw(tuple(programs), target, distractors)
    return None


def _attempts(source: int, visit: int) -> Iterator[tuple[str, int]]:
    """Yield kinds and numbers of named attributes to try, as css does: each in turn, then with fewer attributes."""
    kind = _TURNS[(source + visit) % len(_TURNS)]
    numbers = type_of(kind).named
    named = numbers[(source // len(_TURNS) + visit // 3) % len(numbers)]
    for fewer in range(named, 0, -1):
        yield from repeat((kind, fewer), _DRAWS)


def _shuffled(modification: Modification, rng: np.random.Generator) -> tuple[list[Production], list[Production]]:
    """Return the productions of a modification's verb in a random order: those of training, and the others."""
    some = PRODUCTIONS[_verb(modification)]
    drawn = [some[place] for place in rng.permutation(len(some))]
    return [each for each in drawn if not each.held_out], [each for each in drawn if each.held_out]


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


def _verb(modification: Modification) -> str:
    return type(modification).__name__.lower()


def _values(modification: Modification, production: Production) -> dict[str, str]:
    """Return what the word in each slot of a production means; open slots are left out."""
    selector = modification.selector
    new = (modification.new_colour or modification.new_size) if isinstance(modification, Make) else None
    verb = production.verb if production.has_verb else None
    values = (verb, selector.size, selector.colour, selector.shape or ANY_SHAPE, selector.cell, new)
    return {slot: value for slot, value in zip(SLOTS, values, strict=True) if value}


def _known_words(program: Program, source: Scene) -> frozenset[str]:
    """Return the answers of a solver that knows every production, and no word but those of training.

    It leaves open what an unknown word says: a word for size, colour, shape or cell selects any; a new value may be any
    colour or size; a verb may be add or remove, or make where the text names a new value.
    """
    assert isinstance(program, Paraphrase)
    modification, unknown = program.modification, program.unknown
    selector = replace(modification.selector, **{slot: None for slot in unknown if slot not in ("verb", "new")})
    readings: list[Modification] = [modification.with_selector(selector)]
    if isinstance(modification, Make) and "new" in unknown:
        readings = [Make(selector, new_colour=colour) for colour in Colour]
        readings += [Make(selector, new_size=size) for size in Size]
    if "verb" in unknown:
        readings += [Add(selector), Remove(selector)]
    return frozenset().union(*(reading.targets(source) for reading in readings))


register(
    Track(
        name="paraphrase",
        title="paraphrases",
        about="the edits of css in 40 productions with synonyms, half of both held out of training",
        distractors=DISTRACTORS,
        contrasts=CONTRASTS,
        slices={"wording": WORDINGS, "kind": KINDS_ASKED, "unknown words": UNKNOWN_WORDS},
        draw=_draw,
        parse=parse,
        from_json=program_from_json,
        shortcut=Shortcut("known words only", _known_words),
        programs=6,
        held_out_slices={"wording": WORDINGS[1:], "unknown words": UNKNOWN_WORDS[1:]},
    )
)
