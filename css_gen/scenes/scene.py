"""A scene is up to nine objects on the 3x3 grid, at most one a cell; everything else in an image is nuisance."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Self

from css_gen.scenes.factors import CELLS, Cell, Colour, Shape, Size

_WORDS, _KEY, _EMPTY = "_words", "_key", "_empty"
"""Where objects and scenes keep what was made once. `functools.cached_property` takes a lock in Python 3.11, which
costs more than making it again."""


@dataclass(frozen=True)
class SceneObject:
    """One object: all that a modification can speak of."""

    cell: Cell
    size: Size
    colour: Colour
    shape: Shape

    def __str__(self) -> str:
        kept = self.__dict__
        if _WORDS not in kept:
            kept[_WORDS] = f"{self.cell} {self.size} {self.colour} {self.shape}"
        words: str = kept[_WORDS]
        return words


@dataclass(frozen=True)
class Scene:
    """Objects in the order of their cells, whatever order they are given in. The empty scene is valid.

    Raises:
        ValueError: two objects share a cell.
    """

    objects: tuple[SceneObject, ...] = ()

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.objects, key=lambda item: item.cell.index))
        for left, right in pairwise(ordered):
            if left.cell == right.cell:
                raise ValueError(f"two objects in cell {left.cell}: {left}; {right}")
        object.__setattr__(self, "objects", ordered)

    def __iter__(self) -> Iterator[SceneObject]:
        return iter(self.objects)

    def __len__(self) -> int:
        return len(self.objects)

    @classmethod
    def in_order(cls, objects: tuple[SceneObject, ...]) -> Self:
        """Return the scene of objects that are known to be in the order of their cells: it is not checked."""
        scene = cls.__new__(cls)
        scene.__dict__["objects"] = objects
        return scene

    @property
    def key(self) -> str:
        """The canonical string of the meaning: scenes with equal keys have equal labels and are equally relevant."""
        kept = self.__dict__
        if _KEY not in kept:
            kept[_KEY] = "; ".join([str(item) for item in self.objects])
        key: str = kept[_KEY]
        return key

    @property
    def empty_cells(self) -> tuple[Cell, ...]:
        kept = self.__dict__
        if _EMPTY not in kept:
            taken = {item.cell for item in self.objects}
            kept[_EMPTY] = tuple([cell for cell in CELLS if cell not in taken])
        empty: tuple[Cell, ...] = kept[_EMPTY]
        return empty

    def to_json(self) -> str:
        """Return one line of JSON: a list of objects, each with cell, size, colour and shape."""
        return json.dumps([{field.name: getattr(item, field.name) for field in fields(item)} for item in self.objects])

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the scene that `to_json` wrote.

        Raises:
            ValueError: the text is not a list of objects with exactly the four factors, a factor is unknown, or two
                objects share a cell.
        """
        try:
            items = json.loads(text)
            if not isinstance(items, list):
                raise ValueError("expected a list of objects")
            return cls(tuple(_object_from_json(item) for item in items))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"cannot read the scene {text[:80]!r}: {error}") from None


def _object_from_json(item: Any) -> SceneObject:
    names = {field.name for field in fields(SceneObject)}
    if not isinstance(item, dict) or item.keys() != names:
        raise ValueError("expected objects with exactly cell, size, colour and shape")
    return SceneObject(Cell(item["cell"]), Size(item["size"]), Colour(item["colour"]), Shape(item["shape"]))
