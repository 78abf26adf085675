"""Every layout, read back by a reader that is not ours."""

import csv
import gc
import io
import json
import pickle
import pickletools
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import webdataset
from PIL import Image

from css_gen import dataset
from css_gen.errors import UsageError
from css_gen.export import export_to, names
from css_gen.scenes.modification import Make, parse
from css_gen.scenes.scene import Scene
from css_gen.storage.geometry_columns import to_row

SPLITS = ("train", "test")
PLAIN = {"numpy", "numpy._core.multiarray", "numpy.core.multiarray"}


@pytest.fixture(scope="module")
def exported(tiny_dataset, tmp_path_factory) -> dict[str, Path]:
    """The tiny dataset in every layout there is."""
    root = tmp_path_factory.mktemp("exports")
    for name in names():
        export_to(dataset.open(tiny_dataset), root / name, name)
    return {name: root / name for name in names()}


def test_every_layout_has_a_test():
    assert {f"{name}_layout" for name in names()} <= {name.removeprefix("test_") for name in globals()}


def test_a_layout_that_does_not_exist(tiny_dataset, tmp_path):
    with pytest.raises(UsageError, match="no layout is called 'zip'; expected one of png, "):
        export_to(dataset.open(tiny_dataset), tmp_path / "out", "zip")
    assert list(tmp_path.iterdir()) == []


def test_png_layout(exported, tiny_dataset):
    for name in SPLITS:
        split = dataset.open(tiny_dataset).split(name)
        folder = exported["png"] / name
        with (folder / "images.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(split)
        for index, row in enumerate(rows):
            assert (int(row["image_id"]), row["key"]) == (index, split.keys[index])
            assert bool(int(row["is_reference"])) == split.is_reference[index]
            assert Scene.from_json(row["scene"]) == split.scene(index)
            np.testing.assert_array_equal(np.array(opened(folder / row["image_3d"])), split.image_3d(index))
            np.testing.assert_array_equal(np.array(opened(folder / row["image_2d"])), split.image_2d(index))
        assert queries_of(folder / "queries.jsonl") == [query.to_json() for query in split.queries]


def test_masks_and_depth_are_exported_too(rich_dataset, tmp_path):
    export_to(dataset.open(rich_dataset), tmp_path / "png", "png")
    export_to(dataset.open(rich_dataset), tmp_path / "tar", "webdataset")
    split = dataset.open(rich_dataset).split("test")
    with tarfile.open(tmp_path / "tar" / "test-000000.tar") as tar:
        for column in ("mask", "depth"):
            assert (tmp_path / "png" / "test" / column / "000007.png").read_bytes() == split.png(7, column)
            assert tar.extractfile(f"000000007.{column}.png").read() == split.png(7, column)
        about = json.loads(tar.extractfile("000000007.json").read())
        assert about["geometry"] == to_row(split.geometry(7))


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_webdataset_layout(exported, tiny_dataset):
    for name in SPLITS:
        split = dataset.open(tiny_dataset).split(name)
        url = str(exported["webdataset"] / f"{name}-000000.tar")
        samples = list(webdataset.WebDataset(url, shardshuffle=False, empty_check=False).decode("rgb8"))
        assert len(samples) == len(split)
        for index, sample in enumerate(samples):
            np.testing.assert_array_equal(sample["3d.png"], split.image_3d(index))
            np.testing.assert_array_equal(sample["2d.png"], split.image_2d(index))
            about = sample["json"]
            assert (about["image_id"], about["key"]) == (index, split.keys[index])
            assert Scene.from_json(json.dumps(about["scene"])) == split.scene(index)
        assert queries_of(exported["webdataset"] / f"{name}-queries.jsonl") == [
            query.to_json() for query in split.queries
        ]
    # The reader leaves its files to the collector, which is to complain here, where it is not heard.
    gc.collect()


def test_webdataset_starts_another_tar_where_one_is_full(tiny_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("css_gen.export.webdataset.IMAGES_PER_TAR", 30)
    export_to(dataset.open(tiny_dataset), tmp_path / "tar", "webdataset")
    numbers = []
    for part in range(3):
        with tarfile.open(tmp_path / "tar" / f"test-{part:06d}.tar") as tar:
            numbers.append([int(name[:9]) for name in tar.getnames() if name.endswith(".json")])
    assert numbers == [list(range(30)), list(range(30, 60)), list(range(60, 75))]


@pytest.mark.parametrize("name", names())
def test_equal_datasets_give_equal_exports(exported, tiny_copy, tmp_path, contents, name):
    export_to(dataset.open(tiny_copy), tmp_path / name, name)
    assert contents(tmp_path / name) == contents(exported[name])


@pytest.mark.parametrize("name", names())
def test_an_export_that_fails_leaves_nothing(tiny_copy, tmp_path, name):
    (tiny_copy / "test" / "images-00003-of-00004.parquet").unlink()
    (tmp_path / "exports").mkdir()
    with pytest.raises(dataset.DatasetError, match="is missing"):
        export_to(dataset.open(tiny_copy), tmp_path / "exports" / name, name)
    assert list((tmp_path / "exports").iterdir()) == []


def test_an_empty_folder_may_be_exported_into(tiny_dataset, tmp_path):
    (tmp_path / "out").mkdir()
    export_to(dataset.open(tiny_dataset), tmp_path / "out", "webdataset")
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert (tmp_path / "out" / "test-queries.jsonl").exists()


def opened(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()), formats=["PNG"])


def queries_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def load_as_google_tirg_does(folder: Path, split: str) -> SimpleNamespace:
    """What google/tirg's CSSDataset takes from its files, step by step, written anew from its contract."""
    table = np.load(f"{folder}/css_toy_dataset_novel2_small.dup.npy", allow_pickle=True).item()[split]
    images = []
    for objects in table["objects_img"]:
        label = table["labels"][len(images)] if "labels" in table else len(images)
        images.append(SimpleNamespace(objects=objects, label=label, captions=[str(label)]))
    outgoing: dict[int, list[tuple[int, int]]] = {number: [] for number in range(len(images))}
    test_queries = []
    for number, mod in enumerate(table["mods"]):
        for place in range(len(mod["from"])):
            outgoing[mod["from"][place]].append((number, mod["to"][place]))
        for source, target in zip(mod["from"], mod["to"], strict=False):
            test_queries.append((source, images[target].captions[0], mod["to_str"]))

    def image(number: int) -> np.ndarray:
        with Path(f"{folder}/images//css_{split}_{number:06d}.png").open("rb") as file:
            return np.array(Image.open(file).convert("RGB"))

    return SimpleNamespace(images=images, mods=table["mods"], outgoing=outgoing, queries=test_queries, image=image)


@pytest.mark.parametrize("name", SPLITS)
def test_tirg_layout(exported, tiny_dataset, name):
    loaded = load_as_google_tirg_does(exported["tirg"], name)
    split = dataset.open(tiny_dataset).split(name)
    assert len(loaded.images) == len(split)
    assert loaded.queries == [
        (query.source_id, loaded.images[query.target_id].captions[0], query.text) for query in split.queries
    ]
    for index in range(len(split)):
        np.testing.assert_array_equal(loaded.image(index), split.image_3d(index))
        same_label = {other for other, image in enumerate(loaded.images) if image.label == loaded.images[index].label}
        assert same_label == {other for other, key in enumerate(split.keys) if key == split.keys[index]}
        # Its training draws a second modification of the same image until it finds one, so there must be one.
        assert len(loaded.outgoing[index]) != 1
    for number, mod in enumerate(loaded.mods):
        queries = [query for query in split.queries if query.modification_id == number]
        assert mod["from"] == [query.source_id for query in queries]
        assert mod["to"] == [query.target_id for query in queries]
        assert len(mod["from"]) == 3
        modification = parse(mod["to_str"])
        assert [mod["type"]] == mod["str"] == [mod["to_str"].split()[0]]
        assert [mod[f"target_{word}"] for word in ("shape", "pos", "size", "color")] == [
            modification.selector.shape, modification.selector.cell,
            modification.selector.size, modification.selector.colour,
        ]  # fmt: skip
        made = (modification.new_colour, modification.new_size) if isinstance(modification, Make) else (None, None)
        assert (mod["make_new_color"], mod["make_new_size"]) == made


@pytest.mark.parametrize("name", SPLITS)
def test_tirg_positions_are_where_the_flat_image_has_the_objects(exported, tiny_dataset, name):
    loaded = load_as_google_tirg_does(exported["tirg"], name)
    split = dataset.open(tiny_dataset).split(name)
    for index, image in enumerate(loaded.images):
        flat = split.image_2d(index)
        assert [item["shape"] for item in image.objects] == [item.shape for item in split.scene(index)]
        for item, expected in zip(image.objects, split.scene(index), strict=True):
            down, across = item["pos"]
            assert (int(down * 3), int(across * 3)) == (expected.cell.row, expected.cell.column)
            assert (item["size"], item["color"]) == (expected.size, expected.colour)
            # google/tirg draws at 64 pixels and leaves the frame, with an error, where these do not hold.
            half = {"small": 4, "large": 8}[item["size"]]
            assert half <= down * 64 < 64 - half
            assert half <= across * 64 < 64 - half
            assert not (flat[int(down * 32), int(across * 32)] == 255).all()


def test_tirg_table_is_plain(exported):
    """Loading a pickle can run anything, so what this one may name is checked, and so is what it holds."""
    content = (exported["tirg"] / "css_toy_dataset_novel2_small.dup.npy").read_bytes()
    start = content.index(b"\n") + 1
    named = {argument for code, argument, _ in pickletools.genops(content[start:]) if code.name == "GLOBAL"}
    strings = [argument for code, argument, _ in pickletools.genops(content[start:]) if "UNICODE" in code.name]
    assert not any("css_gen" in string for string in strings)
    assert {name.split()[0] for name in named} <= PLAIN

    def types(value: object) -> set[type]:
        inside = value.items() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
        return {type(value)}.union(*(types(item) for item in inside))

    assert types(pickle.loads(content[start:]).item()) == {dict, list, tuple, str, int, float, type(None)}
