"""Where the ray-traced images show what: masks, depth, frame, jitter. How they look is in test_render3d_light.py."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from math import cos, pi, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from css_gen.rendering.nuisance import MATERIALS, Jitter, Nuisance, sample_nuisance
from css_gen.rendering.render2d import position_2d
from css_gen.rendering.render3d import Rendering, render_3d, render_solids, unit_turn
from css_gen.rendering.stage import CLEVR, VIEWS, jittered
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject
from tests.css_gen.rendering.references_rendering import Floats, camera_rays, full_grid, look, plain, solids_of

METAL = replace(Nuisance(), materials=("metal",) * 9)
CORNERS = list(product((-1.0, 1.0), repeat=3))


def drawn(seed: int, **switches: bool) -> Nuisance:
    return sample_nuisance(Jitter(**switches), rng=np.random.default_rng(seed))


def grid_of(shape: Shape, size: Size = Size.LARGE, colour: Colour = Colour.RED) -> Scene:
    return Scene(tuple(SceneObject(cell, size, colour, shape) for cell in Cell))


def centres(size: int) -> tuple[Floats, Floats]:
    rows, columns = np.indices((size, size)) + 0.5
    return rows.ravel(), columns.ravel()


def assert_same(one: Rendering, other: Rendering) -> None:
    for name in ("image", "mask", "depth"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("view", sorted(VIEWS))
def test_mask_and_depth_are_the_nearest_of_all_objects_on_each_ray(view: str, seed: int) -> None:
    """Every object is tried on every pixel's ray; the kernel looks inside their bounds on the screen alone."""
    size, nuisance = 48, drawn(seed)
    scene = full_grid(np.random.default_rng(seed))
    stage = jittered(replace(plain(VIEWS[view]), trim=0.0), nuisance)
    ours = render_solids(solids_of(scene, nuisance), stage, size=size)
    seen = look(solids_of(scene, nuisance), stage.camera, size, *centres(size))
    np.testing.assert_array_equal(ours.mask.ravel(), seen.number)
    np.testing.assert_allclose(ours.depth.ravel(), seen.depth, rtol=1e-6)
    assert set(seen.number) == set(range(10))


def test_the_backdrops_depth_is_where_a_march_first_goes_under_its_profile() -> None:
    """Rays that end within a hand of where the backdrop begins, with a step of a hundredth, are left out."""
    size = 24
    origins, ways = camera_rays(CLEVR.camera, size, *centres(size))
    away, height = np.array(CLEVR.backdrop).T

    def above(distance: Floats) -> tuple[Floats, Floats]:
        points = origins + distance[:, None] * ways
        along = points[:, :2] @ CLEVR.backdrop_towards
        return along, points[:, 2] - np.interp(along, away, height, left=0.0)

    near, far = np.zeros(len(ways)), np.full(len(ways), np.inf)
    for step in np.arange(0.0, 60.0, 0.02):
        over = above(np.full(len(ways), step))[1] > 0
        near = np.where(over & np.isinf(far), step, near)
        far = np.where(~over & np.isinf(far), step, far)
    assert np.isfinite(far).all()
    for _ in range(40):
        middle = (near + far) / 2
        over = above(middle)[1] > 0
        near, far = np.where(over, middle, near), np.where(over, far, middle)
    clear = np.abs(above(near)[0] - away[0]) > 0.2
    depth = render_3d(Scene(), Nuisance(), size=size, view="clevr").depth.ravel()
    np.testing.assert_allclose(depth[clear], near[clear], rtol=1e-6)
    assert (above(near)[0][clear] > away[0]).mean() > 0.3


@pytest.mark.parametrize("item", [SceneObject(Cell.BOTTOM_LEFT, Size.SMALL, Colour.CYAN, Shape.CIRCLE)])
def test_the_mask_numbers_cells_whatever_else_is_there(item: SceneObject) -> None:
    alone = render_3d(Scene((item,)), Nuisance(), size=64).mask
    assert set(np.unique(alone)) == {0, 1 + item.cell.index}
    among = render_3d(Scene((*full_grid(np.random.default_rng(0)).objects[:3], item)), Nuisance(), size=64).mask
    np.testing.assert_array_equal(among == 1 + item.cell.index, alone > 0)


def middle_of(mask: Floats) -> tuple[float, float]:
    rows, columns = np.nonzero(mask)
    return float(columns.mean()) + 0.5, float(rows.mean()) + 0.5


def test_cells_lie_in_the_image_as_in_the_flat_one() -> None:
    """In three rows and columns, far at the top; the middles are within a seventh of the image of the flat ones'."""
    mask = render_3d(grid_of(Shape.CIRCLE, Size.SMALL), Nuisance(), size=96).mask
    for cell in Cell:
        solid = np.array(middle_of(mask == 1 + cell.index)) / 96
        flat = position_2d(SceneObject(cell, Size.SMALL, Colour.RED, Shape.CIRCLE), Nuisance())
        np.testing.assert_allclose(solid, flat, atol=1 / 7)
        assert (int(3 * solid[0]), int(3 * solid[1])) == (cell.column, cell.row)


@pytest.mark.parametrize(("axis", "sign"), list(product((0, 1), (-1, 1))))
def test_an_offset_moves_an_object_as_in_the_flat_image(axis: int, sign: int) -> None:
    offsets = np.zeros((9, 2))
    offsets[:, axis] = sign
    scene = grid_of(Shape.CIRCLE, Size.SMALL)
    before, after = (render_3d(scene, n, size=96).mask for n in (Nuisance(), Nuisance(offsets=offsets)))
    for item in scene:
        number = 1 + item.cell.index
        moved = np.subtract(middle_of(after == number), middle_of(before == number))
        flat = np.subtract(position_2d(item, Nuisance(offsets=offsets)), position_2d(item, Nuisance()))
        assert np.sign(moved[axis]) == np.sign(flat[axis]) != 0
        assert abs(moved[axis]) > 0.8
        assert abs(moved[1 - axis]) < 0.6


def at_the_corners() -> Iterator[tuple[Nuisance, Scene]]:
    """Every corner of the jitter of camera and position, with the widest and tallest of everything in every cell."""
    for camera, offset in product(CORNERS, product((-1.0, 1.0), repeat=2)):
        for shape, turn in ((Shape.TRIANGLE, 0.0), (Shape.CIRCLE, 0.0), (Shape.RECTANGLE, 0.0), (Shape.RECTANGLE, 0.1)):
            offsets, turns = np.tile(offset, (9, 1)), np.full(9, turn)
            yield Nuisance(camera=np.array(camera), offsets=offsets, turns=turns), grid_of(shape)


def test_nothing_is_clipped_at_the_corners_of_the_jitter() -> None:
    size = 64
    for nuisance, scene in at_the_corners():
        mask = render_3d(scene, nuisance, size=size, with_depth=False).mask
        assert not mask[[0, -1]].any()
        assert not mask[:, [0, -1]].any()


def test_the_grid_fills_the_frame() -> None:
    mask = render_3d(grid_of(Shape.TRIANGLE), Nuisance(), size=96).mask > 0
    assert np.ptp(np.nonzero(mask.any(axis=1))[0]) > 0.65 * 96  # rows are foreshortened
    assert np.ptp(np.nonzero(mask.any(axis=0))[0]) > 0.75 * 96


def visible_shares(scene: Scene, nuisance: Nuisance, size: int) -> Iterator[float]:
    together = render_3d(scene, nuisance, size=size, with_depth=False).mask
    for item in scene:
        alone = render_3d(Scene((item,)), nuisance, size=size, with_depth=False).mask > 0
        yield (together == 1 + item.cell.index).sum() / alone.sum()


def test_every_object_of_a_full_grid_is_seen() -> None:
    rng = np.random.default_rng(0)
    for _ in range(25):
        nuisance = sample_nuisance(Jitter(), rng=rng)
        assert min(visible_shares(full_grid(rng), nuisance, 64)) > 0.5


@pytest.mark.parametrize("shape", Shape)
def test_a_small_object_close_behind_big_ones_is_still_seen(shape: Shape) -> None:
    """The worst there is: large cylinders as far back as they go, the object in the row behind as near as it goes."""
    for back, camera in product((0, 1), CORNERS[::3]):
        objects = []
        offsets = np.zeros((9, 2))
        for cell in Cell:
            far = cell.row == back
            offsets[cell.index] = 0.0, -1.0 if far else 1.0
            size, kind = (Size.SMALL, shape) if far else (Size.LARGE, Shape.TRIANGLE)
            objects.append(SceneObject(cell, size, Colour.GRAY, kind))
        nuisance = Nuisance(offsets=offsets, camera=np.array(camera))
        shares = list(visible_shares(Scene(tuple(objects)), nuisance, 64))[3 * back : 3 * back + 3]
        assert min(shares) > 0.3


@pytest.mark.parametrize("shape", Shape)
def test_small_and_large_are_told_apart_by_area_wherever_they_stand(shape: Shape) -> None:
    """The largest small object, near and to the front, covers less than the smallest large one, far and to the back."""
    areas: dict[Size, list[int]] = {size: [] for size in Size}
    for cell, size, along, turn in product((Cell.TOP_LEFT, Cell.TOP_CENTER, Cell.BOTTOM_RIGHT), Size, (-1, 1), (0, 1)):
        nuisance = Nuisance(offsets=np.tile((0.0, along), (9, 1)), turns=np.full(9, turn / 8))
        scene = Scene((SceneObject(cell, size, Colour.RED, shape),))
        areas[size].append(int((render_3d(scene, nuisance, size=64, with_depth=False).mask > 0).sum()))
    assert max(areas[Size.SMALL]) < 0.7 * min(areas[Size.LARGE])
    assert min(areas[Size.SMALL]) > 12


def test_one_scene_gives_the_same_bytes_whatever_was_rendered_before_and_beside() -> None:
    nuisance = sample_nuisance(Jitter(materials=MATERIALS), rng=np.random.default_rng(4))
    scenes = [full_grid(np.random.default_rng(seed)) for seed in range(4)] + [Scene()]
    first = [render_3d(scene, nuisance, size=48) for scene in scenes]
    for scene, before in zip(reversed(scenes), reversed(first), strict=True):
        assert_same(render_3d(scene, nuisance, size=48), before)
    with ThreadPoolExecutor(4) as threads:
        for before, beside in zip(first, threads.map(lambda s: render_3d(s, nuisance, size=48), scenes), strict=True):
            assert_same(beside, before)
    assert_same(render_3d(Scene(scenes[0].objects[::-1]), nuisance, size=48), first[0])


def test_the_image_is_the_same_without_depth() -> None:
    scene, nuisance = full_grid(np.random.default_rng(0)), drawn(0)
    with_depth, without = (render_3d(scene, nuisance, size=48, with_depth=on) for on in (True, False))
    np.testing.assert_array_equal(with_depth.image, without.image)
    np.testing.assert_array_equal(with_depth.mask, without.mask)
    assert without.depth.size == 0


def test_inputs_are_left_alone() -> None:
    nuisance, before = drawn(2), drawn(2)
    render_3d(full_grid(np.random.default_rng(0)), nuisance, size=16)
    for name in ("offsets", "turns", "camera", "lights"):
        np.testing.assert_array_equal(getattr(nuisance, name), getattr(before, name))


def test_each_switch_changes_only_what_it_names() -> None:
    scene = grid_of(Shape.RECTANGLE)
    full = drawn(6)
    every = render_3d(scene, full, size=64)
    changed = {
        name: render_3d(scene, drawn(6, **{name: False}), size=64)
        for name in ("position", "rotation", "camera", "lights")
    }
    for name, other in changed.items():
        assert (other.image != every.image).mean() > 0.02, name
        outlines_stay = name == "lights"
        assert (other.mask == every.mask).all() == outlines_stay, name
        assert (other.depth == every.depth).all() == outlines_stay, name
    floor = (every.mask == 0) & (changed["position"].mask == 0)
    np.testing.assert_array_equal(changed["position"].depth[floor], every.depth[floor])
    floor = (every.mask == 0) & (changed["rotation"].mask == 0)
    np.testing.assert_array_equal(changed["rotation"].depth[floor], every.depth[floor])


def test_rotation_leaves_round_things_where_they_are() -> None:
    for shape in (Shape.CIRCLE, Shape.TRIANGLE):
        still, turned = (render_3d(grid_of(shape), n, size=64) for n in (Nuisance(), Nuisance(turns=drawn(1).turns)))
        np.testing.assert_array_equal(still.mask, turned.mask)
        np.testing.assert_allclose(still.depth, turned.depth, rtol=1e-6)


def test_materials_change_no_outline_and_no_pixel_of_the_floor_away_from_them() -> None:
    scene, nuisance = full_grid(np.random.default_rng(3)), drawn(3)
    rubber = render_3d(scene, nuisance, size=64)
    metal = render_3d(scene, replace(nuisance, materials=METAL.materials), size=64)
    np.testing.assert_array_equal(rubber.mask, metal.mask)
    np.testing.assert_array_equal(rubber.depth, metal.depth)
    differs = (rubber.image != metal.image).any(axis=2)
    assert differs[rubber.mask > 0].mean() > 0.9
    assert not differs[:6].any()


@pytest.mark.parametrize("view", sorted(VIEWS))
def test_the_empty_scene_is_a_lit_floor(view: str) -> None:
    for corner in CORNERS:
        rendering = render_3d(Scene(), Nuisance(camera=np.array(corner)), size=32, view=view)
        assert not rendering.mask.any()
        assert rendering.image.min() > 60
        assert 1 < rendering.depth.min() < rendering.depth.max() < 100


@pytest.mark.parametrize("materials", MATERIALS)
def test_nine_objects_are_nine_numbers(materials: str) -> None:
    nuisance = replace(drawn(8), materials=(materials,) * 9)
    rendering = render_3d(full_grid(np.random.default_rng(8)), nuisance, size=64)
    assert set(np.unique(rendering.mask)) == set(range(10))


objects = st.builds(
    SceneObject, st.sampled_from(Cell), st.sampled_from(Size), st.sampled_from(Colour), st.sampled_from(Shape)
)
scenes = st.lists(objects, max_size=9, unique_by=lambda item: item.cell).map(lambda items: Scene(tuple(items)))


@settings(max_examples=60)
@given(scene=scenes, seed=st.integers(0, 1000), size=st.integers(1, 40), view=st.sampled_from(sorted(VIEWS)))
def test_any_scene_at_any_size_is_finite(scene: Scene, seed: int, size: int, view: str) -> None:
    """A value that is no number would index the table of display values anywhere; a black pixel is a sign of one."""
    nuisance = sample_nuisance(Jitter(materials=MATERIALS), rng=np.random.default_rng(seed))
    rendering = render_3d(scene, nuisance, size=size, view=view)
    assert rendering.image.shape == (size, size, 3)
    assert rendering.mask.shape == rendering.depth.shape == (size, size)
    assert np.isfinite(rendering.depth).all()
    assert (rendering.depth > 1).all()
    assert (rendering.depth < 100).all()
    assert set(np.unique(rendering.mask)) <= {0, *(1 + item.cell.index for item in scene)}
    assert rendering.image.max(axis=2).min() > 4


@given(st.one_of(st.floats(-3, 3), st.sampled_from([k / 8 for k in range(-9, 10)])))
def test_angles_are_exact_to_the_last_bits(turn: float) -> None:
    assert unit_turn(turn) == pytest.approx((cos(2 * pi * turn), sin(2 * pi * turn)), abs=3e-15)


@pytest.mark.parametrize(("turn", "expected"), [(0, (1, 0)), (0.25, (0, 1)), (0.5, (-1, 0)), (0.75, (0, -1))])
def test_quarter_turns_are_exact(turn: float, expected: tuple[int, int]) -> None:
    assert unit_turn(turn) == expected
