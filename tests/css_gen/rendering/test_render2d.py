"""The flat images against drawings made by other means."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from css_gen.rendering.nuisance import Jitter, Nuisance, sample_nuisance
from css_gen.rendering.render2d import HALF_EXTENTS, PALETTE, ROOM, position_2d, render_2d
from css_gen.rendering.render3d import place
from css_gen.rendering.stage import AWAY, COLUMN_PITCH, RIGHT, ROW_PITCH
from css_gen.rendering.stage import ROOM as FLOOR_ROOM
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject
from tests.css_gen.rendering.references_rendering import Floats, full_grid

SIZES = (1, 2, 16, 64, 224)
AREAS = {Shape.RECTANGLE: 4.0, Shape.CIRCLE: np.pi, Shape.TRIANGLE: 2.0}
"""Of a shape of half extent 1."""


def inside(shape: Shape, points: Floats) -> NDArray[np.bool_]:
    """Whether points (..., 2), across and down, lie in a shape of half extent 1 around the origin."""
    if shape == Shape.RECTANGLE:
        return np.abs(points).max(axis=-1) < 1
    if shape == Shape.CIRCLE:
        return np.linalg.norm(points, axis=-1) < 1
    apex, right, left = np.array([[0, -1], [1, 1], [-1, 1]])
    within = np.ones(points.shape[:-1], bool)
    for start, end in ((apex, right), (right, left), (left, apex)):
        (along_x, along_y), (x, y) = end - start, np.moveaxis(points - start, -1, 0)
        within &= along_x * y - along_y * x > 0
    return within


def share(item: SceneObject, nuisance: Nuisance, size: int, samples: int) -> Floats:
    """Share (size, size) of each pixel that an object covers, by samples x samples points a pixel."""
    middle, half = np.array(position_2d(item, nuisance)), HALF_EXTENTS[item.size]
    covered = np.zeros((size, size))
    # Points are laid only on the pixels that its square touches.
    (left, top), (right, bottom) = (
        np.clip(edge, 0, size).astype(int)
        for edge in (np.floor(size * (middle - half)), np.ceil(size * (middle + half)))
    )
    columns, rows = (
        (np.arange(start * samples, end * samples) + 0.5) / (size * samples)
        for start, end in ((left, right), (top, bottom))
    )
    points = (np.stack(np.meshgrid(columns, rows), axis=-1) - middle) / half
    counts = inside(item.shape, points).reshape(bottom - top, samples, right - left, samples)
    covered[top:bottom, left:right] = counts.mean(axis=(1, 3))
    return covered


def drawing(scene: Scene, nuisance: Nuisance, size: int, samples: int) -> Floats:
    image = np.full((size, size, 3), 255.0)
    for item in scene:
        covered = share(item, nuisance, size, samples)[..., None]
        image = (1 - covered) * image + covered * np.array(PALETTE[item.colour], float)
    return image


def drawn(seed: int) -> Nuisance:
    return sample_nuisance(Jitter(), rng=np.random.default_rng(seed))


@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_blended_by_their_coverage(size: int) -> None:
    """Against 32 x 32 points a pixel (13 x 13 in large images). Ours are 8 x 8: a straight edge may be off by half a
    step of eight, a corner by two of them."""
    for seed in range(4 if size <= 16 else 1):
        scene, nuisance = full_grid(np.random.default_rng(seed)), drawn(seed)
        expected = drawing(scene, nuisance, size, 32 if size <= 64 else 13)
        off = np.abs(render_2d(scene, nuisance, size=size) - expected)
        assert off.max() <= 255 / 8 + 0.5
        assert off.mean() <= (2.5 if size > 2 else 5.0)  # in a pixel or four, all is edge


@pytest.mark.parametrize(("shape", "large"), list(product(Shape, Size)))
def test_every_shape_and_size_in_every_cell(shape: Shape, large: Size) -> None:
    """Exactly, with the same 8 x 8 points, none of which the draws put on an edge."""
    for number, cell in enumerate(Cell):
        scene = Scene((SceneObject(cell, large, tuple(Colour)[number % 8], shape),))
        nuisance = drawn(number)
        expected = np.floor(drawing(scene, nuisance, 48, 8) + 0.5)
        np.testing.assert_array_equal(render_2d(scene, nuisance, size=48), expected)


@settings(max_examples=60)
@given(
    cell=st.sampled_from(Cell),
    large=st.sampled_from(Size),
    colour=st.sampled_from(Colour),
    shape=st.sampled_from(Shape),
    offset=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    size=st.integers(1, 40),
)
def test_area_and_middle_are_right(
    cell: Cell, large: Size, colour: Colour, shape: Shape, offset: tuple[float, float], size: int
) -> None:
    """What an object takes from the white sums up to its area and balances about its middle."""
    item = SceneObject(cell, large, colour, shape)
    offsets = np.zeros((9, 2))
    offsets[cell.index] = offset
    nuisance = Nuisance(offsets=offsets)
    taken = 255.0 - render_2d(Scene((item,)), nuisance, size=size)
    channel = int(np.argmin(PALETTE[colour]))
    weights = taken[..., channel] / (255 - PALETTE[colour][channel])
    half = HALF_EXTENTS[large] * size
    # An edge of the outline may be off by a sixteenth of a pixel all along.
    slack = 8 * half / 16 + 0.08
    assert weights.sum() == pytest.approx(AREAS[shape] * half**2, abs=slack)
    if half >= 1:
        rows, columns = np.indices(weights.shape) + 0.5
        across, down = position_2d(item, nuisance)
        lower = 1 / 3 if shape == Shape.TRIANGLE else 0  # a triangle's middle is not its centre of gravity
        assert (columns * weights).sum() / weights.sum() == pytest.approx(across * size, abs=0.15)
        assert (rows * weights).sum() / weights.sum() == pytest.approx(down * size + lower * half, abs=0.15)


@pytest.mark.parametrize("size", SIZES)
def test_an_empty_scene_is_white(size: int) -> None:
    image = render_2d(Scene(), drawn(0), size=size)
    assert image.dtype == np.uint8
    assert image.shape == (size, size, 3)
    assert (image == 255).all()


@pytest.mark.parametrize("corner", list(product((-1.0, 1.0), repeat=2)))
def test_no_object_leaves_its_cell_at_any_corner_of_the_jitter(corner: tuple[float, float]) -> None:
    """Pixels on the lines between the cells, and beyond an object's own cell, stay white."""
    size = 96
    nuisance = Nuisance(offsets=np.tile(corner, (9, 1)))
    for cell, shape in product(Cell, Shape):
        image = render_2d(Scene((SceneObject(cell, Size.LARGE, Colour.BLUE, shape),)), nuisance, size=size)
        rows, columns = (slice(32 * place, 32 * (place + 1)) for place in (cell.row, cell.column))
        inner = image[rows, columns][1:-1, 1:-1]
        outside = (image != 255).any(axis=2).sum() - (inner != 255).any(axis=2).sum()
        assert outside == 0
        assert (inner == PALETTE[Colour.BLUE]).all(axis=2).any()


def test_offsets_are_those_of_the_solid_image() -> None:
    """One share of the room for both: right is right, and away is up."""
    nuisance = drawn(5)
    for cell in Cell:
        item = SceneObject(cell, Size.SMALL, Colour.RED, Shape.CIRCLE)
        floor, (across, down) = np.array(place(item, nuisance)), position_2d(item, nuisance)
        right = (floor @ RIGHT - (cell.column - 1) * COLUMN_PITCH) / FLOOR_ROOM[0]
        away = (floor @ AWAY - (1 - cell.row) * ROW_PITCH) / FLOOR_ROOM[1]
        flat = (across - (cell.column + 0.5) / 3) / ROOM, ((cell.row + 0.5) / 3 - down) / ROOM
        np.testing.assert_allclose(flat, (right, away), atol=1e-3)
        np.testing.assert_allclose(flat, nuisance.offsets[cell.index], atol=1e-12)


def test_only_the_offsets_of_a_nuisance_matter() -> None:
    scene, nuisance = full_grid(np.random.default_rng(1)), drawn(1)
    alone = Nuisance(offsets=nuisance.offsets)
    np.testing.assert_array_equal(render_2d(scene, nuisance, size=64), render_2d(scene, alone, size=64))
    assert (render_2d(scene, nuisance, size=64) != render_2d(scene, Nuisance(), size=64)).any()


def test_the_palette_is_drawn_as_it_stands() -> None:
    for colour, cell in product(Colour, Cell):
        image = render_2d(Scene((SceneObject(cell, Size.SMALL, colour, Shape.RECTANGLE),)), Nuisance(), size=64)
        assert {tuple(map(int, pixel)) for pixel in np.unique(image.reshape(-1, 3), axis=0)} >= {
            PALETTE[colour],
            (255, 255, 255),
        }
        assert image.min(axis=(0, 1)).tolist() == list(PALETTE[colour])
