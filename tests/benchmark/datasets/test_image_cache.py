"""The cache of decoded images: right rows, nothing twice, nothing half."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from PIL import Image

from benchmark.datasets import image_cache
from benchmark.datasets.image_cache import CachedImages, cached_images
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


def cached(
    root: Path, paths: Sequence[str], *, skip_broken: bool = False, reporter: Silent | None = None
) -> CachedImages:
    folder = root / ".cache" / "key"
    reporter = reporter or Silent()
    return cached_images(root, "fashion200k", "train", paths, 8, reporter, skip_broken=skip_broken, folder=folder)


def greys(found: CachedImages) -> list[int]:
    assert (found.pixels == found.pixels[:, :1, :1, :1]).all()
    greys: list[int] = found.pixels[:, 0, 0, 0].tolist()
    return greys


def test_rows_are_the_images_in_the_order_asked_for(tmp_path: Path, paths: list[str]) -> None:
    found = cached(tmp_path, paths)
    assert greys(found) == [10 * number for number in range(20)]
    assert found.paths == tuple(paths)
    assert not found.broken


def test_a_second_start_opens_no_image(tmp_path: Path, paths: list[str]) -> None:
    before = greys(cached(tmp_path, paths))
    for folder in tmp_path.glob("größe*"):
        shutil.rmtree(folder)
    assert greys(cached(tmp_path, paths)) == before


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
        cached(tmp_path, paths, reporter=Stops(after))
    for name in paths[:after]:
        (tmp_path / name).unlink()
    found = cached(tmp_path, paths, skip_broken=True)
    assert greys(found) == [10 * number for number in range(20) if number != 2]
    assert set(found.broken) == {paths[2]}
    assert not list(tmp_path.rglob("*.partial"))


def test_broken_images_are_refused_by_name_or_left_out(tmp_path: Path, paths: list[str]) -> None:
    for number in (0, 7, 8, 19):
        (tmp_path / paths[number]).write_text("broken")
    for _ in range(2):
        with pytest.raises(BenchmarkError) as caught:
            cached(tmp_path, paths)
        assert str(caught.value).startswith(f"{tmp_path}: {paths[0]}: is not an image")
        assert "and 1 more" in str(caught.value)
        assert "data check fashion200k" in str(caught.value)
    for _ in range(2):
        found = cached(tmp_path, paths, skip_broken=True)
        assert greys(found) == [10 * number for number in range(20) if number not in (0, 7, 8, 19)]
        assert found.paths == tuple(path for number, path in enumerate(paths) if number not in (0, 7, 8, 19))
        assert set(found.broken) == {paths[number] for number in (0, 7, 8, 19)}


def test_a_mended_image_is_noticed(tmp_path: Path, paths: list[str]) -> None:
    (tmp_path / paths[3]).write_text("broken")
    (tmp_path / paths[5]).unlink()
    assert len(cached(tmp_path, paths, skip_broken=True).paths) == 18
    Image.new("RGB", (9, 9), (33, 33, 33)).save(tmp_path / paths[3])
    assert greys(cached(tmp_path, paths, skip_broken=True))[:5] == [0, 10, 20, 33, 40]
    Image.new("RGB", (9, 9), (55, 55, 55)).save(tmp_path / paths[5])
    assert greys(cached(tmp_path, paths))[:7] == [0, 10, 20, 33, 40, 55, 60]


def test_no_image_at_all_is_an_error(tmp_path: Path, paths: list[str]) -> None:
    for name in paths:
        (tmp_path / name).write_text("broken")
    with pytest.raises(BenchmarkError, match="none of the 20 train images can be used"):
        cached(tmp_path, paths, skip_broken=True)


def test_a_cache_that_cannot_be_written_is_one_clear_error(tmp_path: Path, paths: list[str]) -> None:
    (tmp_path / ".cache").write_text("in the way")
    with pytest.raises(BenchmarkError, match="decoded images cannot be kept here"):
        cached(tmp_path, paths)
