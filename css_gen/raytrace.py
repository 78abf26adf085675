"""Tables of a scene on its stage -> pixels, mask and depth.

What makes it fast, in the order of the code: objects are looked for only inside their bounds on the screen; a pixel
whose neighbours all show its own surface is shaded once, and any other once a surface, weighted by the share of 16
samples that each surface covers (so every edge is smooth, also between two faces of one cube); a tile of the floor
knows which objects can shade it.
"""

from math import sqrt
from typing import Any

import numpy as np

from css_gen.geometry import (
    FACES,
    HALF,
    LIGHT_SAMPLES,
    METAL,
    MISS,
    X,
    Y,
    compiled,
    curvature_at,
    enter,
    inlined,
    normal_at,
)
from css_gen.lighting import (
    LIGHT_BLUE,
    LIGHT_GREEN,
    LIGHT_RED,
    Tables,
    direction_to,
    fill_floor_maps,
    light_on_floor,
    list_suspects,
    look_up,
    reach_of,
    visible_share,
)
from css_gen.shading import floor_hit, shade_object

COVERAGE = 16
FLOOR = 0
MOST_SURFACES = 8

_PI = 3.141592653589793
_SRGB_STEPS = 4096


def _srgb_table() -> Any:
    linear = np.arange(_SRGB_STEPS) / (_SRGB_STEPS - 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * curved).astype(np.uint8)


SRGB = _srgb_table()


@compiled
def _bounds(tables: Tables, camera: Any, size: int, bounds: Any) -> None:
    """Rows and columns of the screen, from (inclusive) and to (exclusive), that can show each object."""
    for index in range(tables.solids.shape[0]):
        half = tables.solids[index, HALF]
        left, right, top, bottom = 1e30, -1e30, 1e30, -1e30
        # The corners of the box around a solid of any turn: wide enough, and simple.
        wide = 1.4142136 * half
        for corner in range(8):
            px = tables.solids[index, X] + (wide if corner & 1 else -wide) - camera[0]
            py = tables.solids[index, Y] + (wide if corner & 2 else -wide) - camera[1]
            pz = (2.0 * half if corner & 4 else 0.0) - camera[2]
            depth = -(px * camera[9] + py * camera[10] + pz * camera[11])
            across = (px * camera[3] + py * camera[4] + pz * camera[5]) / depth
            upward = (px * camera[6] + py * camera[7] + pz * camera[8]) / depth
            column = 0.5 * size * (1.0 + (across - camera[12]) / camera[14])
            row = 0.5 * size * (1.0 - (upward - camera[13]) / camera[14])
            left = min(left, column)
            right = max(right, column)
            top = min(top, row)
            bottom = max(bottom, row)
        bounds[index, 0] = min(max(int(top) - 1, 0), size)
        bounds[index, 1] = min(max(int(bottom) + 2, 0), size)
        bounds[index, 2] = min(max(int(left) - 1, 0), size)
        bounds[index, 3] = min(max(int(right) + 2, 0), size)


@inlined
def _ray(screen: Any, column: float, row: float) -> tuple[float, float, float]:
    """Direction through a point of the screen, in pixels; one unit of it is one unit of depth."""
    return (
        screen[0] + column * screen[3] + row * screen[6],
        screen[1] + column * screen[4] + row * screen[7],
        screen[2] + column * screen[5] + row * screen[8],
    )


@compiled
def _lay_screen(camera: Any, size: int, screen: Any) -> None:
    """Write the direction through the screen's top left corner, and its steps a column and a row, into (9,)."""
    step = 2.0 * camera[14] / size
    for axis in range(3):
        right = camera[3 + axis]
        up = camera[6 + axis]
        corner = (camera[12] - camera[14]) * right + (camera[13] + camera[14]) * up
        screen[axis] = corner - camera[9 + axis]
        screen[3 + axis] = step * right
        screen[6 + axis] = -step * up


@compiled
def _draw_surfaces(tables: Tables, camera: Any, screen: Any, bounds: Any, surface: Any, depth: Any) -> None:
    """The surface at each pixel's centre, FLOOR or 1 + FACES * object + face, and its depth (MISS for the floor)."""
    surface[:] = FLOOR
    depth[:] = MISS
    for index in range(tables.solids.shape[0]):
        for row in range(bounds[index, 0], bounds[index, 1]):
            for column in range(bounds[index, 2], bounds[index, 3]):
                dx, dy, dz = _ray(screen, column + 0.5, row + 0.5)
                distance, face = enter(tables.solids, index, camera[0], camera[1], camera[2], dx, dy, dz)
                if distance < depth[row, column]:
                    depth[row, column] = distance
                    surface[row, column] = 1 + FACES * index + face


@inlined
def _neighbours(surface: Any, row: int, column: int, near: Any) -> int:
    """List the objects that a pixel and its eight neighbours show.

    Returns:
        How many, written to `near`; -1 where all nine show one and the same surface.
    """
    size = surface.shape[0]
    here = surface[row, column]
    same = True
    count = 0
    for other_row in range(max(row - 1, 0), min(row + 2, size)):
        for other_column in range(max(column - 1, 0), min(column + 2, size)):
            there = surface[other_row, other_column]
            if there != here:
                same = False
            if there != FLOOR:
                index = (there - 1) // FACES
                known = False
                for position in range(count):
                    if near[position] == index:
                        known = True
                if not known:
                    near[count] = index
                    count += 1
    return -1 if same else count


@compiled
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
    blocked = np.zeros(LIGHT_SAMPLES, np.int32)
    bounds = np.zeros((count, 4), np.int64)
    surface = np.zeros((size, size), np.int32)
    nearest = np.zeros((size, size), np.float64)
    suspects = np.zeros((4, count), np.int64)
    margins = np.zeros((4, count), np.float64)
    counts = np.zeros(4, np.int64)
    object_suspects = np.zeros((count, 4, count), np.int64)
    object_margins = np.zeros((count, 4, count), np.float64)
    object_counts = np.zeros((count, 4), np.int64)
    near = np.zeros(9, np.int64)
    found = np.zeros(MOST_SURFACES, np.int32)
    hits = np.zeros((MOST_SURFACES, 4), np.float64)
    corners = np.zeros((4, 7), np.float64)
    screen = np.zeros(9, np.float64)
    if tables.bounce:
        fill_floor_maps(tables, suspects, margins, counts, blocked)
    for index in range(count):
        half = solids[index, HALF]
        list_suspects(
            solids, lights, solids[index, X], solids[index, Y], half, reach_of(solids, index), index,
            object_suspects[index], object_margins[index], object_counts[index],
        )  # fmt: skip
    _lay_screen(camera, size, screen)
    _bounds(tables, camera, size, bounds)
    _draw_surfaces(tables, camera, screen, bounds, surface, nearest)
    ox, oy, oz = camera[0], camera[1], camera[2]
    want_depth = depth.shape[0] > 0
    # A tile covers about the same piece of the floor at every image size.
    tile = max(size // 20, 1)
    for top in range(0, size, tile):
        bottom = min(top + tile, size)
        for left in range(0, size, tile):
            right = min(left + tile, size)
            _light_tile(tables, camera, screen, top, bottom, left, right, corners, suspects, margins, counts)
            shaded = counts[0] + counts[1] + counts[2] + counts[3] > 0
            occupied = False
            for index in range(count):
                if bounds[index, 0] <= bottom and bounds[index, 1] >= top:
                    occupied |= bounds[index, 2] <= right and bounds[index, 3] >= left
            for row in range(top, bottom):
                down = (row + 0.5 - top) / (bottom - top)
                for column in range(left, right):
                    along = (column + 0.5 - left) / (right - left)
                    here = surface[row, column]
                    mask[row, column] = 0 if here == FLOOR else 1 + (here - 1) // FACES
                    dx, dy, dz = _ray(screen, column + 0.5, row + 0.5)
                    distance = nearest[row, column]
                    if here == FLOOR and (shaded or want_depth):
                        distance, _, _, _ = floor_hit(tables, ox, oy, oz, dx, dy, dz)
                    if want_depth:
                        depth[row, column] = distance
                    kinds = 1
                    found[0] = here
                    hits[0, 0] = ox + distance * dx
                    hits[0, 1] = oy + distance * dy
                    hits[0, 2] = oz + distance * dz
                    hits[0, 3] = 1.0
                    if occupied:
                        objects = _neighbours(surface, row, column, near)
                        if objects >= 0:
                            kinds = _cover(tables, camera, screen, row, column, near, objects, found, hits)
                    red, green, blue = 0.0, 0.0, 0.0
                    for kind in range(kinds):
                        share = hits[kind, 3]
                        x, y, z = hits[kind, 0], hits[kind, 1], hits[kind, 2]
                        if found[kind] == FLOOR:
                            r, g, b = _shade_floor(
                                tables, corners, down, along, x, y, z, suspects, margins, counts, shaded, blocked
                            )
                        else:
                            index = (found[kind] - 1) // FACES
                            face = (found[kind] - 1) % FACES
                            vx, vy, vz = ox - x, oy - y, oz - z
                            scale = 1.0 / sqrt(vx * vx + vy * vy + vz * vz)
                            nx, ny, nz = normal_at(solids, index, face, x, y, z, tables.rounding)
                            fx, fy, fz = normal_at(solids, index, face, x, y, z, 0.0)
                            # A far edge would round away from the viewer, where the outline hides it: keep it flat.
                            if nx * vx + ny * vy + nz * vz < 0.5 * (fx * vx + fy * vy + fz * vz):
                                nx, ny, nz = fx, fy, fz
                            blur = 0.0
                            if solids[index, METAL] > 0.0:
                                turn = curvature_at(solids, index, face, x, y, z, tables.rounding)
                                blur = 0.5 * turn * distance * camera[14] / size
                            r, g, b = shade_object(
                                tables, index, x, y, z, nx, ny, nz, vx * scale, vy * scale, vz * scale, blur,
                                object_suspects, object_margins, object_counts, blocked,
                            )  # fmt: skip
                        red += share * r
                        green += share * g
                        blue += share * b
                    steps = srgb.shape[0] - 1
                    image[row, column, 0] = srgb[int(min(red, 1.0) * steps + 0.5)]
                    image[row, column, 1] = srgb[int(min(green, 1.0) * steps + 0.5)]
                    image[row, column, 2] = srgb[int(min(blue, 1.0) * steps + 0.5)]


@compiled
def _light_tile(
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
    dx, dy, dz = _ray(screen, 0.5 * (left + right), 0.5 * (top + bottom))
    distance, _, _, _ = floor_hit(tables, ox, oy, oz, dx, dy, dz)
    mx = ox + distance * dx
    my = oy + distance * dy
    mz = oz + distance * dz
    spread = 0.0
    for corner in range(4):
        dx, dy, dz = _ray(screen, right if corner & 1 else left, bottom if corner & 2 else top)
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
def _shade_floor(
    tables: Tables, corners: Any, down: float, along: float, x: float, y: float, z: float,
    suspects: Any, margins: Any, counts: Any, shaded: bool, blocked: Any,
) -> tuple[float, float, float]:  # fmt: skip
    """Radiance of the floor at a point of a tile, `down` and `along` from its top left corner in [0, 1]."""
    lights = tables.lights
    a = (1.0 - down) * (1.0 - along)
    b = (1.0 - down) * along
    c = down * (1.0 - along)
    d = down * along
    red = a * corners[0, 0] + b * corners[1, 0] + c * corners[2, 0] + d * corners[3, 0]
    green = a * corners[0, 1] + b * corners[1, 1] + c * corners[2, 1] + d * corners[3, 1]
    blue = a * corners[0, 2] + b * corners[1, 2] + c * corners[2, 2] + d * corners[3, 2]
    if shaded:
        for light in range(4):
            if counts[light] == 0:
                continue
            seen = visible_share(
                tables.solids, lights, tables.samples, light, x, y, z,
                suspects, margins, counts, blocked,
            )  # fmt: skip
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
def _cover(
    tables: Tables, camera: Any, screen: Any, row: int, column: int, near: Any, objects: int, found: Any, hits: Any
) -> int:
    """Which surfaces a pixel's coverage samples show, each with the mean of its points and its share.

    Args:
        near: the objects to look for: those that the pixel and its neighbours show.

    Returns:
        How many surfaces; beyond MOST_SURFACES a sample joins the first, which no scene on the grid reaches.
    """
    kinds = 0
    ox, oy, oz = camera[0], camera[1], camera[2]
    for sample in range(COVERAGE):
        # Sixteen rooks: every row and column of a 16 x 16 grid is hit once, so edges of any slope have 16 steps.
        mirrored = (sample & 1) << 3 | (sample & 2) << 1 | (sample & 4) >> 1 | (sample & 8) >> 3
        dx, dy, dz = _ray(screen, column + (sample + 0.5) / COVERAGE, row + (mirrored + 0.5) / COVERAGE)
        nearest, here = MISS, FLOOR
        for position in range(objects):
            distance, face = enter(tables.solids, near[position], ox, oy, oz, dx, dy, dz)
            if distance < nearest:
                nearest = distance
                here = 1 + FACES * near[position] + face
        slot = 0
        while slot < kinds and found[slot] != here:
            slot += 1
        if slot == MOST_SURFACES:
            slot = 0
        elif slot == kinds:
            kinds += 1
            found[slot] = here
            hits[slot] = 0.0
        if here == FLOOR:
            # Directions are summed first: the mean direction meets the floor once, below.
            hits[slot, 0] += dx
            hits[slot, 1] += dy
            hits[slot, 2] += dz
        else:
            hits[slot, 0] += ox + nearest * dx
            hits[slot, 1] += oy + nearest * dy
            hits[slot, 2] += oz + nearest * dz
        hits[slot, 3] += 1.0
    for slot in range(kinds):
        scale = 1.0 / hits[slot, 3]
        x = hits[slot, 0] * scale
        y = hits[slot, 1] * scale
        z = hits[slot, 2] * scale
        if found[slot] == FLOOR:
            distance, _, _, _ = floor_hit(tables, ox, oy, oz, x, y, z)
            x = ox + distance * x
            y = oy + distance * y
            z = oz + distance * z
        hits[slot, 0] = x
        hits[slot, 1] = y
        hits[slot, 2] = z
        hits[slot, 3] /= COVERAGE
    return kinds
