"""The cache of decoded images: right rows, nothing twice, nothing half."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from benchmark.datasets import cache_place, image_cache
from benchmark.datasets.image_cache import CachedImages, ImageSource, cached, cached_files
from benchmark.errors import BenchmarkError
from css_gen.progress import Silent


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Twenty images, each of its own grey: row i is 10 i."""
    names = [f"größe {number // 5}/{number}.png" for number in range(20)]
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (12, 10), (10 * number,) * 3).save(tmp_path / name)
    return names


def cached_greys(
    root: Path, paths: Sequence[str], *, skip_broken: bool = False, reporter: Silent | None = None
) -> CachedImages:
    reporter = reporter or Silent()
    return cached_files(root, "fashion200k", "train", paths, 8, reporter, skip_broken=skip_broken, key="key")


def greys(found: CachedImages) -> list[int]:
    assert (found.pixels == found.pixels[:, :1, :1, :1]).all()
    greys: list[int] = found.pixels[:, 0, 0, 0].tolist()
    return greys


def test_rows_are_the_images_in_the_order_asked_for(tmp_path: Path, paths: list[str]) -> None:
    found = cached_greys(tmp_path, paths)
    assert greys(found) == [10 * number for number in range(20)]
    assert found.paths == tuple(paths)
    assert not found.broken


def test_a_second_start_opens_no_image(tmp_path: Path, paths: list[str]) -> None:
    before = greys(cached_greys(tmp_path, paths))
    for folder in tmp_path.glob("größe*"):
        shutil.rmtree(folder)
    assert greys(cached_greys(tmp_path, paths)) == before


class Stops(Silent):
    """Interrupts once so many images are done."""

    def __init__(self, after: int) -> None:
        self.after = after

    def track(self, description: str, total: int, unit: str) -> AbstractContextManager[Callable[[int], None]]:  # noqa: ARG002
        @contextmanager
        def tracking() -> Iterator[Callable[[int], None]]:
            def report(done: int) -> None:
                if done >= self.after:
                    raise KeyboardInterrupt

            yield report

        return tracking()


@pytest.mark.parametrize("after", [4, 12, 20])
def test_an_interrupted_start_goes_on_behind_what_is_done(
    tmp_path: Path, paths: list[str], monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(image_cache, "_AT_ONCE", 4)
    (tmp_path / paths[2]).write_text("broken")
    with pytest.raises(KeyboardInterrupt):
        cached_greys(tmp_path, paths, reporter=Stops(after))
    for name in paths[:after]:
        (tmp_path / name).unlink()
    found = cached_greys(tmp_path, paths, skip_broken=True)
    assert greys(found) == [10 * number for number in range(20) if number != 2]
    assert set(found.broken) == {paths[2]}
    assert not list(tmp_path.rglob("*.partial"))


def test_broken_images_are_refused_by_name_or_left_out(tmp_path: Path, paths: list[str]) -> None:
    for number in (0, 7, 8, 19):
        (tmp_path / paths[number]).write_text("broken")
    for _ in range(2):
        with pytest.raises(BenchmarkError) as caught:
            cached_greys(tmp_path, paths)
        assert str(caught.value).startswith(f"{tmp_path}: {paths[0]}: is not an image")
        assert "and 1 more" in str(caught.value)
        assert "data check fashion200k" in str(caught.value)
    for _ in range(2):
        found = cached_greys(tmp_path, paths, skip_broken=True)
        assert greys(found) == [10 * number for number in range(20) if number not in (0, 7, 8, 19)]
        assert found.paths == tuple(path for number, path in enumerate(paths) if number not in (0, 7, 8, 19))
        assert set(found.broken) == {paths[number] for number in (0, 7, 8, 19)}


def test_a_mended_image_is_noticed(tmp_path: Path, paths: list[str]) -> None:
    (tmp_path / paths[3]).write_text("broken")
    (tmp_path / paths[5]).unlink()
    assert len(cached_greys(tmp_path, paths, skip_broken=True).paths) == 18
    Image.new("RGB", (9, 9), (33, 33, 33)).save(tmp_path / paths[3])
    assert greys(cached_greys(tmp_path, paths, skip_broken=True))[:5] == [0, 10, 20, 33, 40]
    Image.new("RGB", (9, 9), (55, 55, 55)).save(tmp_path / paths[5])
    assert greys(cached_greys(tmp_path, paths))[:7] == [0, 10, 20, 33, 40, 55, 60]


def test_no_image_at_all_is_an_error(tmp_path: Path, paths: list[str]) -> None:
    for name in paths:
        (tmp_path / name).write_text("broken")
    with pytest.raises(BenchmarkError, match="none of the 20 train images can be used"):
        cached_greys(tmp_path, paths, skip_broken=True)


class Listens(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


def the_files(place: Path, suffix: str) -> list[Path]:
    return sorted(place.rglob(f"*{suffix}"))


@pytest.mark.parametrize("in_the_way", [".cache is a file", "nothing may be written"])
def test_a_folder_that_cannot_be_written_to_is_cached_in_the_users_with_one_note(
    tmp_path: Path, paths: list[str], in_the_way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = tmp_path.parent / "users" / tmp_path.name
    monkeypatch.setenv("XDG_CACHE_HOME", str(users))
    if in_the_way == ".cache is a file":
        (tmp_path / ".cache").write_text("in the way")
    else:
        is_writable = cache_place._is_writable
        monkeypatch.setattr(
            cache_place,
            "_is_writable",
            lambda at, *, parents: at.parent != tmp_path and is_writable(at, parents=parents),
        )
    reporter = Listens()
    for _ in range(2):
        assert greys(cached_greys(tmp_path, paths, reporter=reporter)) == [10 * number for number in range(20)]
    (said,) = reporter.said
    assert said.startswith(f"{tmp_path} cannot be written to: decoded images are kept in {users}")
    (whole,) = the_files(users, ".npy")
    before = whole.stat().st_mtime_ns
    (tmp_path / paths[4]).write_text("broken since")
    assert greys(cached_greys(tmp_path, paths))[4] == 40, "what was decoded is not decoded again"
    assert whole.stat().st_mtime_ns == before


def test_without_any_place_to_write_to_images_are_kept_in_memory(
    tmp_path: Path, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_place, "_is_writable", lambda _, *, parents: False)  # noqa: ARG005
    (tmp_path / paths[6]).write_text("broken")
    reporter = Listens()
    found = cached_greys(tmp_path, paths, skip_broken=True, reporter=reporter)
    assert greys(found) == [10 * number for number in range(20) if number != 6]
    assert set(found.broken) == {paths[6]}
    (said,) = reporter.said
    assert "in memory" in said
    assert "XDG_CACHE_HOME" in said
    assert not (tmp_path / ".cache").exists()


def test_a_cache_that_is_there_is_used_where_nothing_can_be_written(
    tmp_path: Path, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cached_greys(tmp_path, paths)
    monkeypatch.setattr(cache_place, "_is_writable", lambda _, *, parents: False)  # noqa: ARG005
    (tmp_path / paths[4]).unlink()
    assert greys(cached_greys(tmp_path, paths))[4] == 40


@pytest.mark.parametrize("left", [0, 7, 100, 128 + 8 * 8 * 3, -1])
@pytest.mark.parametrize("with_broken", [False, True])
def test_a_file_that_was_cut_short_is_made_again(
    tmp_path: Path, paths: list[str], left: int, with_broken: bool
) -> None:
    if with_broken:
        (tmp_path / paths[6]).write_text("broken")
    expected = [10 * number for number in range(20) if number != 6 or not with_broken]
    cached_greys(tmp_path, paths, skip_broken=True)
    for file in the_files(tmp_path, ".npy"):
        content = file.read_bytes()
        file.write_bytes(content[:left])
    assert greys(cached_greys(tmp_path, paths, skip_broken=True)) == expected


def test_an_interrupted_start_whose_file_was_cut_short_begins_again(
    tmp_path: Path, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_cache, "_AT_ONCE", 4)
    with pytest.raises(KeyboardInterrupt):
        cached_greys(tmp_path, paths, reporter=Stops(12))
    (unfinished,) = the_files(tmp_path, ".npy.partial")
    unfinished.write_bytes(unfinished.read_bytes()[:500])
    assert greys(cached_greys(tmp_path, paths)) == [10 * number for number in range(20)]


@pytest.mark.parametrize("notes", ["", "{", "[]", "null", '{"broken": 3}', '{"images": 20}'])
def test_damaged_notes_are_no_notes(tmp_path: Path, paths: list[str], notes: str) -> None:
    cached_greys(tmp_path, paths)
    (file,) = the_files(tmp_path, ".json")
    file.write_text(notes)
    assert greys(cached_greys(tmp_path, paths)) == [10 * number for number in range(20)]


def test_a_full_disk_is_one_clear_error(tmp_path: Path, paths: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(BenchmarkError, match=r"decoded images cannot be kept here .*No space left.*make room"):
        cached_greys(tmp_path, paths)
    assert not the_files(tmp_path, ".partial"), "nothing is left that takes room"


@pytest.mark.parametrize("error", [OSError(errno.ENOSYS, "no locks"), OSError(errno.ENOLCK, "no locks")])
def test_a_file_system_without_locks_is_no_hindrance(
    tmp_path: Path, paths: list[str], monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(FileLock, "acquire", refused)
    assert greys(cached_greys(tmp_path, paths)) == [10 * number for number in range(20)]


def test_images_that_come_one_after_the_other_are_resumed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a Parquet file: only an iterator, from some row on."""
    monkeypatch.setattr(image_cache, "_AT_ONCE", 4)
    asked: list[int] = []

    def encoded(row: int) -> Iterator[int]:
        asked.append(row)
        return iter(range(row, 20))

    source = ImageSource(
        tmp_path,
        [f"image {row}" for row in range(20)],
        encoded,
        lambda value, size: np.full((size, size, 3), 10 * value, dtype=np.uint8),
    )
    with pytest.raises(KeyboardInterrupt):
        cached(source, "train", 8, Stops(8), key="key")
    assert greys(cached(source, "train", 8, Silent(), key="key")) == [10 * number for number in range(20)]
    assert asked == [0, 8]


def test_fewer_images_than_named_are_an_error(tmp_path: Path) -> None:
    source = ImageSource(
        tmp_path,
        [f"image {row}" for row in range(9)],
        lambda row: iter(range(row, 7)),
        lambda value, size: np.full((size, size, 3), value, dtype=np.uint8),
    )
    with pytest.raises(BenchmarkError, match="expected 9 train images, found 7"):
        cached(source, "train", 8, Silent(), key="key")
