"""Create, check and map one NumPy file of decoded images, uint8 (N, size, size, 3)."""

import json
import os
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike

from benchmark.datasets.splits import Pixels
from css_gen.storage.atomic import NO_ROOM

_AT_ONCE = 256


def mapped(path: Path) -> Pixels:
    """Map a complete file into memory, copy on write: changes do not reach the file."""
    return cast(Pixels, np.load(path, mmap_mode="c"))


def is_whole(path: Path, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> bool:
    """Whether a file holds an array of that shape and type, such as all images; a truncated file does not."""
    try:
        found = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return False
    return bool(found.shape == shape and found.dtype == dtype)


def new_file(path: Path, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> np.memmap[Any, Any]:
    """A new file of zeros, such as black images, mapped to be written to.

    Its room on the disk is taken at once: writing to a mapped file on a full disk would end the process.

    Raises:
        OSError: there is no room for it, or it cannot be made.
    """
    try:
        pixels = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        _take_room(path)
    except OSError as error:
        if error.errno in NO_ROOM:
            path.unlink(missing_ok=True)
        raise
    return pixels


def _take_room(path: Path) -> None:
    """Raises OSError if there is no room; a file system that cannot reserve any is accepted."""
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise


def without_rows(whole: Path, broken: Iterable[str], names: Sequence[str]) -> Path:
    """A file of the images that are not broken, made once; `whole` itself if all are.

    Args:
        names: of the images, in the order of the file.
    """
    out = set(broken)
    rows = [row for row, name in enumerate(names) if name not in out]
    digest = sha256(json.dumps(sorted(out)).encode()).hexdigest()[:12]
    path = whole.with_name(f"{whole.stem}-without-{digest}.npy")
    pixels = np.load(whole, mmap_mode="r")
    shape = (len(rows), *pixels.shape[1:])
    if rows and not is_whole(path, shape):
        temporary = path.with_suffix(".npy.partial")
        copy = new_file(temporary, shape)
        for start in range(0, len(rows), _AT_ONCE):
            copy[start : start + _AT_ONCE] = pixels[rows[start : start + _AT_ONCE]]
        copy.flush()
        temporary.replace(path)
    return path if rows else whole
