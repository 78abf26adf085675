"""Tables of a scene on its stage -> pixels, mask and depth.

What makes it fast: objects are looked for only inside their bounds on the screen; a pixel whose neighbours all show
its own surface is shaded once, and any other once a surface, weighted by the share of 16 samples that each surface
covers (so every edge is smooth, also between two faces of one cube); a tile of the floor knows which objects can shade
it, and a block of it that sees a light wholly or not at all is found by its corners.
"""

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from css_gen.rendering.kernels.compiling import allocating, compiled, inlined
from css_gen.rendering.kernels.floor import UNKNOWN, find_even, light_tile, shade_floor
from css_gen.rendering.kernels.floor_maps import average_around, fill_floor_maps
from css_gen.rendering.kernels.geometry import FACES, HALF, LIGHT_SAMPLES, METAL, X, Y, curvature_at, normal_at
from css_gen.rendering.kernels.lighting import list_suspects, reach_of
from css_gen.rendering.kernels.shading import floor_hit, shade_object
from css_gen.rendering.kernels.tables import Tables
from css_gen.rendering.kernels.visibility import (
    FLOOR,
    MOST_SURFACES,
    cover,
    draw_surfaces,
    find_bounds,
    find_edges,
    lay_screen,
    objects_near,
    ray,
)

_PI = 3.141592653589793
_SRGB_STEPS = 4096


def _srgb_table() -> Any:
    linear = np.arange(_SRGB_STEPS) / (_SRGB_STEPS - 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * curved).astype(np.uint8)


SRGB = _srgb_table()


class Work(NamedTuple):
    """Arrays that the steps of one image share.

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


@allocating
def trace(tables: Tables, camera: Any, size: int, srgb: Any, image: Any, mask: Any, depth: Any) -> None:
    """Render one image.

    Args:
        camera: (15,) position, right, up, back, window (centre right, centre up, half width).
        srgb: SRGB.
        image: (size, size, 3) uint8, written.
        mask: (size, size) uint8, written: 0 for the floor, 1 + the row in `tables.solids` for an object.
        depth: (size, size) float32, written: distance along the viewing axis at the pixel's centre. With no
            rows, it is left out.
    """
    solids, lights = tables.solids, tables.lights
    count = solids.shape[0]
    work = Work(
        screen=np.zeros(9, np.float64),
        surface=np.empty((size, size), np.int32),
        nearest=np.empty((size, size), np.float64),
        edge=np.empty((size, size), np.uint8),
        corners=np.zeros((4, 7), np.float64),
        suspects=np.zeros((4, count), np.int64),
        margins=np.zeros((4, count), np.float64),
        counts=np.zeros(4, np.int64),
        even=np.zeros(4, np.float64),
        unknown=np.full(4, UNKNOWN),
        object_suspects=np.zeros((count, 4, count), np.int64),
        object_margins=np.zeros((count, 4, count), np.float64),
        object_counts=np.zeros((count, 4), np.int64),
        near=np.zeros(9, np.int64),
        found=np.zeros(MOST_SURFACES, np.int32),
        hits=np.zeros((MOST_SURFACES, 4), np.float64),
        blocked=np.zeros(LIGHT_SAMPLES, np.int32),
    )
    if tables.bounce:
        fill_floor_maps(tables, work.suspects, work.margins, work.counts, work.blocked)
        average_around(tables)
    for index in range(count):
        list_suspects(
            solids, lights, solids[index, X], solids[index, Y], solids[index, HALF], reach_of(solids, index), index,
            work.object_suspects[index], work.object_margins[index], work.object_counts[index],
        )  # fmt: skip
    bounds = np.zeros((count, 4), np.int64)
    find_bounds(tables, camera, size, bounds)
    lay_screen(camera, size, work.screen)
    draw_surfaces(tables, camera, work.screen, bounds, work.surface, work.nearest)
    find_edges(work.surface, work.edge)
    _number_objects(tables, camera, work, mask, depth)
    # A tile covers about the same piece of the floor at every image size; so does a block.
    tile = max(size // 20, 1)
    block = max(size // 56, 1)
    for top in range(0, size, tile):
        bottom = min(top + tile, size)
        for left in range(0, size, tile):
            right = min(left + tile, size)
            light_tile(
                tables, camera, work.screen, top, bottom, left, right,
                work.corners, work.suspects, work.margins, work.counts,
            )  # fmt: skip
            occupied = False
            for index in range(count):
                if bounds[index, 0] <= bottom and bounds[index, 1] >= top:
                    occupied |= bounds[index, 2] <= right and bounds[index, 3] >= left
            if not occupied and np.sum(work.counts) == 0:
                _paint_open_floor(
                    tables.floor, work.corners, (top, bottom, left, right), top, bottom, left, right, srgb, image
                )
                continue
            for block_top in range(top, bottom, block):
                for block_left in range(left, right, block):
                    _paint_block(
                        tables, camera, work, (top, bottom, left, right), block_top, min(block_top + block, bottom),
                        block_left, min(block_left + block, right), srgb, image,
                    )  # fmt: skip


@compiled
def _number_objects(tables: Tables, camera: Any, work: Work, mask: Any, depth: Any) -> None:
    """Write the mask and, where wanted, the depth."""
    size = mask.shape[0]
    surface, nearest = work.surface, work.nearest
    for row in range(size):
        for column in range(size):
            here = surface[row, column]
            mask[row, column] = 0 if here == FLOOR else 1 + (here - 1) // FACES
            if depth.shape[0] > 0:
                distance = nearest[row, column]
                if here == FLOOR:
                    dx, dy, dz = ray(work.screen, column + 0.5, row + 0.5)
                    distance, _, _, _ = floor_hit(tables, camera[0], camera[1], camera[2], dx, dy, dz)
                depth[row, column] = distance


@inlined
def _put(image: Any, row: int, column: int, red: float, green: float, blue: float, srgb: Any) -> None:
    """Write a linear radiance as display values."""
    steps = srgb.shape[0] - 1
    image[row, column, 0] = srgb[int(min(red, 1.0) * steps + 0.5)]
    image[row, column, 1] = srgb[int(min(green, 1.0) * steps + 0.5)]
    image[row, column, 2] = srgb[int(min(blue, 1.0) * steps + 0.5)]


@compiled
def _paint_open_floor(
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
    """Whether a block shows nothing but floor without shadows."""
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
def _paint_block(
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
            _paint_open_floor(tables.floor, work.corners, tile, top, bottom, left, right, srgb, image)
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
                    # The floor that shows beside an object lies elsewhere than under the pixel's centre.
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
    """Radiance of an object's face at a point. `pixel` is the distance over the image's size."""
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
