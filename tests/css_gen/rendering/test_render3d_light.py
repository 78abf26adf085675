"""How the ray-traced images look: direct light and shadows, edges, colours."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import rgb2lab

from css_gen.rendering.nuisance import MATERIALS, Jitter, Nuisance, sample_nuisance
from css_gen.rendering.render2d import render_2d
from css_gen.rendering.render3d import REFLECTANCES, Solid, render_3d, render_solids
from css_gen.rendering.stage import GRID, Stage, jittered
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject
from tests.css_gen.rendering.references_rendering import (
    Floats,
    Seen,
    fine_direct_light,
    full_grid,
    linear,
    look,
    matte,
    plain,
    solids_of,
)

PI = np.pi


def choose(image: NDArray[np.uint8], mask: NDArray[np.uint8], rng: np.random.Generator, count: int) -> Floats:
    """Pixels (count, 2) whose neighbourhood is one object's or the floor's: half anywhere, half where light changes
    fast, which is where shadows end."""
    whole = ndimage.maximum_filter(mask, 5) == ndimage.minimum_filter(mask, 5)
    whole[:3] = whole[-3:] = whole[:, :3] = whole[:, -3:] = False
    slope = ndimage.gaussian_gradient_magnitude(image.astype(float).sum(axis=2), 1)
    places = np.argwhere(whole)
    steep = slope[whole]
    anywhere = rng.choice(len(places), count // 2, replace=False)
    changing = rng.choice(len(places), count - count // 2, replace=False, p=steep / steep.sum())
    return places[np.concatenate([anywhere, changing])]


def lit_scene(seed: int) -> tuple[list[Solid], Stage]:
    nuisance = sample_nuisance(Jitter(), rng=np.random.default_rng(seed))
    scene = full_grid(np.random.default_rng(seed))
    return solids_of(scene, nuisance), jittered(plain(GRID), nuisance)


def look_at_pixels(solids: list[Solid], stage: Stage, size: int, pixels: Floats) -> tuple[Seen, NDArray[np.bool_]]:
    """What shows at pixels' centres, and which of them show one face in all of their neighbourhood."""
    seen = look(solids, stage.camera, size, pixels[:, 0] + 0.5, pixels[:, 1] + 0.5)
    whole = np.ones(len(pixels), bool)
    for row, column in np.ndindex(2, 2):
        corner = look(solids, stage.camera, size, pixels[:, 0] + 3 * row - 1, pixels[:, 1] + 3 * column - 1)
        whole &= (corner.number == seen.number) & (corner.face == seen.face)
    return seen, whole


@pytest.mark.parametrize("size", [80, 224])
def test_matte_things_are_lit_by_the_sixteen_spots_of_each_light(size: int) -> None:
    """The kernel's own model computed otherwise; the floor's open light is interpolated, and blocks of pixels are
    skipped by their corners, from 112 pixels on."""
    solids, stage = lit_scene(3)
    ours = render_solids(solids, stage, size=size)
    pixels = choose(ours.image, ours.mask, np.random.default_rng(0), 260)
    seen, whole = look_at_pixels(solids, stage, size, pixels)
    off = np.abs(ours.image[*pixels.T] - matte(solids, stage, seen))[whole]
    assert whole.sum() > 200
    assert np.quantile(off, 0.98) < 1.0
    assert off.max() < 12.0


def test_soft_shadows_are_those_of_the_whole_lamps() -> None:
    """Against 196 places on each light, at 60 points, half of them where shadows end. Radiances are shares of the open
    floor's: a sixteenth of the key light is 0.04 of it."""
    size = 224
    solids, stage = lit_scene(5)
    ours = render_solids(solids, stage, size=size)
    pixels = choose(ours.image, ours.mask, np.random.default_rng(1), 60)
    seen, whole = look_at_pixels(solids, stage, size, pixels)
    reflectances = np.array([(stage.floor,) * 3, *(solid.reflectance for solid in solids)])
    expected = reflectances[seen.number] / PI * fine_direct_light(solids, stage, seen, 14)
    off = np.abs(linear(ours.image[*pixels.T]) - expected)[whole] / linear(ours.image).max()
    assert whole.sum() > 45
    assert off.mean() < 0.01
    assert off.max() < 0.06


def shrink(image: NDArray[np.uint8], factor: int) -> Floats:
    """Display values of an image whose light is averaged over factor x factor pixels."""
    size = len(image) // factor
    mean = linear(image).reshape(size, factor, size, factor, 3).mean(axis=(1, 3))
    return 255 * np.where(mean <= 0.0031308, 12.92 * mean, 1.055 * mean ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("materials", MATERIALS)
def test_an_image_is_the_mean_of_one_four_times_as_large(materials: str) -> None:
    """So edges are smooth, also those between two faces of one cube. Lamps mirrored in metal are sharper than pixels,
    and are compared no closer."""
    nuisance = replace(sample_nuisance(Jitter(), rng=np.random.default_rng(2)), materials=(materials,) * 9)
    scene = full_grid(np.random.default_rng(2))
    ours = render_3d(scene, nuisance, size=72).image
    off = np.abs(ours - shrink(render_3d(scene, nuisance, size=288).image, 4))
    assert off.mean() < {"rubber": 0.5, "metal": 1.5}[materials]
    assert np.quantile(off, 0.99) < {"rubber": 6, "metal": 25}[materials]
    if materials == "rubber":
        assert off.max() < 40


def test_the_edges_of_a_cube_have_values_between_their_faces_and_none_darker() -> None:
    """Where two faces of one cube meet across a row or column of pixels, and five pixels show nothing else. The edge is
    rounded, so it may face a lamp better than both faces do, and be brighter."""
    size = 96
    turns = np.linspace(0.03, 0.22, 9)
    nuisance = Nuisance(turns=turns)
    scene = Scene(tuple(SceneObject(cell, Size.LARGE, Colour.YELLOW, Shape.RECTANGLE) for cell in Cell))
    solids, stage = solids_of(scene, nuisance), plain(GRID)
    ours = render_solids(solids, stage, size=size)
    rows, columns = np.indices((size, size)) + 0.5
    seen = look(solids, stage.camera, size, rows.ravel(), columns.ravel())
    number, face = seen.number.reshape(size, size), seen.face.reshape(size, size)
    compared = between = 0
    for image, numbers, faces in ((ours.image, number, face), (ours.image.swapaxes(0, 1), number.T, face.T)):
        values = image.astype(float)
        for row, column in np.argwhere(faces[:, 2:-2] != faces[:, 3:-1]) + np.array([0, 2]):
            window = slice(column - 2, column + 4)
            around = numbers[max(row - 1, 0) : row + 2, max(column - 3, 0) : column + 5]
            one_cube = numbers[row, column] > 0 and np.ptp(around) == 0
            if not one_cube or (faces[row, window] != np.repeat(faces[row, [column, column + 1]], 3)).any():
                continue
            left, *middle, right = values[row, window]
            low, high = np.minimum(left, right) - 8, np.maximum(left, right) + 40
            assert ((middle >= low) & (middle <= high)).all(), (row, column)
            gap = np.abs(left - right).max()
            compared += 1
            between += gap > 20 and (np.abs(np.diff([left, *middle, right], axis=0)).max() < 0.85 * gap)
    assert compared > 40
    assert between > 0.5 * compared


@pytest.mark.parametrize("colour", [Colour.YELLOW, Colour.GRAY])
@pytest.mark.parametrize("shape", Shape)
def test_a_bright_object_has_no_dark_rim(shape: Shape, colour: Colour) -> None:
    """Pixels on and beside outlines are no darker than the light that a four times larger image has there: a rim that
    comes of sampling is a pixel wide at any size."""
    size, nuisance = 96, Nuisance(turns=np.linspace(0, 0.2, 9))
    scene = Scene(tuple(SceneObject(cell, Size.LARGE, colour, shape) for cell in Cell))
    ours = render_3d(scene, nuisance, size=size)
    larger = shrink(render_3d(scene, nuisance, size=4 * size).image, 4)
    mine = ours.mask > 0
    outline = ndimage.binary_dilation(mine) & ~ndimage.binary_erosion(mine)
    off = (ours.image - larger).mean(axis=2)[outline]
    assert len(off) > 500
    assert abs(off.mean()) < 1.0
    assert np.quantile(off, 0.01) > -12.0
    assert off.min() > -30.0


def mean_colour(colour: Colour, shape: Shape, size: Size, nuisance: Nuisance) -> Floats:
    """CIELAB (3,) of an object's mean display value; inner pixels only."""
    scene = Scene((SceneObject(Cell.MIDDLE_CENTER, size, colour, shape),))
    rendering = render_3d(scene, nuisance, size=64)
    inner = ndimage.binary_erosion(rendering.mask > 0)
    return rgb2lab(rendering.image[inner].mean(axis=0)[None] / 255)[0]


@pytest.mark.parametrize("materials", MATERIALS)
@pytest.mark.parametrize("size", Size)
def test_colours_of_solids_are_tellable_apart(size: Size, materials: str) -> None:
    """A CIELAB distance of 10 is several times what the eye tells apart side by side (about 2.3)."""
    for seed in (0, 1):
        nuisance = sample_nuisance(Jitter(), rng=np.random.default_rng(seed))
        nuisance = replace(nuisance, materials=(materials,) * 9)
        seen = {(c, s): mean_colour(c, s, size, nuisance) for c in Colour for s in Shape}
        for (one, one_shape), (other, other_shape) in combinations(seen, 2):
            if one != other:
                distance = np.linalg.norm(seen[one, one_shape] - seen[other, other_shape])
                assert distance > 10, (one, one_shape, other, other_shape)


def test_flat_colours_are_tellable_apart() -> None:
    found = {}
    for colour in Colour:
        scene = Scene((SceneObject(Cell.MIDDLE_CENTER, Size.SMALL, colour, Shape.CIRCLE),))
        image = render_2d(scene, Nuisance(), size=64)
        found[colour] = rgb2lab(image[(image != 255).any(axis=2)].mean(axis=0)[None] / 255)[0]
    assert min(np.linalg.norm(found[one] - found[other]) for one, other in combinations(Colour, 2)) > 20


def test_every_colour_and_the_floor_stay_below_white_and_above_black() -> None:
    """Rubber alone: a lamp mirrored in metal is white. Hues are those of the reflectances."""
    for colour in Colour:
        scene = Scene((SceneObject(Cell.MIDDLE_CENTER, Size.LARGE, colour, Shape.CIRCLE),))
        rendering = render_3d(scene, Nuisance(), size=64)
        shown = linear(rendering.image[rendering.mask > 0]).mean(axis=0)
        for one, other in combinations(range(3), 2):
            if REFLECTANCES[colour][one] > 1.5 * REFLECTANCES[colour][other]:
                assert shown[one] > 1.2 * shown[other]
        assert (rendering.image[rendering.mask == 0] < 255).all()
