"""Draw a scene as a flat image: squares, discs and triangles on white, with the cells and offsets of the 3D image.

Sizes are the original's (half extents of 4 and 8 pixels in 64). The original's released code draws its circle as a
diamond, and with hard edges; here a circle is round.
"""

import numpy as np
from numpy.typing import NDArray

from css_gen.rendering.kernels.flat import DISC, SQUARE, TRIANGLE, draw
from css_gen.rendering.nuisance import Nuisance
from css_gen.scenes.factors import Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject

PALETTE = {
    Colour.GRAY: (87, 87, 87), Colour.RED: (244, 35, 35), Colour.BLUE: (42, 75, 215), Colour.GREEN: (29, 205, 20),
    Colour.BROWN: (129, 74, 25), Colour.PURPLE: (129, 38, 192), Colour.CYAN: (41, 208, 208),
    Colour.YELLOW: (255, 238, 51),
}  # fmt: skip
"""Display values, 0 to 255: the original's, which are CLEVR's with a brighter red and green."""

HALF_EXTENTS = {Size.SMALL: 4 / 64, Size.LARGE: 8 / 64}
"""Half the width and height of an object, as a share of the image's side."""

ROOM = 1 / 6 - HALF_EXTENTS[Size.LARGE] - 1 / 96
"""How far an object may be from the middle of its cell, likewise: a large one keeps clear of its neighbours."""

_KINDS = {Shape.RECTANGLE: SQUARE, Shape.CIRCLE: DISC, Shape.TRIANGLE: TRIANGLE}


def position_2d(item: SceneObject, nuisance: Nuisance) -> tuple[float, float]:
    """Return the middle of an object as (across, down), shares of the image's side from its top left corner."""
    across, away = nuisance.offsets[item.cell.index]
    return (item.cell.column + 0.5) / 3 + ROOM * float(across), (item.cell.row + 0.5) / 3 - ROOM * float(away)


def render_2d(scene: Scene, nuisance: Nuisance, *, size: int) -> NDArray[np.uint8]:
    """Draw one scene, uint8 (size, size, 3) sRGB. Edges are blended in display values."""
    image = np.full((size, size, 3), 255, np.uint8)
    for item in scene:
        across, down = position_2d(item, nuisance)
        half = HALF_EXTENTS[item.size] * size
        draw(image, _KINDS[item.shape], across * size, down * size, half, PALETTE[item.colour])
    return image
