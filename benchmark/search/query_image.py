"""The image that a query starts from: a row of a dataset, an image file, or pixels."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark import tasks
from benchmark.datasets.folder_images import BrokenImage, cropped, decode
from benchmark.datasets.splits import Pixels, Rows
from benchmark.errors import BenchmarkError, UsageError
from css_gen.scenes.scene import Scene

PICTURE = 224
"""Width and height in pixels of images that are shown; those of CSS are shown as they are stored."""


@dataclass(frozen=True)
class QueryImage:
    """The image that a query starts from.

    Attributes:
        name: a row of the dataset, or a file.
        pixels: (S, S, 3), as the network sees it.
        picture: (H, W, 3), to show.
        row: in the gallery of the task's test images; None for any other image.
        scene: what it shows, where that is known.
        fingerprint: of the dataset that `row` is of.
    """

    name: str
    pixels: Pixels
    picture: Pixels
    row: int | None = None
    scene: Scene | None = None
    fingerprint: str = ""


def query_from_file(path: Path, *, image_size: int, resampling: Image.Resampling) -> QueryImage:
    """Read an image file as a query's image.

    Raises:
        UsageError: there is no such file.
        BenchmarkError: it is not a whole JPEG or PNG.
    """
    name = printable(path)
    if "\0" in str(path) or not path.is_file():
        raise UsageError(f"--image {name}: there is no such file, and it is not the number of an image either")
    look = partial(decode, path)
    try:
        return QueryImage(name, look(image_size, resampling=resampling), look(PICTURE))
    except BrokenImage as error:
        raise BenchmarkError(f"--image {name}: {error}") from None


def query_from_pixels(pixels: Pixels, *, image_size: int, resampling: Image.Resampling) -> QueryImage:
    """Take an array as a query's image.

    Args:
        pixels: (H, W, 3), uint8, sRGB.

    Raises:
        UsageError: the array has another shape or another type.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise UsageError(f"image: expected uint8 pixels (H, W, 3), got {pixels.dtype} {pixels.shape}")
    small = cropped(Image.fromarray(pixels), image_size, resampling)
    return QueryImage("image", np.asarray(small), pixels)


def resampling(task: str) -> Image.Resampling:
    """How to make images smaller for a model of that task: as its training images were."""
    return Image.Resampling.BOX if tasks.get(task).is_rendered else Image.Resampling.BILINEAR


def rows_like(pixels: Pixels, image: Pixels) -> Rows:
    """Find the rows of (N, S, S, 3) that equal an image (S, S, 3)."""
    middle = image.shape[0] // 2
    near = np.flatnonzero((pixels[:, middle] == image[middle]).all(axis=(1, 2)))
    return near[[bool(np.array_equal(pixels[row], image)) for row in near]] if len(near) else near


def printable(text: str | Path) -> str:
    """Make text safe for a terminal and for UTF-8, whatever bytes a file name consists of."""
    return "".join(mark if mark.isprintable() else "\N{REPLACEMENT CHARACTER}" for mark in str(text))
