"""Rays and shadows of the three solids against signed distances, on hostile rays and on random ones."""

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from css_gen.rendering.kernels.geometry import FACES, LIGHT_SAMPLES, MISS, block, curvature_at, enter, normal_at
from css_gen.rendering.render3d import KINDS, Solid
from tests.css_gen.rendering.references_rendering import (
    Floats,
    entry,
    nearest_approach,
    normals,
    signed_distance,
    solid_rows,
    to_local,
)

SHAPES = tuple(KINDS)
GREY = (0.5, 0.5, 0.5)

solids = st.builds(
    Solid,
    shape=st.sampled_from(SHAPES),
    half_extent=st.floats(0.2, 1.0),
    x=st.floats(-4, 4),
    y=st.floats(-4, 4),
    turn=st.one_of(st.sampled_from([0.0, 0.125, 0.25, 0.5]), st.floats(0, 1)),
    reflectance=st.just(GREY),
)
places = st.tuples(st.floats(-6, 6), st.floats(-6, 6), st.floats(-1, 6))
steps = st.one_of(st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-9]), st.floats(-3, 3).filter(lambda step: abs(step) > 1e-6))
directions = st.tuples(steps, steps, steps).filter(lambda direction: np.linalg.norm(direction) > 0.01)


def unit(shape: str) -> Solid:
    """Half extent 1, at the origin of the floor, not turned: from z = 0 to z = 2."""
    return Solid(shape, 1.0, 0.0, 0.0, 0.0, GREY)


def meet(solid: Solid, origin: tuple[float, ...], direction: tuple[float, ...]) -> tuple[float, int]:
    return enter(solid_rows([solid]), 0, *map(float, origin), *map(float, direction))


def check_entry(solid: Solid, origin: tuple[float, ...], direction: tuple[float, ...]) -> None:
    check_entries(solid, np.array([origin], float), np.array([direction], float))


def check_entries(solid: Solid, origins: Floats, ways: Floats, touch: float = 1e-9) -> None:
    """A ray that goes in deeper than `touch` hits where bisection says; one that keeps off misses; between, either."""
    expected, depth = entry(solid, origins, ways)
    found, faces = np.array([meet(solid, *ray) for ray in zip(origins, ways, strict=True)]).T
    assert (found[depth > touch] == MISS).all()
    deep = depth < -touch
    np.testing.assert_allclose(found[deep], expected[deep], atol=1e-6)
    hit = found < MISS
    points = origins[hit] + found[hit, None] * ways[hit]
    assert (np.abs(signed_distance(solid, points)) < 1e-7).all()
    assert np.isin(faces[hit], range(FACES)).all()


@settings(max_examples=120)
@given(solid=solids, origin=places, direction=directions)
def test_rays_enter_where_bisection_says(solid: Solid, origin: tuple[float, ...], direction: tuple[float, ...]) -> None:
    assume(signed_distance(solid, np.array(origin)) > 1e-6)
    check_entry(solid, origin, direction)


@settings(max_examples=80)
@given(solid=solids, origin=places, aim=st.tuples(*[st.floats(-1.1, 1.1)] * 3))
def test_rays_aimed_at_a_solid_enter_where_bisection_says(
    solid: Solid, origin: tuple[float, ...], aim: tuple[float, ...]
) -> None:
    assume(signed_distance(solid, np.array(origin)) > 1e-6)
    middle = np.array([solid.x, solid.y, solid.half_extent])
    direction = middle + solid.half_extent * np.array(aim) - origin
    assume(np.linalg.norm(direction) > 1e-3)
    check_entry(solid, origin, tuple(direction))


@pytest.mark.parametrize("shape", SHAPES)
def test_rays_along_the_axes(shape: str) -> None:
    """From all around, also exactly in the planes of the faces and through the middle, both ways."""
    middle = np.array([0.0, 0.0, 1.0])
    origins, ways = [], []
    for axis, way, start in product(range(3), (1.0, -1.0), (-3.0, 3.0)):
        for across in product((-1.5, -1, -0.999999, -0.3, 0, 0.5, 1, 1.000001), repeat=2):
            origins.append(middle + np.insert(np.array(across, float), axis, start))
            ways.append(way * np.eye(3)[axis])
    check_entries(unit(shape), np.array(origins), np.array(ways))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gap", [1e-6, -1e-6])
def test_a_grazing_ray_is_told_from_a_near_miss(shape: str, gap: float) -> None:
    """Past the top, past the side, and at a slant past the edge; from near and, as the camera, from far."""
    slant = {"cube": (1, 0, 2), "cylinder": (1, 0, 2), "sphere": (np.sqrt(0.5), 0, 1 + np.sqrt(0.5))}[shape]
    out = (np.sqrt(0.5), 0, np.sqrt(0.5))
    for touch, normal in (((0, 0, 2), (0, 0, 1)), ((1, 0, 1), (1, 0, 0)), (slant, out)):
        past = np.array(touch) + gap * np.array(normal)
        for way in ((0.0, 1.0, 0.0), tuple(np.cross((0, 1, 0), normal))):
            for far in (1.5, 30.0):
                hit = meet(unit(shape), tuple(past - far * np.array(way)), way)[0] < MISS
                assert hit == (gap < 0)


@pytest.mark.parametrize("shape", ["cube", "cylinder"])
def test_a_ray_in_the_plane_of_a_face_or_along_an_edge_ends_on_the_surface_or_misses(shape: str) -> None:
    for origin, direction in (
        ((1, -3, 1), (0, 1, 0)), ((-3, 0.2, 2), (1, 0, 0)), ((-3, 0.2, 0), (1, 0, 0)), ((1, -3, 2), (0, 1, 0)),
        ((1, 1, 5), (0, 0, -1)), ((1, 0, 5), (0, 0, -1)), ((2, -3, 3), (-0.5, 1, -0.5)),
    ):  # fmt: skip
        check_entry(unit(shape), origin, direction)


@pytest.mark.parametrize("shape", ["sphere", "cylinder"])
def test_rays_from_a_corner_of_the_box_around_a_round_solid(shape: str) -> None:
    for corner in product((-0.95, 0.95), (-0.95, 0.95), (0.05, 1.95)):
        assert signed_distance(unit(shape), np.array(corner)) > 0
        ways = np.array([way for way in product((-1.0, 0.0, 1.0), repeat=3) if any(way)])
        check_entries(unit(shape), np.tile(corner, (len(ways), 1)), ways)


@settings(max_examples=100)
@given(solid=solids, origin=places, direction=directions)
def test_nothing_is_met_behind_a_ray(solid: Solid, origin: tuple[float, ...], direction: tuple[float, ...]) -> None:
    assume(signed_distance(solid, np.array(origin)) > 1e-6)
    forwards = meet(solid, origin, direction)[0]
    backwards = meet(solid, origin, tuple(-step for step in direction))[0]
    assert MISS in (forwards, backwards)
    assert forwards > 0
    assert backwards > 0


def surface_points(solid: Solid, rng: np.random.Generator, count: int) -> tuple[Floats, list[int]]:
    """Where rays from all around meet a solid, and the faces that `enter` names."""
    middle = np.array([solid.x, solid.y, solid.half_extent])
    ways = rng.normal(size=(count, 3))
    origins = middle + 5 * ways / np.linalg.norm(ways, axis=1, keepdims=True)
    aims = middle + rng.uniform(-0.5, 0.5, (count, 3)) * solid.half_extent
    hits = [meet(solid, tuple(origin), tuple(aim - origin)) for origin, aim in zip(origins, aims, strict=True)]
    distances = np.array([distance for distance, _ in hits])
    return origins + distances[:, None] * (aims - origins), [face for _, face in hits]


@pytest.mark.parametrize("shape", SHAPES)
def test_normals_are_the_way_the_distance_grows(shape: str) -> None:
    rng = np.random.default_rng(0)
    solid = Solid(shape, 0.7, 1.0, -2.0, 0.1, GREY)
    points, faces = surface_points(solid, rng, 300)
    rows = solid_rows([solid])
    ours = np.array([normal_at(rows, 0, face, *point, 0.0) for point, face in zip(points, faces, strict=True)])
    np.testing.assert_allclose(ours, normals(solid, points), atol=1e-6)
    assert len(set(faces)) == {"cube": 6, "cylinder": 3, "sphere": 1}[shape]


@pytest.mark.parametrize("shape", SHAPES)
def test_rounding_turns_normals_near_edges_alone_and_without_a_step(shape: str) -> None:
    solid, rounding = Solid(shape, 0.7, 1.0, -2.0, 0.1, GREY), 0.1
    points, faces = surface_points(solid, np.random.default_rng(1), 2000)
    rows = solid_rows([solid])
    local = np.abs(to_local(solid, points)) / solid.half_extent
    if shape == "cylinder":
        local = np.stack([np.hypot(local[:, 0], local[:, 1]), local[:, 2]], 1)
    # On a face one of these is 1; the next greatest tells how near its edge is.
    to_edge = np.sort(local, axis=1)[:, -2] if shape != "sphere" else np.zeros(len(points))
    near_edge = to_edge > 1 - rounding
    sharp = np.array([normal_at(rows, 0, face, *point, 0.0) for point, face in zip(points, faces, strict=True)])
    round_ = np.array([normal_at(rows, 0, face, *point, rounding) for point, face in zip(points, faces, strict=True)])
    np.testing.assert_allclose(np.linalg.norm(round_, axis=1), 1)
    np.testing.assert_allclose(round_[~near_edge], sharp[~near_edge], atol=1e-12)
    assert ((round_ * sharp).sum(axis=1)[near_edge] < 1 - 1e-9).all()
    hits = zip(points, faces, strict=True)
    turned = np.array([curvature_at(rows, 0, face, *point, rounding) for point, face in hits])
    flat = 1 / solid.half_extent if shape == "sphere" else 0.0
    # it counts as turning once it has turned by a degree, which it has after three hundredths of the rounded strip
    assert (turned[to_edge > 1 - 0.97 * rounding] > 2 / solid.half_extent).all()
    assert (turned[~near_edge] >= flat).all()
    assert (turned[~near_edge] <= 1 / solid.half_extent).all()


def test_two_faces_agree_on_the_normal_of_the_edge_between_them() -> None:
    cube, cylinder = solid_rows([unit("cube")]), solid_rows([unit("cylinder")])
    for along in (-0.8, 0.0, 0.85):
        # Faces 1, 3 and 5 look along x, y and z; face 0 of a cylinder is its side, 1 its top.
        for one, two, point in ((1, 3, (1, 1, 1 + along)), (1, 5, (1, along, 2)), (3, 5, (along, 1, 2))):
            np.testing.assert_allclose(
                normal_at(cube, 0, one, *map(float, point), 0.1), normal_at(cube, 0, two, *map(float, point), 0.1)
            )
        rim = (float(np.cos(along)), float(np.sin(along)), 2.0)
        np.testing.assert_allclose(normal_at(cylinder, 0, 0, *rim, 0.1), normal_at(cylinder, 0, 1, *rim, 0.1))


def check_block(solid: Solid, points: Floats, spots: Floats, *, are_directions: bool) -> None:
    """Points (N, 3), each with its own `spots` (N, 16, 3) on a light. Where the way to a spot passes within single
    precision of the surface, either answer will do."""
    found = np.zeros((len(points), LIGHT_SAMPLES), np.int32)
    for point, around, blocked in zip(points, spots, found, strict=True):
        samples = np.ascontiguousarray(around.T[None], np.float32)
        taken = (0.0, 0.0, 0.0) if are_directions else point
        block(solid_rows([solid]), 0, *map(float, point), *map(float, taken), samples, 0, blocked)
    ways = spots if are_directions else spots - points[:, None]
    origins = np.repeat(points, LIGHT_SAMPLES, axis=0)
    depth = nearest_approach(solid, origins, ways.reshape(-1, 3))[1].reshape(found.shape)
    clear = np.abs(depth) > 2e-5
    np.testing.assert_array_equal(found[clear], depth[clear] < 0)


@settings(max_examples=80)
@given(
    solid=solids,
    point=st.tuples(st.floats(-6, 6), st.floats(-6, 6), st.one_of(st.just(0.0), st.floats(0, 2))),
    lamp=st.tuples(st.floats(-8, 8), st.floats(-8, 8), st.floats(3, 9)),
    seed=st.integers(0, 9),
    are_directions=st.booleans(),
)
@example(Solid("cube", 0.5, 0.0, 0.0, 0.0, GREY), (2.0, 0.0, 0.0), (-4.0, 0.0, 3.0), 0, False)
def test_a_light_is_blocked_where_the_way_to_it_goes_through_the_solid(
    solid: Solid, point: tuple[float, ...], lamp: tuple[float, ...], seed: int, are_directions: bool
) -> None:
    assume(signed_distance(solid, np.array(point)) > 1e-3)
    spread = 5.0 if are_directions else 0.5
    spots = np.array(lamp) * (6 if are_directions else 1) + np.random.default_rng(seed).uniform(
        -spread, spread, (LIGHT_SAMPLES, 3)
    )
    check_block(solid, np.array([point]), spots[None], are_directions=are_directions)


@pytest.mark.parametrize("shape", SHAPES)
def test_light_from_straight_above_and_along_faces_is_blocked_rightly(shape: str) -> None:
    """Ways that are parallel to an axis, where a slab's distances are infinite; points beside, before and behind."""
    points, spots = [], []
    for point in product((-1.001, -0.5, 0.0, 0.999), (-1.001, -0.5, 0.0, 0.999), (-0.5, 2.5)):
        for way in ((0, 0, 5), (5, 0, 0), (0, -5, 0), (0, 5, 5)):
            points.append(point)
            spots.append([np.array(point) + (1 + k / 16) * np.array(way) for k in range(LIGHT_SAMPLES)])
    check_block(unit(shape), np.array(points), np.array(spots), are_directions=False)


def test_marks_of_another_solid_are_left_alone() -> None:
    blocked = np.ones(LIGHT_SAMPLES, np.int32)
    samples = np.full((1, 3, LIGHT_SAMPLES), 9.0, np.float32)
    for shape in SHAPES:
        block(solid_rows([unit(shape)]), 0, 3.0, 3.0, 0.0, 3.0, 3.0, 0.0, samples, 0, blocked)
    assert blocked.all()
