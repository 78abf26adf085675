"""How much light arrives at a point: lamps and sun with soft shadows, and light that the floor and objects send on.

A lamp is taken at its centre for its strength (it is small beside its distance) and at LIGHT_SAMPLES points for how
much of it is hidden. Light that bounces once is kept on a coarse map of the floor: the floor's own brightness, which
lights the undersides and sides of objects, and what the objects' sides send down to the floor in return.
"""

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from css_gen.compiling import allocating, compiled, inlined
from css_gen.geometry import BLUE, CUBE, GREEN, HALF, KIND, LIGHT_SAMPLES, RED, SPHERE, X, Y, block

PX, PY, PZ, NX, NY, NZ, LIGHT_RED, LIGHT_GREEN, LIGHT_BLUE, RADIUS, IS_SUN, WIDTH = range(12)
LIGHT_COLUMNS = 12
SUN_DISTANCE = 50.0

MAP_CELLS = 30
MAP_HALF_WIDTH = 6.5
"""World units from the middle of the floor map to its edge."""

AROUND = 1
"""Cells of the floor map to each side that light the side of an object."""

BACKDROP_FACES_FLOOR = 2.8
"""How much more light the upright backdrop gets from the floor than it sends back to an object (its glow)."""


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
    """One of sixteen rooks in (-1, 1) x (-1, 1): an edge of any slope uncovers a light in sixteen steps."""
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


@inlined
def direction_to(lights: Any, light: int, x: float, y: float, z: float) -> tuple[float, float, float, float, float]:
    """Unit direction from a point to a light's centre, the strength there before the receiver's cosine, and the
    tangent of the half angle that the light spans."""
    if lights[light, IS_SUN] > 0.0:
        scale = 1.0 / SUN_DISTANCE
        dx = lights[light, PX] * scale
        dy = lights[light, PY] * scale
        dz = lights[light, PZ] * scale
        return dx, dy, dz, 1.0, lights[light, WIDTH]
    dx = lights[light, PX] - x
    dy = lights[light, PY] - y
    dz = lights[light, PZ] - z
    inverse = 1.0 / (dx * dx + dy * dy + dz * dz)
    scale = sqrt(inverse)
    dx *= scale
    dy *= scale
    dz *= scale
    facing = -(dx * lights[light, NX] + dy * lights[light, NY] + dz * lights[light, NZ])
    return dx, dy, dz, (facing * inverse if facing > 0.0 else 0.0), lights[light, WIDTH] * scale


@inlined
def reach_of(solids: Any, index: int) -> float:
    """Radius of the ball around a solid's centre that holds it."""
    kind = int(solids[index, KIND])
    return float(solids[index, HALF] * (1.0 if kind == SPHERE else (1.7320509 if kind == CUBE else 1.4142137)))


@compiled
def list_suspects(
    solids: Any, lights: Any, x: float, y: float, z: float, spread: float, skip: int,
    suspects: Any, margins: Any, counts: Any,
) -> None:  # fmt: skip
    """Write, a row a light, the objects but `skip` that can hide any of it from anywhere within `spread` of a point.

    Args:
        suspects: (4, N) int64, written.
        margins: (4, N) float64, written: the square of how near the line from such a point to the light's centre has
            to pass an object's centre for that. May err to the large side only.
        counts: (4,) int64, written: how many of each row hold.
    """
    for light in range(4):
        counts[light] = 0
        dx = lights[light, PX]
        dy = lights[light, PY]
        dz = lights[light, PZ]
        if lights[light, IS_SUN] == 0.0:
            dx -= x
            dy -= y
            dz -= z
        length = sqrt(dx * dx + dy * dy + dz * dz)
        for index in range(solids.shape[0]):
            if index == skip:
                continue
            cx = solids[index, X] - x
            cy = solids[index, Y] - y
            cz = solids[index, HALF] - z
            along = (cx * dx + cy * dy + cz * dz) / length
            reach = reach_of(solids, index)
            if along < -(reach + spread):
                continue
            square = cx * cx + cy * cy + cz * cz - along * along
            # A light is widest seen from the far side of the spread.
            margin = reach + max(along + spread, 0.0) / max(length - spread, 1.0) * lights[light, RADIUS]
            if square < (margin + spread) * (margin + spread):
                suspects[light, counts[light]] = index
                margins[light, counts[light]] = margin * margin
                counts[light] += 1


@inlined
def visible_share(
    solids: Any, lights: Any, samples: Any, light: int, x: float, y: float, z: float,
    suspects: Any, margins: Any, counts: Any, blocked: Any,
) -> float:  # fmt: skip
    """Share of a light's samples that a point sees past the suspected objects, [0, 1]."""
    ax, ay, az = x, y, z
    if lights[light, IS_SUN] > 0.0:
        ax, ay, az = 0.0, 0.0, 0.0
    dx = lights[light, PX] - ax
    dy = lights[light, PY] - ay
    dz = lights[light, PZ] - az
    length = dx * dx + dy * dy + dz * dz
    touched = False
    for position in range(counts[light]):
        index = suspects[light, position]
        cx = solids[index, X] - x
        cy = solids[index, Y] - y
        cz = solids[index, HALF] - z
        px = cy * dz - cz * dy
        py = cz * dx - cx * dz
        pz = cx * dy - cy * dx
        if px * px + py * py + pz * pz < margins[light, position] * length:
            if not touched:
                touched = True
                for k in range(LIGHT_SAMPLES):
                    blocked[k] = 0
            block(solids, index, x, y, z, ax, ay, az, samples, light, blocked)
    if not touched:
        return 1.0
    hidden = 0
    for k in range(LIGHT_SAMPLES):
        hidden += blocked[k]
    return 1.0 - hidden / LIGHT_SAMPLES


@inlined
def glow_on(tables: Tables, nx: float, ny: float, nz: float) -> float:
    """Irradiance from the backdrop on a surface of a given normal: a broad source, low above the horizon."""
    facing = 0.886 * (nx * tables.backdrop_towards[0] + ny * tables.backdrop_towards[1]) + 0.464 * nz
    half = 0.5 + 0.5 * facing
    return float(tables.glow * half * half)


@inlined
def look_up(grid: Any, x: float, y: float) -> tuple[float, float, float]:
    """Bilinear value of a floor map at a point; the nearest edge outside it."""
    u = (x + MAP_HALF_WIDTH) * (MAP_CELLS / (2.0 * MAP_HALF_WIDTH)) - 0.5
    v = (y + MAP_HALF_WIDTH) * (MAP_CELLS / (2.0 * MAP_HALF_WIDTH)) - 0.5
    u = min(max(u, 0.0), MAP_CELLS - 1.001)
    v = min(max(v, 0.0), MAP_CELLS - 1.001)
    i = int(u)
    j = int(v)
    u -= i
    v -= j
    a = (1.0 - u) * (1.0 - v)
    b = u * (1.0 - v)
    c = (1.0 - u) * v
    d = u * v
    return (
        a * grid[j, i, 0] + b * grid[j, i + 1, 0] + c * grid[j + 1, i, 0] + d * grid[j + 1, i + 1, 0],
        a * grid[j, i, 1] + b * grid[j, i + 1, 1] + c * grid[j + 1, i, 1] + d * grid[j + 1, i + 1, 1],
        a * grid[j, i, 2] + b * grid[j, i + 1, 2] + c * grid[j + 1, i, 2] + d * grid[j + 1, i + 1, 2],
    )


@inlined
def open_light(
    tables: Tables, x: float, y: float, z: float, nx: float, ny: float, nz: float
) -> tuple[float, float, float]:
    """Irradiance from lamps, sun and backdrop on a surface that nothing shades."""
    red, green, blue = 0.0, 0.0, 0.0
    if tables.bounce:
        red = green = blue = glow_on(tables, nx, ny, nz)
    for light in range(4):
        dx, dy, dz, strength, _ = direction_to(tables.lights, light, x, y, z)
        cosine = dx * nx + dy * ny + dz * nz
        if cosine > 0.0:
            red += cosine * strength * tables.lights[light, LIGHT_RED]
            green += cosine * strength * tables.lights[light, LIGHT_GREEN]
            blue += cosine * strength * tables.lights[light, LIGHT_BLUE]
    return red, green, blue


@compiled
def light_on_floor(
    tables: Tables, x: float, y: float, z: float, nx: float, ny: float, nz: float
) -> tuple[float, float, float]:
    """Irradiance on the floor or its backdrop, which light each other the more the steeper the backdrop is."""
    red, green, blue = open_light(tables, x, y, z, nx, ny, nz)
    if tables.bounce:
        steep = BACKDROP_FACES_FLOOR * tables.glow * sqrt(max(1.0 - nz * nz, 0.0)) / (1.0 + 0.12 * z)
        red += steep
        green += steep
        blue += steep
    return red, green, blue


@compiled
def fill_floor_maps(tables: Tables, suspects: Any, margins: Any, counts: Any, blocked: Any) -> None:
    """Compute `floor_map` and `bounce_map`."""
    solids, lights, samples = tables.solids, tables.lights, tables.samples
    count = solids.shape[0]
    step = 2.0 * MAP_HALF_WIDTH / MAP_CELLS
    for j in range(MAP_CELLS):
        y = (j + 0.5) * step - MAP_HALF_WIDTH
        for i in range(MAP_CELLS):
            x = (i + 0.5) * step - MAP_HALF_WIDTH
            red, green, blue = light_on_floor(tables, x, y, 0.0, 0.0, 0.0, 1.0)
            list_suspects(solids, lights, x, y, 0.0, 0.0, -1, suspects, margins, counts)
            for light in range(4):
                if counts[light] > 0:
                    seen = visible_share(solids, lights, samples, light, x, y, 0.0, suspects, margins, counts, blocked)
                    _, _, dz, strength, _ = direction_to(lights, light, x, y, 0.0)
                    lost = strength * dz * (1.0 - seen)
                    red -= lost * lights[light, LIGHT_RED]
                    green -= lost * lights[light, LIGHT_GREEN]
                    blue -= lost * lights[light, LIGHT_BLUE]
            bounced_red, bounced_green, bounced_blue = 0.0, 0.0, 0.0
            for index in range(count):
                half = solids[index, HALF]
                dx = solids[index, X] - x
                dy = solids[index, Y] - y
                square = dx * dx + dy * dy + half * half
                if square > 16.0 * half * half:
                    continue
                # The floor sees a ball of the object's size, on the side that faces this point; that side sees
                # the floor in half of its view.
                inverse = 1.0 / sqrt(dx * dx + dy * dy + 1e-12)
                lit_red, lit_green, lit_blue = open_light(
                    tables, solids[index, X], solids[index, Y], half, -dx * inverse, -dy * inverse, 0.0
                )
                share = half * half * half / (square * sqrt(square))
                around = 0.5 * tables.floor
                bounced_red += share * solids[index, RED] * (lit_red + around * red)
                bounced_green += share * solids[index, GREEN] * (lit_green + around * green)
                bounced_blue += share * solids[index, BLUE] * (lit_blue + around * blue)
            tables.bounce_map[j, i, 0] = bounced_red
            tables.bounce_map[j, i, 1] = bounced_green
            tables.bounce_map[j, i, 2] = bounced_blue
            tables.floor_map[j, i, 0] = tables.floor * (red + bounced_red)
            tables.floor_map[j, i, 1] = tables.floor * (green + bounced_green)
            tables.floor_map[j, i, 2] = tables.floor * (blue + bounced_blue)


@allocating
def average_around(tables: Tables) -> None:
    """Fill `around_map`: a box of AROUND cells to each side, one axis after the other."""
    solids = tables.solids
    step = 2.0 * MAP_HALF_WIDTH / MAP_CELLS
    weights = np.ones((MAP_CELLS, MAP_CELLS))
    for j in range(MAP_CELLS):
        y = (j + 0.5) * step - MAP_HALF_WIDTH
        for i in range(MAP_CELLS):
            x = (i + 0.5) * step - MAP_HALF_WIDTH
            for index in range(solids.shape[0]):
                dx = solids[index, X] - x
                dy = solids[index, Y] - y
                if dx * dx + dy * dy < solids[index, HALF] * solids[index, HALF]:
                    weights[j, i] = 0.01
    rows = np.empty((MAP_CELLS, MAP_CELLS, 4))
    for j in range(MAP_CELLS):
        for i in range(MAP_CELLS):
            red, green, blue, weight = 0.0, 0.0, 0.0, 0.0
            for other in range(max(i - AROUND, 0), min(i + AROUND + 1, MAP_CELLS)):
                share = weights[j, other]
                red += share * tables.floor_map[j, other, 0]
                green += share * tables.floor_map[j, other, 1]
                blue += share * tables.floor_map[j, other, 2]
                weight += share
            rows[j, i, 0] = red
            rows[j, i, 1] = green
            rows[j, i, 2] = blue
            rows[j, i, 3] = weight
    for j in range(MAP_CELLS):
        for i in range(MAP_CELLS):
            red, green, blue, weight = 0.0, 0.0, 0.0, 0.0
            for other in range(max(j - AROUND, 0), min(j + AROUND + 1, MAP_CELLS)):
                red += rows[other, i, 0]
                green += rows[other, i, 1]
                blue += rows[other, i, 2]
                weight += rows[other, i, 3]
            tables.around_map[j, i, 0] = red / weight
            tables.around_map[j, i, 1] = green / weight
            tables.around_map[j, i, 2] = blue / weight
