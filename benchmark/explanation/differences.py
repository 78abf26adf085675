"""Say what scenes show, and where they differ, in words."""

from collections.abc import Sequence
from typing import NamedTuple

from css_gen.scenes.factors import Cell
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.scenes.selector import Selector

EMPTY = "-"


class CellRow(NamedTuple):
    """A cell, and what each of several scenes shows there: "large red circle", or "-" for nothing."""

    cell: Cell
    shown: tuple[str, ...]


def differing_cells(scenes: Sequence[Scene], *, names: str) -> list[CellRow]:
    """Return the cells in which not all of these scenes show the same, in the order of the grid.

    Args:
        names: of shapes: "2d" for rectangle, circle and triangle, "3d" for cube, sphere and cylinder.

    Raises:
        ValueError: names is neither.
    """
    by_cell = [{item.cell: _noun(item, names) for item in scene} for scene in scenes]
    rows = [CellRow(cell, tuple(each.get(cell, EMPTY) for each in by_cell)) for cell in Cell]
    return [row for row in rows if len(set(row.shown)) > 1]


def in_words(scene: Scene, *, names: str) -> str:
    """Return the objects of a scene, such as "top-left large red circle; bottom-right small blue triangle".

    Raises:
        ValueError: names is neither "2d" nor "3d".
    """
    return "; ".join(f"{item.cell} {_noun(item, names)}" for item in scene) or "nothing"


def _noun(item: SceneObject, names: str) -> str:
    return Selector(size=item.size, colour=item.colour, shape=item.shape).noun(names)
