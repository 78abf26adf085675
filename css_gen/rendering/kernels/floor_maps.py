"""Light that bounces once, on coarse maps of the floor.

The floor's own brightness lights the undersides and sides of objects, and what the objects' sides send down to the
floor is added to it in return.
"""

from math import sqrt
from typing import Any

import numpy as np

from css_gen.rendering.kernels.compiling import allocating, compiled, inlined
from css_gen.rendering.kernels.geometry import BLUE, GREEN, HALF, RED, X, Y
from css_gen.rendering.kernels.lighting import direction_to, light_on_floor, list_suspects, open_light, visible_share
from css_gen.rendering.kernels.tables import LIGHT_BLUE, LIGHT_GREEN, LIGHT_RED, MAP_CELLS, MAP_HALF_WIDTH, Tables

AROUND = 1
"""Cells of the floor map to each side that light the side of an object."""


@inlined
def look_up(grid: Any, x: float, y: float) -> tuple[float, float, float]:
    """Interpolate a floor map bilinearly at a point; outside it, take the nearest edge."""
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
