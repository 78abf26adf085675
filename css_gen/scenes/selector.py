"""Which objects a modification means: some attributes named, the others left open."""

from dataclasses import dataclass

from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.scene import SceneObject

ANY_SHAPE = "object"


@dataclass(frozen=True)
class Selector:
    """All objects that have every attribute named here; None leaves an attribute open."""

    cell: Cell | None = None
    size: Size | None = None
    colour: Colour | None = None
    shape: Shape | None = None

    def matches(self, scene_object: SceneObject) -> bool:
        return (
            (self.cell is None or self.cell == scene_object.cell)
            and (self.size is None or self.size == scene_object.size)
            and (self.colour is None or self.colour == scene_object.colour)
            and (self.shape is None or self.shape == scene_object.shape)
        )

    def noun(self, names: str) -> str:
        """Return size, colour and shape in words, such as "small gray object"; the cell is worded by the modification.

        Raises:
            ValueError: names is neither "2d" nor "3d".
        """
        return " ".join([*(word for word in (self.size, self.colour) if word), shape_word(self.shape, names)])


def shape_word(shape: Shape | None, names: str) -> str:
    """Return the flat name of a shape (names is "2d"), the solid one ("3d"), or "object" for None.

    Raises:
        ValueError: names is neither.
    """
    if names not in ("2d", "3d"):
        raise ValueError(f"names must be 2d or 3d, got {names!r}")
    if shape is None:
        return ANY_SHAPE
    return shape if names == "2d" else shape.solid_name
