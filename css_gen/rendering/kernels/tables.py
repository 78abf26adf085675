"""Tables of a scene on its stage, as the kernels take them: solids, lights of sixteen points each, floor maps."""

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from css_gen.rendering.kernels.compiling import allocating, compiled, inlined
from css_gen.rendering.kernels.geometry import LIGHT_SAMPLES

PX, PY, PZ, NX, NY, NZ, LIGHT_RED, LIGHT_GREEN, LIGHT_BLUE, RADIUS, IS_SUN, WIDTH = range(12)
LIGHT_COLUMNS = 12
SUN_DISTANCE = 50.0

MAP_CELLS = 30
MAP_HALF_WIDTH = 6.5
"""World units from the middle of the floor map to its edge."""


class Tables(NamedTuple):
    """All that a compiled kernel needs to know of a scene on its stage.

    Attributes:
        solids: (N, 10) float64, see `geometry`.
        lights: (4, 12) float64: position (for a sun: SUN_DISTANCE times its direction), facing, intensity
            (radiance times area; for a sun its irradiance), radius, whether it is a sun, and its width.
        samples: (4, 3, LIGHT_SAMPLES) float32, points on each light.
        floor: reflectance.
        glow: irradiance on a surface that faces the backdrop.
        rounding: share of a solid's half extent over which its edges are shaded as round.
        gloss: whether rubber has a coat.
        bounce: whether light that has bounced once is added.
        backdrop: (P, 2) profile of the floor, away and height.
        backdrop_towards: (2,) float64.
        floor_map: (MAP_CELLS, MAP_CELLS, 3) float64, what the floor sends out, as irradiance times reflectance.
        around_map: (MAP_CELLS, MAP_CELLS, 3) float64, `floor_map` as an object sees it: averaged over the open floor
            nearby, leaving out what objects stand on.
        bounce_map: (MAP_CELLS, MAP_CELLS, 3) float64, irradiance on the floor from the objects' sides.
    """

    solids: NDArray[np.float64]
    lights: NDArray[np.float64]
    samples: NDArray[np.float32]
    floor: float
    glow: float
    rounding: float
    gloss: bool
    bounce: bool
    backdrop: NDArray[np.float64]
    backdrop_towards: NDArray[np.float64]
    floor_map: NDArray[np.float64]
    around_map: NDArray[np.float64]
    bounce_map: NDArray[np.float64]


@compiled
def lay_frame(position: tuple[float, float, float], aim: tuple[float, float, float], row: Any) -> None:
    """Write position, right, up and back of what looks from a position at an aim, upright, into a row's first 12."""
    bx = position[0] - aim[0]
    by = position[1] - aim[1]
    bz = position[2] - aim[2]
    scale = 1.0 / sqrt(bx * bx + by * by + bz * bz)
    bx *= scale
    by *= scale
    bz *= scale
    scale = 1.0 / sqrt(bx * bx + by * by)
    rx = -by * scale
    ry = bx * scale
    row[0], row[1], row[2] = position
    row[3], row[4], row[5] = rx, ry, 0.0
    row[6], row[7], row[8] = -bz * ry, bz * rx, bx * ry - by * rx
    row[9], row[10], row[11] = bx, by, bz


@inlined
def _spot(sample: int) -> tuple[float, float]:
    """Return one of sixteen rooks in (-1, 1) x (-1, 1): an edge of any slope uncovers a light in sixteen steps."""
    mirrored = (sample & 1) << 3 | (sample & 2) << 1 | (sample & 4) >> 1 | (sample & 8) >> 3
    return (sample + 0.5) / 8.0 - 1.0, (mirrored + 0.5) / 8.0 - 1.0


@allocating
def lay_lamp(
    light: int, position: tuple[float, float, float], aim: tuple[float, float, float], size: float,
    radiance: tuple[float, float, float], lights: Any, samples: Any,
) -> None:  # fmt: skip
    """Write one square lamp into the tables `lights` and `samples`."""
    frame = np.empty(12)
    lay_frame(position, aim, frame)
    half = 0.5 * size
    for axis in range(3):
        lights[light, PX + axis] = position[axis]
        lights[light, NX + axis] = -frame[9 + axis]
        lights[light, LIGHT_RED + axis] = radiance[axis] * size * size
        for sample in range(LIGHT_SAMPLES):
            u, v = _spot(sample)
            samples[light, axis, sample] = position[axis] + half * (u * frame[3 + axis] + v * frame[6 + axis])
    lights[light, RADIUS] = 1.4142136 * half
    lights[light, IS_SUN] = 0.0
    lights[light, WIDTH] = half


@allocating
def lay_sun(
    light: int, towards: tuple[float, float, float], irradiance: float, half_angle_tangent: float,
    lights: Any, samples: Any,
) -> None:  # fmt: skip
    """Write the sun into the tables `lights` and `samples`."""
    frame = np.empty(12)
    lay_frame(towards, (0.0, 0.0, 0.0), frame)
    for axis in range(3):
        lights[light, PX + axis] = SUN_DISTANCE * frame[9 + axis]
        lights[light, NX + axis] = -frame[9 + axis]
        lights[light, LIGHT_RED + axis] = irradiance
        for sample in range(LIGHT_SAMPLES):
            u, v = _spot(sample)
            # Squeeze the square of spots into the sun's disc.
            across = half_angle_tangent * u * sqrt(1.0 - 0.5 * v * v)
            upward = half_angle_tangent * v * sqrt(1.0 - 0.5 * u * u)
            direction = frame[9 + axis] + across * frame[3 + axis] + upward * frame[6 + axis]
            samples[light, axis, sample] = SUN_DISTANCE * direction
    lights[light, RADIUS] = SUN_DISTANCE * half_angle_tangent
    lights[light, IS_SUN] = 1.0
    lights[light, WIDTH] = half_angle_tangent
