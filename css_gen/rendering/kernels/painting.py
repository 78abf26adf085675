"""Paint a block of pixels: floor, shadows and objects, from radiance to display values."""

from math import sqrt
from typing import Any

import numpy as np

from css_gen.rendering.kernels.compiling import compiled, inlined
from css_gen.rendering.kernels.floor import find_even, shade_floor
from css_gen.rendering.kernels.geometry import FACES, METAL, curvature_at, normal_at
from css_gen.rendering.kernels.shading import floor_hit, shade_object
from css_gen.rendering.kernels.tables import Tables
from css_gen.rendering.kernels.visibility import FLOOR, cover, objects_near, ray
from css_gen.rendering.kernels.work import Work

_PI = 3.141592653589793
_SRGB_STEPS = 4096


def _srgb_table() -> Any:
    linear = np.arange(_SRGB_STEPS) / (_SRGB_STEPS - 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * curved).astype(np.uint8)


SRGB = _srgb_table()


@inlined
def _put(image: Any, row: int, column: int, red: float, green: float, blue: float, srgb: Any) -> None:
    """Write a linear radiance as display values."""
    steps = srgb.shape[0] - 1
    image[row, column, 0] = srgb[int(min(red, 1.0) * steps + 0.5)]
    image[row, column, 1] = srgb[int(min(green, 1.0) * steps + 0.5)]
    image[row, column, 2] = srgb[int(min(blue, 1.0) * steps + 0.5)]


@compiled
def paint_open_floor(
    floor: float, corners: Any, tile: tuple[int, int, int, int], top: int, bottom: int, left: int, right: int,
    srgb: Any, image: Any,
) -> None:  # fmt: skip
    """Paint a part of a tile (its top, bottom, left and right) that shows nothing but floor without shadows."""
    scale = floor / _PI
    step = 1.0 / (tile[3] - tile[2])
    for row in range(top, bottom):
        down = (row + 0.5 - tile[0]) / (tile[1] - tile[0])
        red = scale * ((1.0 - down) * corners[0, 0] + down * corners[2, 0])
        green = scale * ((1.0 - down) * corners[0, 1] + down * corners[2, 1])
        blue = scale * ((1.0 - down) * corners[0, 2] + down * corners[2, 2])
        red_step = step * (scale * ((1.0 - down) * corners[1, 0] + down * corners[3, 0]) - red)
        green_step = step * (scale * ((1.0 - down) * corners[1, 1] + down * corners[3, 1]) - green)
        blue_step = step * (scale * ((1.0 - down) * corners[1, 2] + down * corners[3, 2]) - blue)
        for column in range(left, right):
            along = column + 0.5 - tile[2]
            _put(image, row, column, red + along * red_step, green + along * green_step, blue + along * blue_step, srgb)


@compiled
def _is_open(work: Work, top: int, bottom: int, left: int, right: int) -> bool:
    """Return whether a block shows nothing but floor without shadows."""
    surface, edge = work.surface, work.edge
    covered = False
    for row in range(top, bottom):
        for column in range(left, right):
            covered |= surface[row, column] != FLOOR or edge[row, column] != 0
    shaded = False
    for light in range(4):
        shaded |= work.even[light] != 1.0
    return not (covered or shaded)


@compiled
def paint_block(
    tables: Tables, camera: Any, work: Work, tile: tuple[int, int, int, int],
    top: int, bottom: int, left: int, right: int, srgb: Any, image: Any,
) -> None:  # fmt: skip
    """Paint a few pixels of a tile (its top, bottom, left and right) that show objects or shadows."""
    ox, oy, oz = camera[0], camera[1], camera[2]
    size = image.shape[0]
    even = work.unknown
    if bottom - top > 1 and right - left > 1:
        even = work.even
        find_even(
            tables, camera, work.screen, top, bottom, left, right,
            even, work.suspects, work.margins, work.counts, work.blocked,
        )  # fmt: skip
        if _is_open(work, top, bottom, left, right):
            paint_open_floor(tables.floor, work.corners, tile, top, bottom, left, right, srgb, image)
            return
    for row in range(top, bottom):
        down = (row + 0.5 - tile[0]) / (tile[1] - tile[0])
        for column in range(left, right):
            along = (column + 0.5 - tile[2]) / (tile[3] - tile[2])
            here = work.surface[row, column]
            dx, dy, dz = ray(work.screen, column + 0.5, row + 0.5)
            distance = work.nearest[row, column]
            if here == FLOOR:
                distance, _, _, _ = floor_hit(tables, ox, oy, oz, dx, dy, dz)
            kinds = 1
            seen = even
            work.found[0] = here
            work.hits[0, 0] = ox + distance * dx
            work.hits[0, 1] = oy + distance * dy
            work.hits[0, 2] = oz + distance * dz
            work.hits[0, 3] = 1.0
            if work.edge[row, column]:
                objects = objects_near(work.surface, row, column, work.near)
                kinds = cover(tables, camera, work.screen, row, column, work.near, objects, work.found, work.hits)
                if kinds > 1:
                    # The floor that shows next to an object is not the floor under the pixel's centre.
                    seen = work.unknown
            red, green, blue = 0.0, 0.0, 0.0
            for kind in range(kinds):
                x, y, z = work.hits[kind, 0], work.hits[kind, 1], work.hits[kind, 2]
                share = work.hits[kind, 3]
                if work.found[kind] == FLOOR:
                    r, g, b = shade_floor(
                        tables, work.corners, down, along, x, y, z,
                        seen, work.suspects, work.margins, work.counts, work.blocked,
                    )  # fmt: skip
                else:
                    r, g, b = _shade(tables, camera, work, work.found[kind], x, y, z, distance / size)
                red += share * r
                green += share * g
                blue += share * b
            _put(image, row, column, red, green, blue, srgb)


@inlined
def _shade(
    tables: Tables, camera: Any, work: Work, surface: int, x: float, y: float, z: float, pixel: float
) -> tuple[float, float, float]:
    """Compute the radiance of an object's face at a point. `pixel` is the distance over the image's size."""
    solids = tables.solids
    index = (surface - 1) // FACES
    face = (surface - 1) % FACES
    vx, vy, vz = camera[0] - x, camera[1] - y, camera[2] - z
    scale = 1.0 / sqrt(vx * vx + vy * vy + vz * vz)
    nx, ny, nz = normal_at(solids, index, face, x, y, z, tables.rounding)
    fx, fy, fz = normal_at(solids, index, face, x, y, z, 0.0)
    # A far edge would round away from the viewer, where the outline hides it: the more it does, the flatter it stays.
    facing = fx * vx + fy * vy + fz * vz
    rounded = min(max((nx * vx + ny * vy + nz * vz) / facing - 0.5, 0.0) / 0.4, 1.0) if facing > 0.0 else 0.0
    if rounded < 1.0:
        nx = fx + rounded * (nx - fx)
        ny = fy + rounded * (ny - fy)
        nz = fz + rounded * (nz - fz)
        length = 1.0 / sqrt(nx * nx + ny * ny + nz * nz)
        nx *= length
        ny *= length
        nz *= length
    blur = 0.0
    if solids[index, METAL] > 0.0:
        blur = 0.5 * curvature_at(solids, index, face, x, y, z, tables.rounding) * pixel * camera[14]
    red, green, blue = shade_object(
        tables, index, x, y, z, nx, ny, nz, vx * scale, vy * scale, vz * scale, blur,
        work.object_suspects, work.object_margins, work.object_counts, work.blocked,
    )  # fmt: skip
    return red, green, blue
