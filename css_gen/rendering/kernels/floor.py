"""The floor of one tile of the image: its open light, which varies slowly, and the shadows on it."""

from math import sqrt
from typing import Any

from css_gen.rendering.kernels.compiling import compiled, inlined
from css_gen.rendering.kernels.floor_maps import look_up
from css_gen.rendering.kernels.lighting import direction_to, light_on_floor, list_suspects, visible_share
from css_gen.rendering.kernels.shading import floor_hit
from css_gen.rendering.kernels.tables import LIGHT_BLUE, LIGHT_GREEN, LIGHT_RED, Tables
from css_gen.rendering.kernels.visibility import ray

UNKNOWN = -1.0
_PI = 3.141592653589793


@compiled
def light_tile(
    tables: Tables, camera: Any, screen: Any, top: int, bottom: int, left: int, right: int,
    corners: Any, suspects: Any, margins: Any, counts: Any,
) -> None:  # fmt: skip
    """Prepare the floor of one tile: the open light at its four corners, and who can shade it.

    Args:
        corners: (4, 7) float64, written: irradiance in red, green and blue, then what each light adds to it before
            its colour. It varies so slowly that a tile can interpolate it.
    """
    lights = tables.lights
    ox, oy, oz = camera[0], camera[1], camera[2]
    dx, dy, dz = ray(screen, 0.5 * (left + right), 0.5 * (top + bottom))
    distance, _, _, _ = floor_hit(tables, ox, oy, oz, dx, dy, dz)
    mx = ox + distance * dx
    my = oy + distance * dy
    mz = oz + distance * dz
    spread = 0.0
    for corner in range(4):
        dx, dy, dz = ray(screen, right if corner & 1 else left, bottom if corner & 2 else top)
        distance, nx, ny, nz = floor_hit(tables, ox, oy, oz, dx, dy, dz)
        x = ox + distance * dx
        y = oy + distance * dy
        z = oz + distance * dz
        spread = max(spread, sqrt((x - mx) * (x - mx) + (y - my) * (y - my) + (z - mz) * (z - mz)))
        red, green, blue = light_on_floor(tables, x, y, z, nx, ny, nz)
        if tables.bounce:
            bounced_red, bounced_green, bounced_blue = look_up(tables.bounce_map, x, y)
            red += bounced_red
            green += bounced_green
            blue += bounced_blue
        corners[corner, 0] = red
        corners[corner, 1] = green
        corners[corner, 2] = blue
        for light in range(4):
            lx, ly, lz, strength, _ = direction_to(lights, light, x, y, z)
            corners[corner, 3 + light] = strength * max(lx * nx + ly * ny + lz * nz, 0.0)
    list_suspects(tables.solids, lights, mx, my, mz, spread, -1, suspects, margins, counts)


@inlined
def shade_floor(
    tables: Tables, corners: Any, down: float, along: float, x: float, y: float, z: float,
    even: Any, suspects: Any, margins: Any, counts: Any, blocked: Any,
) -> tuple[float, float, float]:  # fmt: skip
    """Compute the radiance of the floor at a point of a tile, `down` and `along` from its top left corner in [0, 1].

    Args:
        even: (4,) float64, the share of each light that the point sees, where known, else UNKNOWN.
    """
    lights = tables.lights
    a = (1.0 - down) * (1.0 - along)
    b = (1.0 - down) * along
    c = down * (1.0 - along)
    d = down * along
    red = a * corners[0, 0] + b * corners[1, 0] + c * corners[2, 0] + d * corners[3, 0]
    green = a * corners[0, 1] + b * corners[1, 1] + c * corners[2, 1] + d * corners[3, 1]
    blue = a * corners[0, 2] + b * corners[1, 2] + c * corners[2, 2] + d * corners[3, 2]
    for light in range(4):
        seen = even[light]
        if seen == UNKNOWN:
            seen = visible_share(
                tables.solids, lights, tables.samples, light, x, y, z, suspects, margins, counts, blocked
            )
        if seen < 1.0:
            row = 3 + light
            lost = a * corners[0, row] + b * corners[1, row] + c * corners[2, row] + d * corners[3, row]
            lost *= 1.0 - seen
            red -= lost * lights[light, LIGHT_RED]
            green -= lost * lights[light, LIGHT_GREEN]
            blue -= lost * lights[light, LIGHT_BLUE]
    scale = tables.floor / _PI
    return max(red, 0.0) * scale, max(green, 0.0) * scale, max(blue, 0.0) * scale


@compiled
def find_even(
    tables: Tables, camera: Any, screen: Any, top: int, bottom: int, left: int, right: int,
    even: Any, suspects: Any, margins: Any, counts: Any, blocked: Any,
) -> None:  # fmt: skip
    """Find the lights that a block of a few pixels sees wholly or not at all, by the pixels at its corners.

    No shadow of an object on the grid is narrower than such a block.

    Args:
        even: (4,) float64, written: 1 or 0, or UNKNOWN for a light whose shadow may end in the block.
    """
    ox, oy, oz = camera[0], camera[1], camera[2]
    for light in range(4):
        even[light] = 1.0 if counts[light] == 0 else 2.0
    for corner in range(4):
        column = right - 0.5 if corner & 1 else left + 0.5
        row = bottom - 0.5 if corner & 2 else top + 0.5
        dx, dy, dz = ray(screen, column, row)
        distance, _, _, _ = floor_hit(tables, ox, oy, oz, dx, dy, dz)
        x = ox + distance * dx
        y = oy + distance * dy
        z = oz + distance * dz
        for light in range(4):
            if counts[light] == 0 or even[light] == UNKNOWN:
                continue
            seen = visible_share(
                tables.solids, tables.lights, tables.samples, light, x, y, z, suspects, margins, counts, blocked
            )
            if (seen != 0.0 and seen != 1.0) or (even[light] != 2.0 and even[light] != seen):
                even[light] = UNKNOWN
            else:
                even[light] = seen
