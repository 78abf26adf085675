import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import css_gen.dataset
from benchmark import tasks as datasets
from benchmark.datasets.splits import Dataset, Queries, Split, hold_out, with_own_images
from benchmark.errors import BenchmarkError, UsageError
from benchmark.tasks import registry
from benchmark.tasks.css import Css
from benchmark.training.progress import SilentRuns
from benchmark.training.samplers import make_sampler


def open_css(root: Path, *, view: str = "3d", size: int = 16) -> Css:
    return Css("css", root, source_view=view, image_size=size, reporter=SilentRuns())


def reduced_slowly(image: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BOX))


@pytest.mark.parametrize("name", datasets.names())
def test_every_dataset_gives_splits_whose_rows_fit(name: str, places: dict[str, Path]) -> None:
    root = datasets.locate(name, places)
    dataset: Dataset = datasets.get(name).open(root, image_size=16, reporter=SilentRuns(), skip_broken=False)
    assert dataset.name == name
    for split in (dataset.train, dataset.test):
        queries = split.queries
        assert len(split.labels) == len(split.gallery)
        assert 0 <= queries.sources.min() <= queries.sources.max() < len(split.sources)
        assert 0 <= queries.targets.min() <= queries.targets.max() < len(split.gallery)
        assert [split.texts[row] for row in split.text_rows] == list(queries.texts)
    batch = make_sampler(dataset.train, groups=2, modifications=2, seed=0).batch(0)
    assert batch.sources.max() < len(dataset.train.sources)


@pytest.mark.parametrize("view", ["3d", "2d"])
def test_sources_and_gallery_are_the_datasets_images(view: str, css_root: Path) -> None:
    stored = css_gen.dataset.open(css_root).split("test")
    split = open_css(css_root, view=view).test
    for row in (0, 5, len(stored) - 1):
        np.testing.assert_array_equal(split.gallery[row], reduced_slowly(stored.image_3d(row), 16))
    source = int(split.queries.sources[-1])
    shown = stored.image_3d(source) if view == "3d" else stored.image_2d(source)
    np.testing.assert_array_equal(split.sources[source], reduced_slowly(shown, 16))


def test_queries_and_labels_are_the_datasets(css_root: Path) -> None:
    stored = css_gen.dataset.open(css_root).split("train")
    split = open_css(css_root).train
    queries = split.queries
    assert len(queries) == len(stored.queries)
    for row, query in enumerate(stored.queries):
        assert (queries.sources[row], queries.targets[row], queries.source_images[row]) == (
            query.source_id, query.target_id, query.source_id,
        )  # fmt: skip
        assert queries.texts[row] == query.text
        assert queries.attributes["kind"][row] == query.kind
        assert queries.attributes["combination"][row] == ("novel" if query.novel else "seen")
        assert queries.attributes["objects"][row] == str(len(stored.scene(query.source_id).objects))
    same_label = split.labels[:, None] == split.labels[None, :]
    same_key = [[one == other for other in stored.keys] for one in stored.keys]
    np.testing.assert_array_equal(same_label, same_key)


def test_images_are_decoded_once_a_size(css_root: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(css_root, tmp_path / "css"))
    shutil.rmtree(root / ".cache", ignore_errors=True)
    first = open_css(root).test.gallery
    (cache,) = (root / ".cache").rglob("test-3d-16.npy")
    written = cache.stat().st_mtime_ns
    np.testing.assert_array_equal(open_css(root).test.gallery, first)
    assert cache.stat().st_mtime_ns == written
    open_css(root, size=8).test.gallery.sum()
    assert {path.name for path in (root / ".cache").rglob("*.npy")} == {"test-3d-16.npy", "test-3d-8.npy"}


def test_a_cache_that_was_cut_short_is_made_anew(css_root: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(css_root, tmp_path / "css"))
    first = np.array(open_css(root).test.gallery)
    (cache,) = (root / ".cache").rglob("test-3d-16.npy")
    cache.write_bytes(cache.read_bytes()[:1000])
    np.testing.assert_array_equal(open_css(root).test.gallery, first)


def break_shard(root: Path) -> None:
    shard = sorted((root / "test").glob("images-*"))[1]
    shard.write_bytes(shard.read_bytes()[:500])


def flip_a_bit(root: Path) -> None:
    shard = sorted((root / "test").glob("images-*"))[1]
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 4
    shard.write_bytes(content)


def lose_shard(root: Path) -> None:
    sorted((root / "test").glob("images-*"))[0].unlink()


def lose_queries(root: Path) -> None:
    (root / "test" / "queries.parquet").unlink()


def make_newer(root: Path) -> None:
    path = root / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))


def edit(root: Path) -> None:
    path = root / "manifest.json"
    path.write_text(path.read_text().replace('"seed": 3', '"seed": 4'))


def remove(root: Path) -> None:
    shutil.rmtree(root)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (break_shard, "cannot be read"),
        (flip_a_bit, "cannot be read"),
        (lose_shard, "is missing"),
        (lose_queries, r"queries\.parquet is missing"),
        (make_newer, "format version 99"),
        (edit, "was edited"),
        (remove, "does not exist"),
    ],
)
def test_damaged_data_is_named_in_one_line(damage, expected: str, tiny_copy: Path) -> None:  # type: ignore[no-untyped-def]
    damage(tiny_copy)
    with pytest.raises(BenchmarkError, match=expected) as caught:
        open_css(tiny_copy).test.gallery.sum()
    assert str(tiny_copy) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tiny_copy.rglob("*.npy"))


def test_unknown_dataset_offers_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown dataset 'css-3d2d': did you mean css-2d3d"):
        datasets.get("css-3d2d")


def test_a_dataset_that_was_given_a_folder_is_taken_from_there(tmp_path: Path) -> None:
    assert datasets.locate("css-2d3d", {"css": tmp_path}) == tmp_path
    assert datasets.locate("css-2d3d", {}) == Path("data/css")


def test_absent_data_is_made_in_its_usual_place_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    monkeypatch.chdir(tmp_path)
    css = datasets.get("css")
    monkeypatch.setitem(registry._tasks, "css", replace(css, make=lambda at, _: made.append(at)))
    datasets.make_if_absent("css", {"css": tmp_path / "elsewhere"}, SilentRuns())
    assert made == []
    datasets.make_if_absent("css", {}, SilentRuns())
    assert made == [Path("data/css")]
    Path("data/css").mkdir(parents=True)
    Path("data/css/manifest.json").touch()
    datasets.make_if_absent("css", {}, SilentRuns())
    assert made == [Path("data/css")]


def small_split() -> Split:
    """Six images; sources 0, 1, 2 with two queries each on the targets 3, 4, 5."""
    pixels = np.arange(6, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    sources = np.array([2, 0, 1, 0, 2, 1])
    return Split(
        sources=pixels,
        gallery=pixels,
        labels=np.array([0, 1, 2, 7, 8, 7]),
        queries=Queries(
            ids=tuple("abcdef"),
            sources=sources,
            targets=np.array([3, 4, 5, 3, 4, 5]),
            source_images=np.where(sources == 2, -1, sources),
            texts=tuple("uvwxyz"),
            attributes={"kind": np.array(["add", "remove"] * 3)},
        ),
    )


@pytest.mark.parametrize(("share", "kept"), [(0.0, {0, 1, 2}), (0.1, {0, 1, 2}), (0.34, {0, 1}), (0.9, set())])
def test_hold_out_divides_the_queries_by_source(share: float, kept: set[int]) -> None:
    split = small_split()
    training, held_out = hold_out(split, share)
    assert set(training.queries.sources.tolist()) == kept
    rest = held_out.queries.ids if held_out else ()
    assert sorted(training.queries.ids + rest) == list("abcdef")
    assert (held_out is None) == (kept == {0, 1, 2})
    for part in filter(None, (training, held_out)):
        assert part.gallery is split.gallery
        for row, name in enumerate(part.queries.ids):
            place = "abcdef".index(name)
            assert part.queries.texts[row] == split.queries.texts[place]
            assert part.queries.targets[row] == split.queries.targets[place]
            assert part.queries.attributes["kind"][row] == split.queries.attributes["kind"][place]


def test_own_images_are_the_targets_and_the_sources_and_no_more() -> None:
    split = small_split()
    chosen = Split(split.sources, split.gallery, split.labels, split.queries.rows(np.array([0, 4, 3])))
    small = with_own_images(chosen)
    assert small.gallery[:, 0, 0, 0].tolist() == [0, 3, 4]
    assert small.labels.tolist() == [0, 7, 8]
    assert small.queries.targets.tolist() == [1, 2, 1]
    assert small.queries.source_images.tolist() == [-1, -1, 0]
    assert small.queries.sources.tolist() == [2, 2, 0]


def test_texts_are_distinct_and_sorted() -> None:
    split = small_split()
    assert all(one < other for one, other in pairwise(split.texts))
