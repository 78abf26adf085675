"""Read image files of untrusted datasets: paths stay inside the folder, and decoding limits what a file may do."""

import warnings
from pathlib import Path, PureWindowsPath

import numpy as np
from PIL import Image, UnidentifiedImageError

from benchmark.datasets.splits import Pixels

MOST_PIXELS = 64_000_000
"""The most pixels of an image: larger ones, of 200 MB and more in memory, are refused by their header."""


class BrokenImage(Exception):  # noqa: N818  it is the image that is broken
    """Raised when an image cannot be used; the message says why in a few words."""


def safe_path(root: Path, relative: str) -> Path:
    """The file of that name in the folder.

    Raises:
        BrokenImage: the name is absolute, leads out of the folder (also through a symbolic link), or names no file.
    """
    if "\0" in relative:
        raise BrokenImage("has a name that no file can have")
    if Path(relative).is_absolute() or PureWindowsPath(relative).drive or ".." in PureWindowsPath(relative).parts:
        raise BrokenImage("is outside the folder")
    path = root / relative
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            raise BrokenImage("is outside the folder")
        if not path.exists():
            raise BrokenImage("is missing")
    except (OSError, RuntimeError):
        raise BrokenImage("has a name or links that cannot be followed") from None
    if not path.is_file():
        raise BrokenImage("is not a file")
    return path


def decode(path: Path, size: int, *, resampling: Image.Resampling = Image.Resampling.BILINEAR) -> Pixels:
    """Decode a JPEG or PNG to uint8 (size, size, 3): scaled until the short side is `size`, cropped to the middle.

    A JPEG is decoded at the smallest of its own scales that is large enough. A turn that the file's EXIF data ask for
    is not made: google/tirg makes none. A square PNG reduced with BOX has the pixels of `rendered_css.reduced`.

    Raises:
        BrokenImage: it is not an image of these types, is damaged, or is too large.
    """
    try:
        if not path.stat().st_size:
            raise BrokenImage("is empty")
        with warnings.catch_warnings(), Image.open(path, formats=("JPEG", "PNG")) as image:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise BrokenImage(f"is too large: {width} x {height} pixels")
            short = min(width, height)
            scale = max(1, short // size)
            image.draft("RGB", (-(-width // scale), -(-height // scale)))
            image.load()
            return np.asarray(cropped(_as_rgb(image), size, resampling))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BrokenImage(f"is too large: more than {MOST_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise BrokenImage("is not an image of type JPEG or PNG") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        raise BrokenImage(f"is truncated or damaged ({error})") from None


def _as_rgb(image: Image.Image) -> Image.Image:
    """Eight bits a channel. Pillow itself clips the 16 bits of grey PNG files, which makes nearly all of them white."""
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64).clip(0, 65_535)
        image = Image.fromarray(((values * 255 + 32_767) // 65_535).astype(np.uint8))
    return image.convert("RGB")


def cropped(image: Image.Image, size: int, resampling: Image.Resampling) -> Image.Image:
    """Scale an image until its short side is `size`, and crop it to the middle."""
    width, height = image.size
    short = min(width, height)
    left, top = (width - short) / 2, (height - short) / 2
    # BOX is exact and fast at any scale; a gap would round between two steps.
    gap = None if resampling == Image.Resampling.BOX else 2.0
    return image.resize((size, size), resampling, box=(left, top, left + short, top + short), reducing_gap=gap)
