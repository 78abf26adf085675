"""Find the surface that each pixel shows: the screen, bounds of objects on it, coverage samples where surfaces meet."""

from typing import Any

from css_gen.rendering.kernels.compiling import compiled, inlined
from css_gen.rendering.kernels.geometry import FACES, HALF, MISS, X, Y, enter
from css_gen.rendering.kernels.shading import floor_hit
from css_gen.rendering.kernels.tables import Tables

FLOOR = 0
"""The number of the floor; an object's face has the number 1 + FACES * object + face."""

COVERAGE = 16
MOST_SURFACES = 8


@compiled
def find_bounds(tables: Tables, camera: Any, size: int, bounds: Any) -> None:
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
def ray(screen: Any, column: float, row: float) -> tuple[float, float, float]:
    """Compute the direction through a point of the screen, in pixels; one unit of it is one unit of depth."""
    return (
        screen[0] + column * screen[3] + row * screen[6],
        screen[1] + column * screen[4] + row * screen[7],
        screen[2] + column * screen[5] + row * screen[8],
    )


@compiled
def lay_screen(camera: Any, size: int, screen: Any) -> None:
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
def draw_surfaces(tables: Tables, camera: Any, screen: Any, bounds: Any, surface: Any, depth: Any) -> None:
    """Find the surface at each pixel's centre (FLOOR, or 1 + FACES * object + face) and its depth (MISS for floor)."""
    surface[:] = FLOOR
    depth[:] = MISS
    for index in range(tables.solids.shape[0]):
        for row in range(bounds[index, 0], bounds[index, 1]):
            for column in range(bounds[index, 2], bounds[index, 3]):
                dx, dy, dz = ray(screen, column + 0.5, row + 0.5)
                distance, face = enter(tables.solids, index, camera[0], camera[1], camera[2], dx, dy, dz)
                if distance < depth[row, column]:
                    depth[row, column] = distance
                    surface[row, column] = 1 + FACES * index + face


@compiled
def find_edges(surface: Any, edge: Any) -> None:
    """Mark the pixels of which a neighbour, of eight, shows another surface; the image's border pixels all.

    Args:
        edge: (size, size) uint8, written.
    """
    size = surface.shape[0]
    edge[:] = 1
    for row in range(1, size - 1):
        for column in range(1, size - 1):
            here = surface[row, column]
            differs = (surface[row - 1, column - 1] != here) | (surface[row - 1, column] != here)
            differs |= (surface[row - 1, column + 1] != here) | (surface[row, column - 1] != here)
            differs |= (surface[row, column + 1] != here) | (surface[row + 1, column - 1] != here)
            differs |= (surface[row + 1, column] != here) | (surface[row + 1, column + 1] != here)
            edge[row, column] = differs


@compiled
def objects_near(surface: Any, row: int, column: int, near: Any) -> int:
    """List the objects that a pixel and its eight neighbours show in `near`; return how many."""
    size = surface.shape[0]
    count = 0
    for other_row in range(max(row - 1, 0), min(row + 2, size)):
        for other_column in range(max(column - 1, 0), min(column + 2, size)):
            there = surface[other_row, other_column]
            if there == FLOOR:
                continue
            index = (there - 1) // FACES
            known = False
            for position in range(count):
                known |= near[position] == index
            if not known:
                near[count] = index
                count += 1
    return count


@inlined
def _sample(
    tables: Tables, ox: float, oy: float, oz: float, screen: Any, row: int, column: int, sample: int,
    near: Any, objects: int,
) -> tuple[int, float, float, float, float]:  # fmt: skip
    """Find what a coverage sample of a pixel shows: surface, distance (MISS for the floor) and direction."""
    # Sixteen rooks: every row and column of a 16 x 16 grid is hit once, so edges of any slope have 16 steps.
    mirrored = (sample & 1) << 3 | (sample & 2) << 1 | (sample & 4) >> 1 | (sample & 8) >> 3
    dx, dy, dz = ray(screen, column + (sample + 0.5) / COVERAGE, row + (mirrored + 0.5) / COVERAGE)
    nearest, here = MISS, FLOOR
    for position in range(objects):
        distance, face = enter(tables.solids, near[position], ox, oy, oz, dx, dy, dz)
        if distance < nearest:
            nearest = distance
            here = 1 + FACES * near[position] + face
    return here, nearest, dx, dy, dz


@compiled
def cover(
    tables: Tables, camera: Any, screen: Any, row: int, column: int, near: Any, objects: int, found: Any, hits: Any
) -> int:
    """Find the surfaces that a pixel's coverage samples show, each with the mean of its points and its share.

    Args:
        near: the objects to look for: those that the pixel and its neighbours show.
        found: the surface at the pixel's centre comes in as its first; the surfaces found, written.
        hits: that surface's point comes in as its first; per surface its mean point and its share, written.

    Returns:
        How many surfaces; beyond MOST_SURFACES a sample joins the first, which no scene on the grid reaches.
    """
    ox, oy, oz = camera[0], camera[1], camera[2]
    # Most pixels next to an edge are not crossed by it; the four outermost samples show that.
    crossed = False
    for sample in (0, 3, 12, 15):
        here, _, _, _, _ = _sample(tables, ox, oy, oz, screen, row, column, sample, near, objects)
        crossed |= here != found[0]
    if not crossed:
        return 1
    kinds = 0
    for sample in range(COVERAGE):
        here, nearest, dx, dy, dz = _sample(tables, ox, oy, oz, screen, row, column, sample, near, objects)
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
