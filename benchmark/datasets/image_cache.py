"""The images of a folder, decoded once into one file that later runs map into memory."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import cast

import numpy as np
from filelock import FileLock

from benchmark.datasets.folder_images import BrokenImage, decode, safe_path
from benchmark.datasets.problems import Problem, refuse
from benchmark.datasets.splits import Pixels
from benchmark.errors import BenchmarkError
from css_gen.progress import Reporter
from css_gen.storage.atomic import write_atomically

_AT_ONCE = 256


@dataclass(frozen=True)
class CachedImages:
    """Attributes:
    pixels: (N, size, size, 3), mapped; row i is `paths[i]`.
    paths: relative to the folder, in the order they were asked for.
    broken: why, for those that cannot be used and are in neither of the others.
    """

    pixels: Pixels
    paths: tuple[str, ...]
    broken: Mapping[str, str]


def cached_images(
    root: Path,
    dataset: str,
    name: str,
    paths: Sequence[str],
    size: int,
    reporter: Reporter,
    *,
    skip_broken: bool,
    folder: Path,
) -> CachedImages:
    """Decode images that are not decoded yet, going on where an interrupted start stopped.

    Args:
        dataset: its name on the command line, for messages.
        name: of the list of images; with `size` the name of the files in `folder`.
        paths: relative to `root`.
        folder: of the cache; its name has to stand for the list of images.

    Raises:
        BenchmarkError: an image is broken and `skip_broken` is off, none is whole, or the cache cannot be written.
    """
    whole, notes = folder / f"{name}-{size}.npy", folder / f"{name}-{size}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{name}-{size}.lock"):
            if notes.exists():
                broken = json.loads(notes.read_bytes())["broken"]
                still = _decode_again(root, paths, size, whole, broken)
            else:
                broken, still = {}, _decode_all(root, name, paths, size, reporter, whole)
            if still != broken or not notes.exists():
                write_atomically(notes, json.dumps({"images": len(paths), "broken": still}).encode())
            broken = still
            if not skip_broken:
                refuse(root, dataset, (Problem(path, reason) for path, reason in broken.items()))
            if broken:
                whole = _without(whole, [row for row, path in enumerate(paths) if path not in broken], broken)
    except OSError as error:
        raise BenchmarkError(
            f"{folder}: decoded images cannot be kept here ({error}); make room or make the folder writable"
        ) from None
    left = tuple(path for path in paths if path not in broken)
    if not left:
        raise BenchmarkError(f"{root}: none of the {len(paths)} {name} images can be used")
    return CachedImages(cast(Pixels, np.load(whole, mmap_mode="c")), left, broken)


def _decode_all(
    root: Path, name: str, paths: Sequence[str], size: int, reporter: Reporter, whole: Path
) -> dict[str, str]:
    """Decode into `whole`; why, for the images that are broken. What is done is noted after each stretch of images."""
    partial_pixels, progress = whole.with_suffix(".npy.partial"), whole.with_suffix(".progress.json")
    shape = (len(paths), size, size, 3)
    done, broken = 0, dict[str, str]()
    with suppress(OSError, ValueError, KeyError):
        before = json.loads(progress.read_bytes())
        pixels = np.lib.format.open_memmap(partial_pixels, mode="r+")
        if pixels.shape == shape:
            done, broken = before["done"], before["broken"]
    if not done:
        pixels = np.lib.format.open_memmap(partial_pixels, mode="w+", dtype=np.uint8, shape=shape)
    # Pillow decodes and resizes without holding the interpreter's lock, so threads are enough.
    with (
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
        reporter.track(f"decoding {name} images to {size} px", len(paths), "images") as report,
    ):
        work: Callable[[str], Pixels | str] = partial(_decoded, root, size)
        for start in range(done, len(paths), _AT_ONCE):
            some = paths[start : start + _AT_ONCE]
            for row, (path, found) in enumerate(zip(some, pool.map(work, some), strict=True), start=start):
                if isinstance(found, str):
                    broken[path] = found
                else:
                    pixels[row] = found
            pixels.flush()
            write_atomically(progress, json.dumps({"done": start + len(some), "broken": broken}).encode())
            report(start + len(some))
    partial_pixels.replace(whole)
    progress.unlink(missing_ok=True)
    return broken


def _decode_again(
    root: Path, paths: Sequence[str], size: int, whole: Path, broken: Mapping[str, str]
) -> dict[str, str]:
    """Decode what was broken at the last start, in case somebody mended it; why, for what still is."""
    still = {}
    for path in broken:
        found = _decoded(root, size, path)
        if isinstance(found, str):
            still[path] = found
        else:
            pixels = np.load(whole, mmap_mode="r+")
            pixels[paths.index(path)] = found
            pixels.flush()
    return still


def _decoded(root: Path, size: int, path: str) -> Pixels | str:
    try:
        return decode(safe_path(root, path), size)
    except BrokenImage as error:
        return str(error)


def _without(whole: Path, rows: Sequence[int], broken: Mapping[str, str]) -> Path:
    """A copy with these rows alone, made once."""
    digest = sha256(json.dumps(sorted(broken)).encode()).hexdigest()[:12]
    path = whole.with_name(f"{whole.stem}-without-{digest}.npy")
    if rows and not path.exists():
        pixels = np.load(whole, mmap_mode="r")
        temporary = path.with_suffix(".npy.partial")
        copy = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=(len(rows), *pixels.shape[1:]))
        for start in range(0, len(rows), _AT_ONCE):
            copy[start : start + _AT_ONCE] = pixels[list(rows[start : start + _AT_ONCE])]
        copy.flush()
        temporary.replace(path)
    return path
