"""Decode images once, at the size that networks see, into one file that later runs map into memory."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from benchmark.datasets import cache_place
from benchmark.datasets.folder_images import BrokenImage, decode, safe_path
from benchmark.datasets.image_file import is_whole, mapped, new_file, without_rows
from benchmark.datasets.problems import Problem, refuse
from benchmark.datasets.splits import Pixels
from benchmark.errors import BenchmarkError
from css_gen.progress import Reporter
from css_gen.storage.atomic import write_atomically

_AT_ONCE = 256

Encoded = TypeVar("Encoded")


@dataclass(frozen=True)
class ImageSource(Generic[Encoded]):
    """Images to decode.

    Attributes:
        root: the folder of the dataset.
        names: one an image, in their order: files, or what else tells an image from the others.
        encoded: what `decode` takes, for the images from that row on.
        decode: gives uint8 (size, size, 3) of an image and `size`; raises BrokenImage.
    """

    root: Path
    names: Sequence[str]
    encoded: Callable[[int], Iterator[Encoded]]
    decode: Callable[[Encoded, int], Pixels]


@dataclass(frozen=True)
class CachedImages:
    """Attributes:
    pixels: (N, size, size, 3), mapped or in memory; row i is `paths[i]`.
    paths: the names of the images, in the order of the source.
    broken: why, for those that cannot be used and are in neither of the others.
    """

    pixels: Pixels
    paths: tuple[str, ...]
    broken: Mapping[str, str]


def cached_files(
    root: Path,
    dataset: str,
    name: str,
    paths: Sequence[str],
    size: int,
    reporter: Reporter,
    *,
    skip_broken: bool,
    key: str,
) -> CachedImages:
    """Decode image files of a folder; see `cached`.

    Args:
        dataset: its name on the command line, for messages.
        paths: relative to `root`.
        skip_broken: leave out what is broken, instead of refusing the folder.

    Raises:
        BenchmarkError: an image is broken and `skip_broken` is off, none is whole, or the cache cannot be written.
    """

    def decoded(path: str, size: int) -> Pixels:
        return decode(safe_path(root, path), size)

    source = ImageSource(root, paths, lambda row: iter(paths[row:]), decoded)
    found = cached(source, name, size, reporter, key=key)
    if not skip_broken:
        refuse(root, dataset, (Problem(path, reason) for path, reason in found.broken.items()))
    if not found.paths:
        raise BenchmarkError(f"{root}: none of the {len(paths)} {name} images can be used")
    return found


def cached(source: ImageSource[Encoded], name: str, size: int, reporter: Reporter, *, key: str) -> CachedImages:
    """Decode the images that are not decoded yet, resuming where an interrupted start stopped.

    Args:
        name: of the list of images; with `size` the name of the files in the cache.
        reporter: told about the decoding, and once if the dataset's folder cannot be written to.
        key: of the list of images and their content: files under one key are never decoded again.

    Raises:
        BenchmarkError: the cache cannot be written.
    """
    shape = (len(source.names), size, size, 3)
    for place in cache_place.places(source.root):
        whole = place / key / f"{name}-{size}.npy"
        if is_whole(whole, shape) and _noted_as_broken(whole.with_suffix(".json")) == {}:
            return _left(source, mapped(whole), {})
    folder = cache_place.writable_place(source.root, reporter)
    if folder is None:
        pixels = np.empty(shape, dtype=np.uint8)
        return _left(source, pixels, _decode_into(pixels, source, name, size, reporter))
    try:
        return _cached_in(folder / key, source, name, size, reporter)
    except OSError as error:
        raise BenchmarkError(
            f"{folder}: decoded images cannot be kept here ({error}); make room or make the folder writable"
        ) from None


def _cached_in(place: Path, source: ImageSource[Encoded], name: str, size: int, reporter: Reporter) -> CachedImages:
    whole, notes = place / f"{name}-{size}.npy", place / f"{name}-{size}.json"
    place.mkdir(parents=True, exist_ok=True)
    with cache_place.locked(whole.with_suffix(".lock")):
        before = _noted_as_broken(notes) if is_whole(whole, (len(source.names), size, size, 3)) else None
        if before is None:
            broken = _decode_to_file(whole, source, name, size, reporter)
        else:
            broken = _decode_again(whole, source, size, before)
        if broken != before:
            write_atomically(notes, json.dumps({"images": len(source.names), "broken": broken}).encode())
        if broken:
            whole = without_rows(whole, broken, source.names)
    return _left(source, mapped(whole), broken)


def _left(source: ImageSource[Encoded], pixels: Pixels, broken: Mapping[str, str]) -> CachedImages:
    """Leave out the broken images."""
    rows = [row for row, name in enumerate(source.names) if name not in broken]
    if len(rows) != len(pixels):
        pixels = pixels[rows]
    return CachedImages(pixels, tuple(source.names[row] for row in rows), broken)


def _decode_to_file(
    whole: Path, source: ImageSource[Encoded], name: str, size: int, reporter: Reporter
) -> dict[str, str]:
    """Decode into `whole`, noting the progress. Return the reason for each broken image, by name."""
    partial_pixels, progress = whole.with_suffix(".npy.partial"), whole.with_suffix(".progress.json")
    shape = (len(source.names), size, size, 3)
    done, broken = 0, dict[str, str]()
    with suppress(OSError, ValueError, KeyError, TypeError):
        before = json.loads(progress.read_bytes())
        # A file that was cut short would be filled up with black images.
        if is_whole(partial_pixels, shape):
            done, broken = int(before["done"]), dict(before["broken"])
    pixels = np.lib.format.open_memmap(partial_pixels, mode="r+") if done else new_file(partial_pixels, shape)

    def note(done: int) -> None:
        pixels.flush()
        write_atomically(progress, json.dumps({"done": done, "broken": broken}).encode())

    _decode_into(pixels, source, name, size, reporter, start=done, broken=broken, note=note)
    partial_pixels.replace(whole)
    progress.unlink(missing_ok=True)
    return broken


def _decode_into(
    pixels: Pixels,
    source: ImageSource[Encoded],
    name: str,
    size: int,
    reporter: Reporter,
    *,
    start: int = 0,
    broken: dict[str, str] | None = None,
    note: Callable[[int], None] = lambda _: None,
) -> dict[str, str]:
    """Decode the images from row `start` on. Return the reason for each broken one; `note` gets the number done."""
    found_broken = {} if broken is None else broken
    total, encoded = len(source.names), source.encoded(start)
    # Pillow decodes and resizes without holding the interpreter's lock, so threads are enough.
    with (
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
        reporter.track(f"decoding {name} images to {size} px", total, "images") as report,
    ):
        work: Callable[[Encoded], Pixels | str] = partial(_decoded, source, size)
        done = start
        while done < total and (some := list(islice(encoded, min(_AT_ONCE, total - done)))):
            for row, found in enumerate(pool.map(work, some), start=done):
                if isinstance(found, str):
                    found_broken[source.names[row]] = found
                else:
                    pixels[row] = found
            done += len(some)
            note(done)
            report(done)
    if done != total:
        raise BenchmarkError(f"{source.root}: expected {total} {name} images, found {done}")
    return found_broken


def _decode_again(whole: Path, source: ImageSource[Encoded], size: int, broken: Mapping[str, str]) -> dict[str, str]:
    """Try the images again that were broken before. Return the reason for each that still is."""
    still = {}
    for row in (row for row, name in enumerate(source.names) if name in broken):
        name = source.names[row]
        found = _decoded(source, size, next(source.encoded(row)))
        if isinstance(found, str):
            still[name] = found
        else:
            pixels = np.load(whole, mmap_mode="r+")
            pixels[row] = found
            pixels.flush()
    return still


def _decoded(source: ImageSource[Encoded], size: int, encoded: Encoded) -> Pixels | str:
    try:
        return source.decode(encoded, size)
    except BrokenImage as error:
        return str(error)


def _noted_as_broken(notes: Path) -> dict[str, str] | None:
    """The broken images that a complete decoding noted; None if none was completed."""
    try:
        return dict(json.loads(notes.read_bytes())["broken"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
