"""The stored geometry against what the images show: masks, depths, and an image rendered from the columns alone."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from css_gen import dataset
from css_gen.dataset import DatasetError, Split
from css_gen.render import render
from css_gen.rendering.geometry import Geometry, ObjectGeometry
from css_gen.rendering.locate import locate
from css_gen.rendering.nuisance import MATERIALS, Jitter, Nuisance
from css_gen.rendering.render2d import render_2d
from css_gen.rendering.render3d import REFLECTANCES, Solid, render_solids
from css_gen.rendering.stage import VIEWS
from css_gen.scenes.factors import Shape
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.scene import Scene
from css_gen.storage.configuration import EXTRAS, Configuration
from css_gen.storage.geometry_columns import from_row, to_row
from css_gen.verify import verify

SIZE = 96


@pytest.fixture(scope="module", params=sorted(VIEWS))
def split(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Split:
    root = tmp_path_factory.mktemp("geometry") / request.param
    configuration = Configuration(
        images=60, size=SIZE, seed=4, view=request.param, jitter=Jitter(materials=MATERIALS), extras=EXTRAS
    )
    render(root, configuration, jobs=1)
    return dataset.open(root).split("test")


def surface(item: ObjectGeometry, shape: Shape) -> np.ndarray:
    """Points (N, 3) on an object that hold its outermost ones from any side."""
    around = np.linspace(0, 2 * np.pi, 200)
    if shape is Shape.CIRCLE:
        up = np.linspace(-1, 1, 201)
        ring = np.sqrt(1 - up**2)
        unit = np.stack(
            [np.outer(ring, np.cos(around)), np.outer(ring, np.sin(around)), np.repeat(up[:, None], 200, 1)], axis=-1
        ).reshape(-1, 3)
    elif shape is Shape.TRIANGLE:
        unit = np.array([(np.cos(turn), np.sin(turn), z) for turn in around for z in (-1, 1)])
    else:
        unit = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    cosine, sine = np.cos(item.rotation), np.sin(item.rotation)
    turned = unit @ np.array([(cosine, sine, 0), (-sine, cosine, 0), (0, 0, 1)])
    return item.position + item.half_extent * turned


def projected_box(geometry: Geometry, item: ObjectGeometry, shape: Shape) -> np.ndarray:
    """Left, top, right and bottom of an object that nothing hides; the projection is written out here once more."""
    camera = geometry.camera
    right, down, forward = camera.rotation @ (surface(item, shape) - camera.position).T
    focal, (middle, centre) = camera.intrinsics[0, 0], camera.intrinsics[:2, 2]
    across, along = middle + focal * right / forward, centre + focal * down / forward
    return np.array([across.min(), along.min(), across.max(), along.max()])


def overlap(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((np.maximum(one[:2], other[:2]) < np.minimum(one[2:], other[2:]) + 1).all())


def test_the_projected_pose_is_where_the_mask_shows_the_object(split: Split) -> None:
    """A pixel counts by its centre, so the mask's ends are within one pixel of the outline's."""
    alone = hidden = 0
    for image_id in range(0, len(split), 2):
        scene, geometry, mask = split.scene(image_id), split.geometry(image_id), split.mask(image_id)
        assert [item.cell for item in geometry.objects] == [item.cell for item in scene]
        boxes = [
            projected_box(geometry, item, shown.shape) for item, shown in zip(geometry.objects, scene, strict=True)
        ]
        for number, item in enumerate(geometry.objects):
            rows, columns = np.nonzero(mask == 1 + item.cell.index)
            seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert item.box_image_3d == seen
            others = [box for other, box in enumerate(boxes) if other != number]
            if any(overlap(boxes[number], box) for box in others):
                hidden += 1
                assert np.all(np.array(seen)[:2] >= boxes[number][:2] - 1)
                assert np.all(np.array(seen)[2:] <= boxes[number][2:] + 1)
            else:
                alone += 1
                np.testing.assert_allclose(seen, boxes[number], atol=1)
    assert alone > 40
    assert hidden > 0


def test_the_depth_of_an_objects_pixels_puts_them_on_its_surface(split: Split) -> None:
    shapes = set()
    for image_id in range(6):
        scene, geometry, depth = split.scene(image_id), split.geometry(image_id), split.depth(image_id)
        mask, camera = split.mask(image_id), geometry.camera
        assert depth.dtype == np.float32
        for item, shown in zip(geometry.objects, scene, strict=True):
            rows, columns = np.nonzero(mask == 1 + item.cell.index)
            pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
            rays = np.linalg.solve(camera.intrinsics @ camera.rotation, pixels).T
            points = camera.position + rays * depth[rows, columns][:, None]
            back, distances = camera.project(points)
            np.testing.assert_allclose(back, pixels[:2].T, atol=1e-9)
            np.testing.assert_allclose(distances, depth[rows, columns], rtol=1e-6)
            x, y, z = (points - item.position).T
            across, along = (
                np.cos(item.rotation) * x + np.sin(item.rotation) * y,
                np.cos(item.rotation) * y - np.sin(item.rotation) * x,
            )
            reach = {
                Shape.CIRCLE: np.sqrt(x**2 + y**2 + z**2),
                Shape.TRIANGLE: np.maximum(np.hypot(x, y), np.abs(z)),
                Shape.RECTANGLE: np.max(np.abs([across, along, z]), axis=0),
            }[shown.shape]
            np.testing.assert_allclose(reach, item.half_extent, atol=1.5e-3)
            shapes.add(shown.shape)
    assert len(shapes) == 3


def test_depth_is_infinite_where_the_image_has_its_greatest_value(split: Split) -> None:
    stored, depth = dataset.decode_png(split.png(0, "depth")), split.depth(0)
    np.testing.assert_array_equal(np.isinf(depth), stored == 65535)
    np.testing.assert_allclose(depth[stored < 65535], stored[stored < 65535] / 1000, rtol=1e-6)


def test_the_columns_are_enough_to_render_the_image_again(split: Split) -> None:
    """Material, lamps and sun, too: the picture differs visibly where one of them is another."""
    metals = 0
    for image_id in range(8):
        scene, geometry = split.scene(image_id), split.geometry(image_id)
        again, stored = rendered_from(scene, geometry, split), split.image_3d(image_id).astype(int)
        assert np.abs(again - stored).max() <= 2
        assert np.abs(again - stored).mean() < 0.01
        first = geometry.objects[0]
        changed = replace(first, material="metal" if first.material == "rubber" else "rubber")
        other = rendered_from(scene, replace(geometry, objects=(changed, *geometry.objects[1:])), split)
        assert np.abs(other - stored).max() > 10
        metals += sum(item.material == "metal" for item in geometry.objects)
    assert metals > 3


def rendered_from(scene: Scene, geometry: Geometry, split: Split) -> np.ndarray:
    stage = VIEWS[split.manifest.configuration.view]
    solids = [
        Solid(
            shown.shape.solid_name, item.half_extent, item.position[0], item.position[1], item.rotation / (2 * np.pi),
            REFLECTANCES[shown.colour], item.material == "metal",
        )
        for item, shown in zip(geometry.objects, scene, strict=True)
    ]  # fmt: skip
    lamps = tuple(
        replace(light, position=(*lamp.position,), size=lamp.size, radiance=(*lamp.radiance,))
        for light, lamp in zip(stage.lights, geometry.lamps, strict=True)
    )
    lit = replace(
        stage,
        trim=0.0,  # a stored half extent is that of what is shown
        camera=replace(stage.camera, position=(*geometry.camera.position,)),
        lights=lamps,
        sun=replace(stage.sun, towards=(*geometry.sun.direction,), irradiance=geometry.sun.irradiance),
    )
    return render_solids(solids, lit, size=SIZE, with_depth=False).image.astype(int)


def test_the_flat_box_holds_what_is_drawn_of_an_object_alone(split: Split) -> None:
    configuration = split.manifest.configuration
    for image_id in range(10):
        nuisance = configuration.nuisance(SplitId.TEST, image_id)
        for item, shown in zip(split.geometry(image_id).objects, split.scene(image_id), strict=True):
            drawn = (render_2d(Scene((shown,)), nuisance, size=SIZE) != 255).any(axis=2)
            rows, columns = np.nonzero(drawn)
            seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            room = (seen - item.box_image_2d) * (1, 1, -1, -1)
            assert room.min() >= 0
            assert room.max() <= 1


def test_an_object_that_is_hidden_has_an_empty_box(split: Split) -> None:
    scene = split.scene(0)
    nothing = locate(scene, Nuisance(), np.zeros((SIZE, SIZE), np.uint8))
    assert {item.box_image_3d for item in nothing.objects} == {(0, 0, 0, 0)}


def test_a_row_keeps_every_bit(split: Split) -> None:
    empty = locate(Scene(), Nuisance(), np.zeros((SIZE, SIZE), np.uint8))
    assert to_row(from_row(Scene(), to_row(empty))) == to_row(empty)
    for image_id in range(len(split)):
        geometry = split.geometry(image_id)
        assert to_row(from_row(split.scene(image_id), to_row(geometry))) == to_row(geometry)


def test_a_dataset_without_the_columns_says_how_to_get_them(tiny_dataset: Path) -> None:
    split = dataset.open(tiny_dataset).split("test")
    for name, option in {"mask": "masks", "depth": "depth", "geometry": "geometry"}.items():
        with pytest.raises(DatasetError, match=f"no column .*--with {option} "):
            getattr(split, name)(0)


def test_verify_finds_a_value_that_is_not_the_nuisances(rich_dataset: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(rich_dataset, tmp_path / "css"))
    (shard,) = (root / "test").glob("images-00001-*")
    table = pq.read_table(shard)
    rows = table["camera_position"].to_pylist()
    rows[2][0] += 1e-9
    column = table.column_names.index("camera_position")
    changed = table.set_column(column, table.schema.field(column), [rows])
    footer = pq.read_metadata(shard).metadata
    pq.write_table(changed.replace_schema_metadata(footer), shard, compression="NONE")
    found = [str(problem) for problem in verify(root, jobs=1)]
    assert any("row 2: camera_position is not that of its scene and nuisances" in each for each in found), found
