"""Programs of one to four edits of CSS, one after the other."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product
from operator import eq
from typing import Self, TypeAlias

from css_gen.scenes import modification
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.modification import Add, Make, Modification, Remove
from css_gen.scenes.modification.program import SELECTOR_FACTORS
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.tracks.base import Program

MOST_EDITS = 4
LENGTHS = ("1 edit", "2 edits", "3 edits", "4 edits")
MATTERS, IN_PART, NOT_AT_ALL, ONE_EDIT = ORDERS = (
    "order matters",
    "order matters in part",
    "order does not matter",
    "one edit",
)
FACTORS = tuple(SELECTOR_FACTORS)
_JOINT = ", then "


@dataclass(frozen=True)
class Chain(Program):
    """Edits, each of which applies to the scene that the earlier ones made.

    Raises:
        ValueError: there are none, or more than four.
    """

    edits: tuple[Modification, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.edits) <= MOST_EDITS:
            raise ValueError(f"expected 1 to {MOST_EDITS} edits, got {len(self.edits)}")

    @property
    def kind(self) -> str:
        return LENGTHS[len(self.edits) - 1]

    def text_with(self, names: str) -> str:
        return _JOINT.join(edit.text_with(names) for edit in self.edits)

    def to_json(self) -> str:
        return json.dumps([json.loads(edit.to_json()) for edit in self.edits])

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the chain that `to_json` wrote.

        Raises:
            ValueError: the text is not a JSON list of one to four edits.
        """
        try:
            edits = json.loads(text)
            if not isinstance(edits, list):
                raise ValueError("expected a list of edits")
            return cls(tuple(modification.from_json(json.dumps(edit)) for edit in edits))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"cannot read the chain {text[:80]!r}: {error}") from None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the chain of a text, in flat or solid names.

        Raises:
            ValueError: a part of the text is no edit, or there are too many.
        """
        return cls(tuple(map(modification.parse, text.split(_JOINT))))

    def targets(self, source: Scene) -> frozenset[str]:
        return _targets(self.edits, source)

    def can_make(self, scene: Scene) -> bool:
        """Return whether the scene is a target of some source.

        An edit treats every cell by itself, except that it must find something in one of them, and that an added
        object is in one. So each cell lists which edits may have changed it, and the cells together need all edits.
        """
        shown = {item.cell: (item.size, item.colour, item.shape) for item in scene}
        reached = {0}
        for cell, changes in _changes_by_cell(self.edits).items():
            here = changes.get(shown.get(cell), _NEVER)
            if here != _UNCHANGED:
                reached = {before | more for before in reached for more in here if not before & more & self._adds}
        return (1 << len(self.edits)) - 1 in reached

    @property
    def _adds(self) -> int:
        return sum(1 << place for place, edit in enumerate(self.edits) if isinstance(edit, Add))

    def attributes(self, source: Scene) -> Mapping[str, str]:
        """Return the number of edits, and whether their order matters."""
        return {"length": self.kind, "order": self.order(source)}

    def order(self, source: Scene) -> str:
        """Return one of ORDERS: whether the edits give other answers in some other order, of up to 23.

        The order matters if there are `other_orders`, and does not matter if every order gives exactly the right
        answers. It matters in part if some order does not, but all of them share a right answer or give only what some
        of the edits in their order give, too. An edit that finds nothing changes nothing here.
        """
        if len(self.edits) == 1:
            return ONE_EDIT
        if self.other_orders(source):
            return MATTERS
        right = self.targets(source)
        return NOT_AT_ALL if all(scenes.keys() == right for scenes in reordered(self.edits, source)) else IN_PART

    def other_orders(self, source: Scene) -> list[list[Scene]]:
        """Return the results of each other order that shares no right answer, if it has any that only an order gives.

        What some of the edits in their order give is left out: it may be the answer of one who misses an edit.
        """
        right = self.targets(source)
        wrong = [scenes for scenes in reordered(self.edits, source) if right.isdisjoint(scenes)]
        fewer = incomplete(self.edits, source) if wrong else {}
        found = ([scene for key, scene in scenes.items() if key not in fewer] for scenes in wrong)
        return [scenes for scenes in found if scenes]


Scenes: TypeAlias = Mapping[str, Scene]
"""Scenes by key."""


def run(edits: Iterable[Modification], source: Scene, *, skip: bool = False) -> Scenes:
    """Return all scenes that the edits make of the source in their order, by key.

    Args:
        skip: whether an edit that does not apply to a scene leaves it as it is. Otherwise that scene has no answer.
    """
    scenes: Scenes = {source.key: source}
    for edit in edits:
        scenes = _after(edit, scenes, skip=skip)
    return scenes


@lru_cache(maxsize=8)
def _targets(edits: tuple[Modification, ...], source: Scene) -> frozenset[str]:
    return frozenset(run(edits, source))


def _after(edit: Modification, scenes: Scenes, *, skip: bool = False) -> Scenes:
    found = {}
    for scene in scenes.values():
        for after in edit.results(scene) or ((scene,) if skip else ()):
            found[after.key] = after
    return found


@lru_cache(maxsize=8)
def incomplete(edits: tuple[Modification, ...], source: Scene) -> Scenes:
    """Return all scenes that some of the edits, not all, make of the source in their order; the source is one."""
    complete: Scenes = {source.key: source}
    fewer: Scenes = {}
    for edit in edits:
        complete, fewer = _after(edit, complete), {**fewer, **complete, **_after(edit, fewer)}
    return fewer


@lru_cache(maxsize=8)
def reordered(edits: tuple[Modification, ...], source: Scene) -> tuple[Scenes, ...]:
    """Return the scenes that the edits make of the source in each other order, equal ones once.

    An edit that finds nothing changes nothing.
    """
    made: dict[tuple[int, frozenset[str]], Scenes] = {}
    found: dict[frozenset[str], Scenes] = {}
    for places in permutations(range(len(edits))):
        if all(map(eq, (edits[place] for place in places), edits)):
            continue
        scenes: Scenes = {source.key: source}
        for place in places:
            step = place, frozenset(scenes)
            if step not in made:
                made[step] = _after(edits[place], scenes, skip=True)
            scenes = made[step]
        found.setdefault(frozenset(scenes), scenes)
    return tuple(found.values())


_Content: TypeAlias = tuple[Size, Colour, Shape]
_CONTENTS: tuple[_Content, ...] = tuple(product(Size, Colour, Shape))


_Changes: TypeAlias = Mapping[_Content | None, frozenset[int]]
_NEVER, _UNCHANGED = frozenset[int](), frozenset({0})


@lru_cache(maxsize=8)
def _changes_by_cell(edits: tuple[Modification, ...]) -> Mapping[Cell, _Changes]:
    """Return `_changes` of every cell; cells that the same edits may change share it."""
    concerned = {cell: tuple(edit.selector.cell in (None, cell) for edit in edits) for cell in Cell}
    changes = {here: _changes(edits, here) for here in set(concerned.values())}
    return {cell: changes[here] for cell, here in concerned.items()}


def _changes(edits: tuple[Modification, ...], concerned: tuple[bool, ...]) -> _Changes:
    """Return which edits may have changed a cell, one bit for each, by what the cell shows in the end.

    Args:
        concerned: which of the edits may change the cell at all.
    """
    found: dict[_Content | None, set[int]] = defaultdict(set)
    for start in (None, *_CONTENTS):
        paths: set[tuple[_Content | None, int]] = {(start, 0)}
        for place, (edit, here) in enumerate(zip(edits, concerned, strict=True)):
            if here:
                paths = {(end, bits) for path in paths for end, bits in _steps(edit, 1 << place, *path)}
        for end, bits in paths:
            found[end].add(bits)
    return {end: frozenset(bits) for end, bits in found.items()}


def _steps(edit: Modification, bit: int, content: _Content | None, bits: int) -> Iterator[tuple[_Content | None, int]]:
    """Yield what a cell may show after an edit."""
    if isinstance(edit, Add):
        yield content, bits
        if content is None:
            yield from ((new, bits | bit) for new in _CONTENTS if _selects(edit, new))
    elif content is None or not _selects(edit, content):
        yield content, bits
    elif isinstance(edit, Remove):
        yield None, bits | bit
    elif isinstance(edit, Make):
        size, colour, shape = content
        yield (edit.new_size or size, edit.new_colour or colour, shape), bits | bit
    else:
        raise TypeError(f"a chain cannot say what '{edit.text}' makes of a cell")


def _selects(edit: Modification, content: _Content) -> bool:
    """Return whether the edit's words fit, in a cell that they allow."""
    return edit.selector.matches(SceneObject(edit.selector.cell or Cell.TOP_LEFT, *content))
