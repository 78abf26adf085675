"""Render the tables of a scene on its stage into pixels, mask and depth.

What makes it fast: objects are looked for only inside their bounds on the screen; a pixel whose neighbours all show
its own surface is shaded once, and any other once a surface, weighted by the share of 16 samples that each surface
covers (so every edge is smooth, also between two faces of one cube); a tile of the floor knows which objects can shade
it, and a block of it that sees a light wholly or not at all is found by its corners.
"""

from typing import Any

import numpy as np

from css_gen.rendering.kernels.compiling import allocating, compiled
from css_gen.rendering.kernels.floor import UNKNOWN, light_tile
from css_gen.rendering.kernels.floor_maps import average_around, fill_floor_maps
from css_gen.rendering.kernels.geometry import FACES, HALF, LIGHT_SAMPLES, X, Y
from css_gen.rendering.kernels.lighting import list_suspects, reach_of
from css_gen.rendering.kernels.painting import paint_block, paint_open_floor
from css_gen.rendering.kernels.shading import floor_hit
from css_gen.rendering.kernels.tables import Tables
from css_gen.rendering.kernels.visibility import (
    FLOOR,
    MOST_SURFACES,
    draw_surfaces,
    find_bounds,
    find_edges,
    lay_screen,
    ray,
)
from css_gen.rendering.kernels.work import Work


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
                paint_open_floor(
                    tables.floor, work.corners, (top, bottom, left, right), top, bottom, left, right, srgb, image
                )
                continue
            for block_top in range(top, bottom, block):
                for block_left in range(left, right, block):
                    paint_block(
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
