"""The stage's figures, and what nuisance does to camera and lights."""

from dataclasses import FrozenInstanceError, fields, replace
from itertools import product
from math import atan, degrees, pi

import numpy as np
import pytest

from css_gen.rendering.nuisance import CELLS, LIGHTS, MATERIALS, Jitter, Nuisance, sample_nuisance
from css_gen.rendering.render3d import RADII
from css_gen.rendering.stage import AWAY, CLEVR, COLUMN_PITCH, GRID, RIGHT, ROOM, ROW_PITCH, VIEWS, Stage, jittered
from tests.css_gen.rendering.references_rendering import frame

LARGEST = max(RADII.values())
CORNERS = [np.array(signs, float) for signs in product((-1, 1), repeat=3)]
DRAWN = Nuisance(
    camera=np.array([0.25, -1.0, 0.5]),
    lights=np.array([[1.0, 0.5, 0.25], [-1.0, -0.5, -0.25], [0.125, 0.0, 1.0], [1.0, -1.0, 0.5]]),
)


@pytest.fixture(params=sorted(VIEWS))
def stage(request: pytest.FixtureRequest) -> Stage:
    return VIEWS[request.param]


def test_the_views_are_clevrs_and_the_grids() -> None:
    assert VIEWS == {"clevr": CLEVR, "grid": GRID}


def test_clevrs_camera_is_a_35_mm_lens_on_a_32_mm_sensor() -> None:
    """Blender's defaults, which CLEVR's base scene keeps; the image is square, so its width is the sensor's."""
    assert CLEVR.camera.window == pytest.approx((0, 0, 16 / 35), abs=1e-4)
    assert degrees(2 * atan(CLEVR.camera.window[2])) == pytest.approx(49.13, abs=0.01)


def test_a_lamps_power_is_its_radiance_times_pi_times_its_area() -> None:
    """100, 30 and 50 Blender units of light, of which a quarter pi watts are one."""
    strongest = [max(lamp.radiance) * pi * lamp.size**2 for lamp in CLEVR.lights]
    assert strongest == pytest.approx([100 * pi / 4, 30 * pi / 4, 50 * pi / 4], rel=1e-5)


def test_the_grid_lies_across_clevrs_line_of_sight() -> None:
    right, up, _ = frame(CLEVR.camera.position, CLEVR.camera.aim)
    np.testing.assert_allclose(RIGHT, right[:2], atol=1e-4)
    np.testing.assert_allclose(AWAY, up[:2] / np.linalg.norm(up[:2]), atol=1e-4)


def test_the_grid_is_seen_along_clevrs_viewing_direction() -> None:
    ours, clevrs = (frame(each.camera.position, each.camera.aim)[2] for each in (GRID, CLEVR))
    assert ours @ clevrs > np.cos(np.radians(0.5))


def test_the_grid_differs_from_clevr_in_its_camera_and_the_trim_alone() -> None:
    assert {field.name for field in fields(Stage) if getattr(GRID, field.name) != getattr(CLEVR, field.name)} == {
        "camera",
        "trim",
    }


def test_neighbours_on_the_grid_never_touch() -> None:
    for pitch, room in ((COLUMN_PITCH, ROOM[0]), (ROW_PITCH, ROOM[1])):
        assert pitch - 2 * room > 2 * LARGEST


def test_the_backdrop_rises_ever_more_steeply(stage: Stage) -> None:
    profile = np.array(stage.backdrop)
    away, height = np.diff(profile, axis=0).T
    assert (away > 0).all()
    assert (np.diff(height / away) > 0).all()
    assert np.linalg.norm(stage.backdrop_towards) == pytest.approx(1, abs=1e-4)


def test_no_nuisance_changes_nothing(stage: Stage) -> None:
    assert jittered(stage, Nuisance()) == stage


def test_each_draw_moves_its_own_by_its_share_of_the_reach(stage: Stage) -> None:
    moved = jittered(stage, DRAWN)
    np.testing.assert_allclose(
        np.subtract(moved.camera.position, stage.camera.position), stage.camera.jitter * DRAWN.camera, atol=1e-12
    )
    for before, after, draw in zip(stage.lights, moved.lights, DRAWN.lights[:3], strict=True):
        np.testing.assert_allclose(np.subtract(after.position, before.position), before.jitter * draw, atol=1e-12)
        assert replace(after, position=before.position) == before
    np.testing.assert_allclose(
        np.subtract(moved.sun.towards, stage.sun.towards), stage.sun.jitter * DRAWN.lights[3], atol=1e-12
    )
    restored = replace(
        moved,
        camera=replace(moved.camera, position=stage.camera.position),
        lights=stage.lights,
        sun=replace(moved.sun, towards=stage.sun.towards),
    )
    assert restored == stage


def test_figures_stay_plain_numbers(stage: Stage) -> None:
    """numpy's would turn up in JSON and in reprs."""
    moved = jittered(stage, DRAWN)
    for place in (moved.camera.position, moved.sun.towards, *(lamp.position for lamp in moved.lights)):
        assert [type(value) for value in place] == [float] * 3


def test_every_corner_of_the_jitter_keeps_camera_and_lights_above_and_outside_what_can_stand_there(
    stage: Stage,
) -> None:
    top = 2 * LARGEST
    for corner in CORNERS:
        moved = jittered(stage, Nuisance(camera=corner, lights=np.tile(corner, (LIGHTS, 1))))
        assert moved.camera.position[2] > top + 1
        assert moved.sun.towards[2] > 0.5
        for lamp in moved.lights:
            # shading takes a lamp for small beside its distance
            assert lamp.position[2] - top > 2 * lamp.size


@pytest.mark.parametrize("lights", [np.zeros((3, 3)), np.zeros((4, 2)), np.zeros((0, 3))])
def test_draws_of_another_shape_are_refused(lights: np.ndarray) -> None:
    with pytest.raises((ValueError, IndexError)):
        jittered(GRID, Nuisance(lights=lights))


def test_a_camera_draw_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        jittered(GRID, Nuisance(camera=np.zeros(2)))


def test_a_stage_cannot_be_changed_by_accident(stage: Stage) -> None:
    with pytest.raises(FrozenInstanceError):
        stage.floor = 0.5  # type: ignore[misc]


ARRAYS = {"position": ["offsets"], "rotation": ["turns"], "camera": ["camera"], "lights": ["lights"]}


def draw(**switches: bool) -> Nuisance:
    return sample_nuisance(Jitter(**switches), rng=np.random.default_rng(3))


def test_draws_stay_in_their_range_and_use_all_of_it() -> None:
    rng = np.random.default_rng(0)
    drawn = [sample_nuisance(Jitter(materials=MATERIALS), rng=rng) for _ in range(400)]
    for name, low, shape in (("offsets", -1, (9, 2)), ("turns", 0, (9,)), ("camera", -1, (3,)), ("lights", -1, (4, 3))):
        values = np.array([getattr(nuisance, name) for nuisance in drawn])
        assert values.shape[1:] == shape
        assert values.dtype == np.float64
        assert low <= values.min() < low + 0.02
        assert 0.98 < values.max() <= 1
    metal = np.mean([[name == "metal" for name in nuisance.materials] for nuisance in drawn], axis=0)
    assert len(metal) == CELLS
    assert (np.abs(metal - 0.5) < 0.12).all()


@pytest.mark.parametrize("switch", sorted(ARRAYS))
def test_a_switch_neutralises_its_own_draws_and_leaves_the_others(switch: str) -> None:
    full, without, neutral = draw(), draw(**{switch: False}), Nuisance()
    for field in fields(Nuisance):
        expected = neutral if field.name in ARRAYS[switch] else full
        np.testing.assert_array_equal(getattr(without, field.name), getattr(expected, field.name))


def test_materials_change_nothing_but_materials() -> None:
    rubber = sample_nuisance(Jitter(), rng=np.random.default_rng(3))
    both = sample_nuisance(Jitter(materials=MATERIALS), rng=np.random.default_rng(3))
    assert set(rubber.materials) == {"rubber"}
    assert set(both.materials) == set(MATERIALS)
    for name in ("offsets", "turns", "camera", "lights"):
        np.testing.assert_array_equal(getattr(rubber, name), getattr(both, name))


@pytest.mark.parametrize("materials", [(), ("wood",), ("rubber", "Metal"), ("",)])
def test_unknown_materials_are_refused(materials: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="materials must be some of rubber, metal"):
        Jitter(materials=materials)
