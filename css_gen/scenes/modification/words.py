"""Building blocks of the modification texts: patterns for their grammar and words for a selector."""

from collections.abc import Iterable

from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.selector import Selector, shape_word

SHAPE_WORDS = {shape_word(shape, names): shape for names in ("2d", "3d") for shape in (None, *Shape)}
"""Every word for a shape, flat and solid, and "object" for any."""


def one_of_words(vocabulary: Iterable[str]) -> str:
    """Return a pattern for any of these words."""
    return "|".join(vocabulary)


NOUN = (
    f"(?:(?P<size>{one_of_words(Size)}) )?(?:(?P<colour>{one_of_words(Colour)}) )?"
    f"(?P<shape>{one_of_words(SHAPE_WORDS)})"
)
"""A pattern for [size] [colour] shape|object."""

PLACE = f"(?P<cell>{one_of_words(Cell)})"
"""A pattern for a cell."""


def located_noun(selector: Selector, names: str) -> str:
    """Return cell, size, colour and shape in words, such as "top-left small gray object"."""
    place = f"{selector.cell} " if selector.cell else ""
    return f"{place}{selector.noun(names)}"
