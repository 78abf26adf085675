"""Programs of one to four edits of CSS, one after the other."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Self, TypeAlias

from css_gen.scenes import modification
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.modification import Add, Make, Modification, Remove
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.tracks.base import Program

MOST_EDITS = 4
LENGTHS = ("1 edit", "2 edits", "3 edits", "4 edits")
ORDERS = ("order matters", "order does not matter", "one edit")
FACTORS = ("cell", "size", "colour", "shape")
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
        return frozenset(run(self.edits, source))

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
        matters, not_at_all, one = ORDERS
        order = one if len(self.edits) == 1 else matters if self.other_orders(source) else not_at_all
        return {"length": self.kind, "order": order}

    def other_orders(self, source: Scene) -> list[tuple[Scene, ...]]:
        """Return the results of each swap of two neighbours that has no result in common with the chain.

        There is one if and only if the order matters. An edit that finds nothing changes nothing here.
        """
        targets = self.targets(source)
        results = [run(edits, source, skip=True) for edits in _swaps(self.edits)]
        return [tuple(scenes.values()) for scenes in results if targets.isdisjoint(scenes)]


def run(edits: Iterable[Modification], source: Scene, *, skip: bool = False) -> dict[str, Scene]:
    """Return all scenes that the edits make of the source in their order, by key.

    Args:
        skip: whether an edit that does not apply to a scene leaves it as it is. Otherwise that scene has no answer.
    """
    scenes = {source.key: source}
    for edit in edits:
        results = {scene: edit.results(scene) or ((scene,) if skip else ()) for scene in scenes.values()}
        scenes = {after.key: after for made in results.values() for after in made}
    return scenes


def _swaps(edits: Sequence[Modification]) -> Iterator[tuple[Modification, ...]]:
    """Yield the edits with two neighbours swapped, for each pair of neighbours."""
    for place in range(len(edits) - 1):
        yield (*edits[:place], edits[place + 1], edits[place], *edits[place + 2 :])


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
