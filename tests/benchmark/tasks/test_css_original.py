"""The original CSS release against a slow reading of its layout; our own export stands for it."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import css_gen.dataset
from benchmark.datasets import plain_pickle
from benchmark.datasets.css_original import TABLE_NAME, CssOriginal
from benchmark.errors import BenchmarkError
from benchmark.training.progress import SilentRuns
from css_gen.export.tirg import export_tirg


@pytest.fixture(scope="module")
def made(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "css-original"
    root.mkdir()
    export_tirg(css_gen.dataset.open(tiny_dataset), root, lambda _: None)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "css-original"))


def opened(root: Path, *, skip_broken: bool = False) -> CssOriginal:
    return CssOriginal(root, image_size=16, reporter=SilentRuns(), skip_broken=skip_broken)


def table_of(root: Path) -> dict[str, Any]:
    """As google/tirg reads it; it is our own file."""
    content: dict[str, Any] = np.load(root / TABLE_NAME, allow_pickle=True).item()
    return content


def rewrite(root: Path, table: Any) -> None:
    with (root / TABLE_NAME).open("wb") as file:
        np.save(file, np.array(table, dtype=object), allow_pickle=True)


@pytest.mark.parametrize("with_labels", [True, False])
def test_queries_and_labels_are_those_of_a_slow_reading(root: Path, with_labels: bool) -> None:
    table = table_of(root)
    if not with_labels:
        for split in table.values():
            del split["labels"]
        rewrite(root, table)
    dataset = opened(root)
    for name, split in (("train", dataset.train), ("test", dataset.test)):
        expected = [
            (source, target, mod["to_str"])
            for mod in table[name]["mods"]
            for source, target in zip(mod["from"], mod["to"], strict=True)
        ]
        queries = split.queries
        found = list(zip(queries.sources.tolist(), queries.targets.tolist(), queries.texts, strict=True))
        assert found == expected
        scenes = [
            {(o["shape"], o["color"], o["size"], int(o["pos"][0] * 3), int(o["pos"][1] * 3)) for o in objects}
            for objects in table[name]["objects_img"]
        ]
        same = np.array([[one == other for other in scenes] for one in scenes])
        np.testing.assert_array_equal(split.labels[:, None] == split.labels[None, :], same)
        assert queries.attributes["objects"].tolist() == [str(len(scenes[source])) for source, _, _ in expected]
        assert set(queries.attributes["kind"]) <= {"add", "remove", "make-colour", "make-size"}
        for text, kind in zip(queries.texts, queries.attributes["kind"], strict=True):
            last = text.split()[-1]
            assert kind == (
                ("make-size" if last in {"small", "large"} else "make-colour") if "make" in text else text.split()[0]
            )


def test_images_stand_in_the_order_of_their_numbers(root: Path, tiny_dataset: Path) -> None:
    ours = css_gen.dataset.open(tiny_dataset).split("test")
    pixels = opened(root).test.gallery
    for number in (0, 7, len(ours) - 1):
        image = np.asarray(ours.image_3d(number), dtype=float).reshape(16, 2, 16, 2, 3).mean(axis=(1, 3))
        assert np.abs(image - pixels[number]).mean() < 4


def test_the_pickle_is_read_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = opened(root)
    queries = before.test.queries.texts
    monkeypatch.setattr(plain_pickle, "_Unpickler", None)
    after = opened(root)
    assert after.test.queries.texts == queries
    assert after.fingerprint == before.fingerprint


def test_a_broken_image_takes_its_queries_with_it(root: Path) -> None:
    queries = opened(root).test.queries
    victim = int(queries.targets[3])
    shutil.rmtree(root / ".cache")
    (root / "images" / f"css_test_{victim:06d}.png").write_bytes(b"\x89PNG")
    with pytest.raises(BenchmarkError, match=f"css_test_{victim:06d}.png: is not an image"):
        _ = opened(root).test
    dataset = opened(root, skip_broken=True)
    left = [
        text
        for source, target, text in zip(queries.sources, queries.targets, queries.texts, strict=True)
        if victim not in (source, target)
    ]
    assert list(dataset.test.queries.texts) == left
    assert len(left) < len(queries)
    assert set(dataset.skipped) == {f"images/css_test_{victim:06d}.png"}


def test_a_modification_on_an_image_that_there_is_not_is_named(root: Path) -> None:
    table = table_of(root)
    table["test"]["mods"][4]["to"][0] = 10**6
    rewrite(root, table)
    with pytest.raises(BenchmarkError, match=r"split test: modification 4 is on images \d+ and 1000000"):
        opened(root)


@pytest.mark.parametrize(
    "broken", [{}, {"train": 1}, {"train": {"mods": []}}, "text", {"train": {"objects_img": [3], "mods": []}}]
)
def test_another_content_is_refused(root: Path, broken: Any) -> None:
    rewrite(root, broken)
    with pytest.raises(BenchmarkError, match="not laid out as CSS labels"):
        opened(root)


def test_a_folder_without_the_table_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=TABLE_NAME):
        opened(tmp_path)
