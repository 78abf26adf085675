"""What is read back is what was rendered, in every reader, and however many workers there were."""

import hashlib
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from css_gen import dataset
from css_gen.dataset import DatasetError
from css_gen.render import render
from css_gen.rendering.nuisance import sample_nuisance
from css_gen.rendering.render2d import render_2d
from css_gen.rendering.render3d import render_3d
from css_gen.scenes.randomness import SplitId, Stream, stream
from css_gen.scenes.sampling import HeldOut, SplitPlan
from css_gen.storage.configuration import Configuration
from css_gen.storage.geometry_columns import COLUMNS, to_row
from css_gen.storage.manifest import read_manifest

SPLITS = {"train": SplitId.TRAIN, "test": SplitId.TEST}


def plan_of(configuration: Configuration, split: SplitId) -> SplitPlan:
    images = configuration.images // 2
    return SplitPlan(images, seed=configuration.seed, split=split, held_out=HeldOut.sample(seed=configuration.seed))


@pytest.mark.parametrize("name", SPLITS)
def test_images_and_scenes_are_those_of_the_plan(tiny_dataset, tiny_configuration, name):
    plan = plan_of(tiny_configuration, SPLITS[name])
    split = dataset.open(tiny_dataset).split(name)
    assert len(split) == plan.images == 75
    assert split.is_reference == [index < plan.references for index in range(75)]
    streamed = list(split.iter_images())
    assert len(streamed) == len(split.keys) == 75
    for index in range(75):
        scene = plan.scene(index)
        assert split.scene(index) == scene
        assert split.keys[index] == scene.key
        rng = stream(tiny_configuration.seed, SPLITS[name], Stream.NUISANCE, index)
        nuisance = sample_nuisance(tiny_configuration.jitter, rng=rng)
        solid, flat = render_3d(scene, nuisance, size=32).image, render_2d(scene, nuisance, size=32)
        for read in (split.image_3d(index), streamed[index][0]):
            np.testing.assert_array_equal(read, solid)
        for read in (split.image_2d(index), streamed[index][1]):
            np.testing.assert_array_equal(read, flat)


@pytest.mark.parametrize("name", SPLITS)
def test_queries_are_those_of_the_plan(tiny_dataset, tiny_configuration, name):
    plan = plan_of(tiny_configuration, SPLITS[name])
    rows = dataset.open(tiny_dataset).split(name).queries
    expected = plan.queries(0, plan.images - plan.references)
    assert len(rows) == len(expected) > 60
    for row, query in zip(rows, expected, strict=True):
        assert row.query_id == query.index
        assert (row.source_id, row.target_id, row.novel) == (query.source, query.target, query.novel)
        assert (row.text, row.modification) == (query.modification.text, query.modification)
        assert (row.kind, row.modification_id) == (query.modification.kind, query.index // 3)


def test_random_access_agrees_with_streaming_in_any_order(tiny_dataset):
    split = dataset.open(tiny_dataset).split("train")
    streamed = [png for (png,) in split.iter_pngs(["image_3d"])]
    order = np.random.default_rng(0).permutation(len(split))
    assert [split.png_3d(int(index)) for index in order] == [streamed[index] for index in order]


def test_mask_and_depth_are_the_renderers(rich_dataset):
    opened = dataset.open(rich_dataset)
    configuration = opened.manifest.configuration
    plan = plan_of(configuration, SplitId.TEST)
    masks = set()
    for index, (mask, depth) in enumerate(opened.split("test").iter_images(["mask", "depth"])):
        nuisance = sample_nuisance(
            configuration.jitter, rng=stream(configuration.seed, SplitId.TEST, Stream.NUISANCE, index)
        )
        rendering = render_3d(plan.scene(index), nuisance, size=24)
        np.testing.assert_array_equal(mask, rendering.mask)
        assert depth.dtype == np.uint16
        np.testing.assert_allclose(depth / 1000, np.minimum(rendering.depth, 65.535), atol=0.5001e-3)
        masks |= {*np.unique(mask)}
    assert len(masks) > 5


def test_names_decide_the_words(rich_dataset):
    texts = {query.text for name in SPLITS for query in dataset.open(rich_dataset).split(name).queries}
    words = {word for text in texts for word in text.split()}
    assert words & {"cube", "sphere", "cylinder"}
    assert not words & {"rectangle", "circle", "triangle"}


def test_several_workers_make_the_same_bytes(tiny_dataset, tiny_configuration, tmp_path, contents):
    render(tmp_path / "css", tiny_configuration, jobs=3)
    assert contents(tmp_path / "css") == contents(tiny_dataset)


def test_nothing_but_the_dataset_is_left_in_its_folder(tiny_dataset):
    manifest = read_manifest(tiny_dataset)
    left = {path.relative_to(tiny_dataset).as_posix() for path in tiny_dataset.rglob("*") if path.is_file()}
    assert left == {*manifest.files, "manifest.json", "README.md", "croissant.json", ".css-gen.lock"}


def test_the_manifest_counts_and_sums_its_files(tiny_dataset, tiny_configuration):
    values = json.loads((tiny_dataset / "manifest.json").read_text())
    assert values["configuration"] == tiny_configuration.to_json()
    assert values["splits"]["train"] == {"images": 75, "references": 3, "queries": 72}
    assert values["held_out"] == HeldOut.sample(seed=3).to_json()
    for name, entry in values["files"].items():
        content = (tiny_dataset / name).read_bytes()
        assert entry["bytes"] == len(content)
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    assert sum(entry["rows"] for entry in values["files"].values()) == 150 + 2 * 72


FEW = Configuration(images=24, size=16)


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("few") / "css"
    render(root, FEW, jobs=1)
    return root


@pytest.mark.parametrize(
    "change",
    [{"seed": 4}, {"size": 17}, {"images": 25}, {"names": "3d"}, {"view": "clevr"}, {"test_fraction": 0.4}],
    ids=lambda change: next(iter(change)),
)
def test_another_configuration_is_another_fingerprint(few, tmp_path, change):
    other = render(tmp_path / "css", replace(FEW, **change), jobs=1)
    assert other.fingerprint != dataset.open(few).fingerprint


def test_the_fingerprint_does_not_depend_on_how_files_are_stored(few, tmp_path, contents, monkeypatch):
    monkeypatch.setattr("css_gen.storage.png._LEVEL", 3)
    monkeypatch.setattr("css_gen.storage.shard_writer.ROW_GROUP_IMAGES", 2)
    other = render(tmp_path / "css", FEW, jobs=1)
    assert other.fingerprint == dataset.open(few).fingerprint
    assert contents(tmp_path / "css") != contents(few)


@pytest.mark.slow
def test_every_cpu_makes_the_same_content(start_css_gen, tmp_path):
    """Compiled for this CPU or for any of its kind: one fingerprint."""
    arguments = ("render", "--n", 60, "--size", 96, "--materials", "rubber,metal", "--with", "masks,depth,geometry",
                 "--jobs", 1)  # fmt: skip
    fingerprints = []
    for name, environment in {"native": {}, "generic": {"NUMBA_CPU_NAME": "generic"}}.items():
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in environment.items():
                patch.setenv(variable, value)
            process = start_css_gen(*arguments, "--out", tmp_path / name)
        _, stderr = process.communicate()
        assert process.returncode == 0, stderr
        fingerprints.append(dataset.open(tmp_path / name).fingerprint)
    assert fingerprints[0] == fingerprints[1]


def test_a_split_survives_pickling(tiny_dataset):
    split = dataset.open(tiny_dataset).split("test")
    split.image_3d(0)
    again = pickle.loads(pickle.dumps(split))
    np.testing.assert_array_equal(again.image_3d(70), split.image_3d(70))


def test_images_can_be_written_to(tiny_dataset):
    image = dataset.open(tiny_dataset).split("test").image_3d(0)
    image += 1


@pytest.mark.parametrize("index", [-1, 75, 10**9])
def test_an_image_that_is_not_there_is_an_index_error(tiny_dataset, index):
    with pytest.raises(IndexError, match="images 0 to 74"):
        dataset.open(tiny_dataset).split("test").image_3d(index)


def test_a_column_that_is_not_there_is_named(tiny_dataset):
    split = dataset.open(tiny_dataset).split("test")
    with pytest.raises(DatasetError, match="no column mask"):
        split.png(0, "mask")
    with pytest.raises(DatasetError, match=r"no column image_4d; it has image_id, .*image_3d, image_2d"):
        list(split.iter_images(["image_4d"]))
    with pytest.raises(DatasetError, match="no column depth"):
        next(split.iter_images(["depth"]))


def test_a_split_that_is_not_there_is_named(tiny_dataset):
    with pytest.raises(DatasetError, match="no split 'validation'; expected one of train, test"):
        dataset.open(tiny_dataset).split("validation")


def test_huggingface_datasets_loads_the_folder(rich_dataset, tmp_path):
    """In a process of its own: the library is slow to import, warns, and keeps caches where the environment says."""
    script = f"""
import json, datasets
images = datasets.load_dataset({str(rich_dataset)!r}, "images", split="test")
queries = datasets.load_dataset({str(rich_dataset)!r}, "queries", split="train")
by_default = datasets.load_dataset({str(rich_dataset)!r})
bare = datasets.load_dataset("parquet", data_files={str(rich_dataset / "test")!r} + "/images-*.parquet", split="train")
import numpy
print(json.dumps({{
    "features": {{name: type(kind).__name__ for name, kind in images.features.items()}},
    "pixels": [numpy.asarray(images[19][name]).tolist() for name in ("image_3d", "image_2d", "mask", "depth")],
    "geometry": {{name: images[19][name] for name in {[*COLUMNS]!r}}},
    "kinds": {{name: str(images.features[name]) for name in {[*COLUMNS]!r}}},
    "bare kinds": {{name: str(bare.features[name]) for name in {[*COLUMNS]!r}}},
    "keys": images["key"][:], "ids": images["image_id"][:], "texts": queries["text"][:],
    "splits": {{name: len(rows) for name, rows in by_default.items()}},
    "bare": type(bare.features["image_3d"]).__name__,
}}))
"""
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    loaded = json.loads(ran.stdout)
    opened = dataset.open(rich_dataset)
    split = opened.split("test")
    images = ("image_3d", "image_2d", "mask", "depth")
    assert {name for name, kind in loaded["features"].items() if kind == "Image"} == set(images)
    assert loaded["bare"] == "Image"
    for name, pixels in zip(images, loaded["pixels"], strict=True):
        np.testing.assert_array_equal(pixels, dataset.decode_png(split.png(19, name)))
    assert loaded["geometry"] == to_row(split.geometry(19))
    assert loaded["kinds"] == loaded["bare kinds"]
    assert loaded["kinds"]["object_position"] == "List(List(Value('float64')))"
    assert loaded["keys"] == split.keys
    assert loaded["ids"] == list(range(len(split)))
    assert loaded["texts"] == [query.text for query in opened.split("train").queries]
    assert loaded["splits"] == {"train": 20, "test": 20}


def test_huggingface_datasets_loads_this_rendering_and_not_one_of_the_same_name(tmp_path):
    """It caches a folder by its last name and its card, so every card has to be another."""
    for seed, folder in enumerate(("a", "b", "again")):
        render(tmp_path / folder / "css", Configuration(images=40, size=16, seed=seed), jobs=1)
    script = f"""
import json, pathlib, shutil, datasets
root = pathlib.Path({str(tmp_path)!r})
def first(folder):
    rows = datasets.load_dataset(str(root / folder / "css"), split="test")
    queries = datasets.load_dataset(str(root / folder / "css"), "queries", split="test")
    return [rows[0]["key"], queries["text"][:]]
found = [first("a"), first("b"), first("a")]
shutil.rmtree(root / "a" / "css")
shutil.copytree(root / "again" / "css", root / "a" / "css")
print(json.dumps([*found, first("a")]))
"""
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache"), "PATH": "/usr/bin:/bin"}
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    splits = [dataset.open(tmp_path / folder / "css").split("test") for folder in ("a", "b")]
    before = dataset.open(tmp_path / "a" / "css").fingerprint
    assert before == dataset.open(tmp_path / "again" / "css").fingerprint
    again, other = ([split.keys[0], [query.text for query in split.queries]] for split in splits)
    first_a, first_b, second_a, replaced = json.loads(ran.stdout)
    assert first_b == other
    assert replaced == again
    assert second_a == first_a
    assert len({json.dumps(rows) for rows in (first_a, other, again)}) == 3
