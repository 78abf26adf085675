"""Images decoded once, at the size that networks see, into one file that later runs map into memory."""

import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
from filelock import FileLock
from PIL import Image

import css_gen.dataset
from benchmark.datasets.splits import Pixels
from benchmark.errors import BenchmarkError
from css_gen.errors import DatasetError
from css_gen.progress import Reporter

_AT_ONCE = 256


def cached_pixels(split: css_gen.dataset.Split, view: str, count: int, size: int, reporter: Reporter) -> Pixels:
    """The first `count` images of a CSS split in one view, "3d" or "2d": uint8 (count, size, size, 3), memory-mapped.

    The file lies in the dataset's folder under `.cache`, named after the dataset's fingerprint, so that it can never
    belong to other images.

    Raises:
        BenchmarkError: an image cannot be read, or the cache cannot be written.
    """
    folder = split.root / ".cache" / split.manifest.fingerprint[:16]
    path = folder / f"{split.name}-{view}-{size}.npy"
    pngs = (png for (png,) in islice(split.iter_pngs([f"image_{view}"]), count))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not _is_whole(path, (count, size, size, 3)):
                with reporter.track(f"decoding {split.name} {view} images to {size} px", count, "images") as report:
                    _decode_all(pngs, path, count, size, report)
    except (DatasetError, SyntaxError, ValueError, pa.ArrowException, Image.DecompressionBombError) as error:
        raise BenchmarkError(
            f"{split.root}: an image of the {split.name} split cannot be read ({error}); "
            f"`css-gen verify {split.root}` says what is broken, and --repair makes it anew"
        ) from None
    except OSError as error:
        raise BenchmarkError(
            f"{folder}: decoded images cannot be kept here ({error}); make room or make the folder writable"
        ) from None
    return cast(Pixels, np.load(path, mmap_mode="c"))


def reduced(png: bytes, size: int) -> Pixels:
    """Decode an image and average it down to (size, size, 3), uint8."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        image.load()
        small = image.convert("RGB").resize((size, size), Image.Resampling.BOX)
    return np.asarray(small)


def _decode_all(pngs: Iterator[bytes], path: Path, count: int, size: int, report: Callable[[int], None]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        pixels = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=(count, size, size, 3))
        done = 0
        # Pillow decodes and resizes without holding the interpreter's lock, so threads are enough.
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            while some := list(islice(pngs, _AT_ONCE)):
                pixels[done : done + len(some)] = list(pool.map(partial(reduced, size=size), some))
                done += len(some)
                report(done)
        if done != count:
            raise ValueError(f"expected {count} images, found {done}")
        pixels.flush()
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def _is_whole(path: Path, shape: tuple[int, ...]) -> bool:
    try:
        return bool(np.load(path, mmap_mode="r").shape == shape)
    except (OSError, ValueError):
        return False
