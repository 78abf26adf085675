"""Shapes, colours, sizes and cells: the only vocabulary of a CSS scene.

Every factor is a string, so that it is its own name in text, JSON and Parquet. A shape has two names: the
flat one, which the original dataset writes in its modification texts whatever the image, and the solid one.
"""

from enum import StrEnum
from itertools import product
from typing import TypeAlias


class Shape(StrEnum):
    """The shape of an object under its flat name, as in the modification texts of the original CSS."""

    RECTANGLE = "rectangle"
    CIRCLE = "circle"
    TRIANGLE = "triangle"

    @property
    def solid_name(self) -> str:
        """The name of the solid that represents this shape in the 3D image."""
        return _SOLID_NAMES[self]


class Colour(StrEnum):
    """CLEVR's eight colours; each renderer has its own palette for them."""

    GRAY = "gray"
    RED = "red"
    BLUE = "blue"
    GREEN = "green"
    BROWN = "brown"
    PURPLE = "purple"
    CYAN = "cyan"
    YELLOW = "yellow"


class Size(StrEnum):
    """Large is twice as wide as small."""

    SMALL = "small"
    LARGE = "large"


class Cell(StrEnum):
    """A cell of the 3x3 grid as the camera sees it: rows from far (top) to near (bottom), columns left to right."""

    TOP_LEFT = "top-left"
    TOP_CENTER = "top-center"
    TOP_RIGHT = "top-right"
    MIDDLE_LEFT = "middle-left"
    MIDDLE_CENTER = "middle-center"
    MIDDLE_RIGHT = "middle-right"
    BOTTOM_LEFT = "bottom-left"
    BOTTOM_CENTER = "bottom-center"
    BOTTOM_RIGHT = "bottom-right"

    index: int  # type: ignore[assignment]  # str.index is never needed here
    """0 to 8, row by row from the top left."""

    row: int
    """0 (top, far) to 2 (bottom, near)."""

    column: int
    """0 (left) to 2 (right)."""

    def __init__(self, _: str) -> None:
        self.index = len(type(self).__members__)
        self.row, self.column = divmod(self.index, 3)


CELLS: tuple[Cell, ...] = tuple(Cell)
"""All nine in the order of their indices."""

Combination: TypeAlias = tuple[Shape, Colour]
COMBINATIONS: tuple[Combination, ...] = tuple(product(Shape, Colour))
"""All 24 pairs of a shape and a colour."""

_SOLID_NAMES = {Shape.RECTANGLE: "cube", Shape.CIRCLE: "sphere", Shape.TRIANGLE: "cylinder"}
