"""What can be searched: the contract of a gallery, and the test images of a task."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

import css_gen.dataset
from benchmark import tasks
from benchmark.datasets.folder_images import BrokenImage, decode, safe_path
from benchmark.datasets.rendered_css import reduced
from benchmark.datasets.splits import Pixels, Rows
from benchmark.errors import BenchmarkError, UsageError
from benchmark.search.query_image import PICTURE, QueryImage, printable, rows_like
from benchmark.tasks.css import render_missing
from css_gen.errors import DatasetError
from css_gen.progress import Reporter
from css_gen.storage.configuration import CSS, Configuration

SMALL = Configuration(images=1_200, test_images=1_000)
"""What is rendered where there is no data: its test split is enough to try a model on."""


class Gallery(Protocol):
    """Images to search. `broken` says why, by name, for those that turned out to be unusable."""

    @property
    def title(self) -> str: ...

    @property
    def keys(self) -> Sequence[str]:
        """The scene of each row; empty where scenes are not known."""
        ...

    @property
    def broken(self) -> dict[str, str]: ...

    def __len__(self) -> int: ...

    def chunks(self, images: int) -> Iterator[tuple[Rows, Pixels]]:
        """Rows (n,) and their pixels (n, S, S, 3), so many at a time; rows that cannot be used are missing."""
        ...

    def name(self, row: int) -> str: ...

    def rows_of(self, keys: Collection[str]) -> Rows:
        """The rows whose scene is one of `keys`, ascending; none where scenes are not known."""
        ...

    def picture(self, row: int) -> Pixels:
        """An image to show, (H, W, 3). Raises BenchmarkError if it cannot be read."""
        ...


def data_or_small(task: str, places: Mapping[str, Path], *, reporter: Reporter) -> Path:
    """The folder of a task's data. Where there is none, render a small gallery of 1,000 images, once, and return that.

    Args:
        places: folders that were given, by the names of `tasks.folders`; these are taken as they are.

    Raises:
        BenchmarkError: the small gallery cannot be rendered.
    """
    found, root = tasks.get(task), tasks.locate(task, places)
    if found.folder in places or root.exists() or not found.is_rendered or not found.make:
        return root
    small = root.with_name(f"{found.folder}-small")
    if not (small / "manifest.json").exists():
        reporter.message(f"there is no {root}: a small gallery is rendered instead, in {small}")
        render_missing(small, reporter, configuration=replace(SMALL, track=found.track or CSS))
    return small


class DatasetGallery:
    """The test images of a task.

    Args:
        task: a name of `tasks.names()`.
        root: its folder.
        image_size: width and height that the network sees.

    Raises:
        BenchmarkError: the folder does not hold the dataset, or not all of it.
    """

    def __init__(self, task: str, root: Path, *, image_size: int, reporter: Reporter) -> None:
        asked = tasks.get(task)
        dataset = asked.open(root, image_size=image_size, reporter=reporter, skip_broken=True)
        self.title = f"{asked.name}, test"
        self.split = dataset.test
        self.task, self.fingerprint = asked.name, dataset.fingerprint
        self.broken = dict(dataset.skipped)
        self._root, self._image_size = root, image_size
        with readable(root):
            self._css = css_gen.dataset.open(root).split("test") if asked.is_rendered else None
            self.keys: Sequence[str] = self._css.keys if self._css else ()

    def __len__(self) -> int:
        return len(self.split.gallery)

    def chunks(self, images: int) -> Iterator[tuple[Rows, Pixels]]:
        for start in range(0, len(self), images):
            pixels = self.split.gallery[start : start + images]
            yield np.arange(start, start + len(pixels), dtype=np.int64), pixels

    def name(self, row: int) -> str:
        return printable(self.split.files[row]) if self.split.files else str(row)

    def rows_of(self, keys: Collection[str]) -> Rows:
        return np.array([row for row, key in enumerate(self.keys) if key in keys], dtype=np.int64)

    def picture(self, row: int) -> Pixels:
        return self._picture(row, "image_3d")

    @property
    def query_rows(self) -> Sequence[css_gen.dataset.QueryRow]:
        """The queries of a rendered dataset with what is known of each; empty for others."""
        with readable(self._root):
            return self._css.queries if self._css else ()

    def query_by_row(self, row: int) -> QueryImage:
        """Take a row as a query's image. Raises UsageError if the gallery has no such row."""
        if not 0 <= row < len(self):
            raise UsageError(f"--image {row}: the test images of {self.task} are 0 to {len(self) - 1}")
        if self._css is None:
            pixels = self.split.gallery[row]
            return QueryImage(self.name(row), pixels, self.picture(row), row, fingerprint=self.fingerprint)
        view = "image_3d" if self.split.sources is self.split.gallery else "image_2d"
        with readable(self._root):
            # Only references have decoded 2D images, but any image may be asked about.
            pixels = reduced(self._css.png(row, view), self._image_size)
            picture, scene = self._picture(row, view), self._css.scene(row)
            return QueryImage(self.name(row), pixels, picture, row, scene, self.fingerprint)

    def recognised(self, image: QueryImage) -> QueryImage:
        """Add row and scene to an image whose pixels are those of an image that queries start from."""
        rows = rows_like(self.split.sources, image.pixels)
        if not len(rows):
            return image
        row = int(rows[0])
        with readable(self._root):
            scene = self._css.scene(row) if self._css else None
        return QueryImage(image.name, image.pixels, image.picture, row, scene, self.fingerprint)

    def _picture(self, row: int, view: str) -> Pixels:
        with readable(self._root):
            if self._css:
                return self._css.image_3d(row) if view == "image_3d" else self._css.image_2d(row)
            if self.split.files:
                return decode(safe_path(self._root, self.split.files[row]), PICTURE)
        pixels: Pixels = self.split.gallery[row]
        return pixels


@contextmanager
def readable(root: Path) -> Iterator[None]:
    """Turn what goes wrong in reading an image into a BenchmarkError."""
    try:
        yield
    except (DatasetError, BrokenImage, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BenchmarkError(f"{printable(root)}: an image cannot be read ({error})") from None
