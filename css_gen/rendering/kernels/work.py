"""Arrays that the steps of one image share."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Work(NamedTuple):
    """Arrays that the steps of one image share; `trace` makes them.

    Attributes:
        screen: (9,) see `lay_screen`.
        surface: (size, size) int32, see `draw_surfaces`.
        nearest: (size, size) float64, distance of that surface.
        edge: (size, size) uint8, see `find_edges`.
        corners, suspects, margins, counts: the tile's, see `light_tile`.
        even, unknown: (4,) the block's, see `find_even`, and one that knows nothing.
        object_suspects, object_margins, object_counts: the same for each object.
        near: (9,) int64, objects that a pixel and its neighbours show.
        found, hits: surfaces that a pixel shows, their mean points and shares, see `cover`.
        blocked: (LIGHT_SAMPLES,) int32, for `visible_share`.
    """

    screen: NDArray[np.float64]
    surface: NDArray[np.int32]
    nearest: NDArray[np.float64]
    edge: NDArray[np.uint8]
    corners: NDArray[np.float64]
    suspects: NDArray[np.int64]
    margins: NDArray[np.float64]
    counts: NDArray[np.int64]
    even: NDArray[np.float64]
    unknown: NDArray[np.float64]
    object_suspects: NDArray[np.int64]
    object_margins: NDArray[np.float64]
    object_counts: NDArray[np.int64]
    near: NDArray[np.int64]
    found: NDArray[np.int32]
    hits: NDArray[np.float64]
    blocked: NDArray[np.int32]
