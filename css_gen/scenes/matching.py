"""Find the references that a modification fits without looking at all of them, and the scenes that it can make.

A set of objects is an integer with one bit for each of the 432 objects there are, so that a reference is tested in a
tenth of a microsecond, and an object that one reference in 200 has is found among 50,000 references as among 1,000.
Nine further bits are for the empty cells.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from math import gcd
from typing import NamedTuple

import numpy as np

from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.scenes.selector import Selector

_BIT = {SceneObject(*factors): 1 << place for place, factors in enumerate(product(Cell, Size, Colour, Shape))}
OBJECTS = len(_BIT)
"""How many objects there can be."""

EVERY_OBJECT = (1 << OBJECTS) - 1
"""The set of all objects that there can be."""

_HAVING: dict[str, int] = {
    value: sum(bit for item, bit in _BIT.items() if value in (item.cell, item.size, item.colour, item.shape))
    for value in (*Cell, *Size, *Colour, *Shape)
}
_EMPTY = {cell: 1 << (OBJECTS + cell.index) for cell in Cell}
_LONGEST_WALK = 5_000


class Needs(NamedTuple):
    """A scene fits if it shares an object with `some` and none with `none`."""

    some: int
    none: int

    def fit(self, scene: int) -> bool:
        return bool(scene & self.some) and not scene & self.none


def object_set(objects: Iterable[SceneObject]) -> int:
    """Return the set of these objects."""
    return sum(_BIT[item] for item in objects)


def scene_set(scene: Scene) -> int:
    """Return the set of a scene's objects and of its empty cells."""
    return object_set(scene) | sum(_EMPTY[cell] for cell in scene.empty_cells)


def empty(cell: Cell | None) -> int:
    """Return the set of one empty cell; of all nine for None."""
    return _EMPTY[cell] if cell else sum(_EMPTY.values())


def members(some: int) -> Iterator[int]:
    """Yield the place of every bit of a set, from 0, in ascending order."""
    while some:
        lowest = some & -some
        yield lowest.bit_length() - 1
        some ^= lowest


def selected_by(selector: Selector) -> int:
    """Return the set of all objects that a selector matches."""
    selected = EVERY_OBJECT
    for value in (selector.cell, selector.size, selector.colour, selector.shape):
        if value:
            selected &= _HAVING[value]
    return selected


def having(value: str | None) -> int:
    """Return the set of all objects with a factor's value; empty for None."""
    return _HAVING[value] if value else 0


def walk(scenes: Sequence[int], wanted: Needs, *, count: int, without: int, rng: np.random.Generator) -> list[int]:
    """Return the places of the first `count` scenes that fit, in a random order; none if there are fewer.

    The order is a drawn start and a drawn step, which is not every order but has no neighbours that always meet.

    Args:
        without: a place to pass over.
    """
    found: list[int] = []
    place = int(rng.integers(len(scenes)))
    step = _coprime(len(scenes), rng)
    for _ in range(min(len(scenes), _LONGEST_WALK)):
        if wanted.fit(scenes[place]) and place != without:
            found.append(place)
            if len(found) == count:
                return found
        place = (place + step) % len(scenes)
    return []


def _coprime(number: int, rng: np.random.Generator) -> int:
    while True:
        step = int(rng.integers(1, number))
        if gcd(step, number) == 1:
            return step
