"""What can be searched: the test images of a dataset or a folder of image files; and the image a query starts from."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

import css_gen.dataset
from benchmark import tasks as datasets
from benchmark.datasets.folder_images import BrokenImage, decode, safe_path
from benchmark.datasets.rendered_css import reduced
from benchmark.datasets.splits import Pixels, Rows
from benchmark.errors import BenchmarkError, UsageError
from css_gen.errors import DatasetError
from css_gen.progress import Reporter
from css_gen.scenes.scene import Scene

SUFFIXES = (".jpg", ".jpeg", ".png")
_PICTURE = 224
"""Width and height in pixels of images that are shown; those of CSS are shown as they are stored."""


@dataclass(frozen=True)
class QueryImage:
    """The image that a query starts from.

    Attributes:
        name: a row of the dataset, or a file.
        pixels: (S, S, 3), as the network sees it.
        picture: (H, W, 3), to be looked at.
        row: of the dataset's test gallery; None if it is none of its images.
        scene: what it shows, where that is known.
    """

    name: str
    pixels: Pixels
    picture: Pixels
    row: int | None = None
    scene: Scene | None = None


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

    def picture(self, row: int) -> Pixels:
        """(H, W, 3), to be looked at. Raises BenchmarkError if it cannot be read."""
        ...


class DatasetGallery:
    """The test images of a dataset.

    Args:
        protocol: a name of `datasets.names()`.
        root: its folder.
        image_size: width and height that the network sees.

    Raises:
        BenchmarkError: the folder does not hold the dataset, or not all of it.
    """

    def __init__(self, protocol: str, root: Path, *, image_size: int, reporter: Reporter) -> None:
        task = datasets.get(protocol)
        dataset = task.open(root, image_size=image_size, reporter=reporter, skip_broken=True)
        self.title = f"{protocol}, test"
        self.split = dataset.test
        self.broken = dict(dataset.skipped)
        self._protocol, self._root, self._image_size = protocol, root, image_size
        with _readable(root):
            self._css = css_gen.dataset.open(root).split("test") if task.is_rendered else None
            self.keys: Sequence[str] = self._css.keys if self._css else ()

    def __len__(self) -> int:
        return len(self.split.gallery)

    def chunks(self, images: int) -> Iterator[tuple[Rows, Pixels]]:
        for start in range(0, len(self), images):
            pixels = self.split.gallery[start : start + images]
            yield np.arange(start, start + len(pixels), dtype=np.int64), pixels

    def name(self, row: int) -> str:
        return printable(self.split.files[row]) if self.split.files else str(row)

    def picture(self, row: int) -> Pixels:
        return self._picture(row, "image_3d")

    def query_by_row(self, row: int) -> QueryImage:
        """Raises UsageError if the gallery has no such row."""
        if not 0 <= row < len(self):
            raise UsageError(f"--image {row}: the test images of {self._protocol} are 0 to {len(self) - 1}")
        if self._css is None:
            return QueryImage(self.name(row), self.split.gallery[row], self.picture(row), row)
        view = "image_3d" if self.split.sources is self.split.gallery else "image_2d"
        with _readable(self._root):
            # Only references have decoded 2D images, but any image may be asked about.
            pixels = reduced(self._css.png(row, view), self._image_size)
            return QueryImage(self.name(row), pixels, self._picture(row, view), row, self._css.scene(row))

    def recognised(self, image: QueryImage) -> QueryImage:
        """The same image with its row and scene, if its pixels are those of an image that queries start from."""
        rows = rows_like(self.split.sources, image.pixels)
        if not len(rows):
            return image
        row = int(rows[0])
        with _readable(self._root):
            scene = self._css.scene(row) if self._css else None
        return QueryImage(image.name, image.pixels, image.picture, row, scene)

    def _picture(self, row: int, view: str) -> Pixels:
        with _readable(self._root):
            if self._css:
                return self._css.image_3d(row) if view == "image_3d" else self._css.image_2d(row)
            if self.split.files:
                return decode(safe_path(self._root, self.split.files[row]), _PICTURE)
        pixels: Pixels = self.split.gallery[row]
        return pixels


class FolderGallery:
    """All JPEG and PNG files in a folder and the folders in it, in the order of their names; hidden ones left out.

    Args:
        resampling: how the network's images were made smaller.

    Raises:
        UsageError: there is no such folder, or no image file in it.
    """

    keys: Sequence[str] = ()

    def __init__(self, folder: Path, *, image_size: int, resampling: Image.Resampling) -> None:
        if not folder.is_dir():
            raise UsageError(f"--gallery {printable(folder)}: there is no such folder")
        self.title = printable(folder)
        self.broken: dict[str, str] = {}
        self._folder, self._image_size, self._resampling = folder, image_size, resampling
        self._files = sorted(
            name
            for parent, folders, files in os.walk(folder)
            for name in (os.path.relpath(Path(parent) / file, folder) for file in files)
            if name.lower().endswith(SUFFIXES) and not any(part.startswith(".") for part in Path(name).parts)
        )
        if not self._files:
            raise UsageError(f"--gallery {self.title}: there is no {', '.join(SUFFIXES)} file in it")

    def __len__(self) -> int:
        return len(self._files)

    def chunks(self, images: int) -> Iterator[tuple[Rows, Pixels]]:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for start in range(0, len(self), images):
                rows = range(start, min(start + images, len(self)))
                found = dict(zip(rows, pool.map(self._decoded, rows), strict=True))
                whole = {row: pixels for row, pixels in found.items() if not isinstance(pixels, str)}
                self.broken |= {self.name(row): why for row, why in found.items() if isinstance(why, str)}
                if whole:
                    yield np.array(list(whole), dtype=np.int64), np.stack(list(whole.values()))

    def name(self, row: int) -> str:
        return printable(self._files[row])

    def picture(self, row: int) -> Pixels:
        with _readable(self._folder):
            return decode(safe_path(self._folder, self._files[row]), _PICTURE)

    def _decoded(self, row: int) -> Pixels | str:
        try:
            path = safe_path(self._folder, self._files[row])
            return decode(path, self._image_size, resampling=self._resampling)
        except BrokenImage as error:
            return str(error)


def query_from_file(path: Path, *, image_size: int, resampling: Image.Resampling) -> QueryImage:
    """An image file of anybody's.

    Raises:
        UsageError: there is no such file.
        BenchmarkError: it is no whole JPEG or PNG.
    """
    name = printable(path)
    if "\0" in str(path) or not path.is_file():
        raise UsageError(f"--image {name}: there is no such file, and it is no number of an image either")
    look = partial(decode, path)
    try:
        return QueryImage(name, look(image_size, resampling=resampling), look(_PICTURE))
    except BrokenImage as error:
        raise BenchmarkError(f"--image {name}: {error}") from None


def resampling(protocol: str) -> Image.Resampling:
    """How images are made smaller for a model of that protocol: its training images were."""
    return Image.Resampling.BOX if datasets.get(protocol).is_rendered else Image.Resampling.BILINEAR


def rows_like(pixels: Pixels, image: Pixels) -> Rows:
    """The rows of (N, S, S, 3) that equal an image (S, S, 3)."""
    middle = image.shape[0] // 2
    near = np.flatnonzero((pixels[:, middle] == image[middle]).all(axis=(1, 2)))
    return near[[bool(np.array_equal(pixels[row], image)) for row in near]] if len(near) else near


def printable(text: str | Path) -> str:
    """Text that cannot steer a terminal and can be written as UTF-8, whatever bytes a file name consists of."""
    return "".join(mark if mark.isprintable() else "\N{REPLACEMENT CHARACTER}" for mark in str(text))


@contextmanager
def _readable(root: Path) -> Iterator[None]:
    """Turn what goes wrong in reading an image into a BenchmarkError."""
    try:
        yield
    except (DatasetError, BrokenImage, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BenchmarkError(f"{printable(root)}: an image cannot be read ({error})") from None
