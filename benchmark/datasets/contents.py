"""Count what a data folder holds and list its problems, for `tirg-bench data check`."""

import os
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmark.datasets.folder_images import BrokenImage, decode, safe_path
from benchmark.datasets.problems import Problem
from css_gen.progress import Reporter

_CHECKED_SIZE = 32
_AT_ONCE = 256


@dataclass(frozen=True)
class Count:
    """`published` is the number in the papers, from memory; None if unknown."""

    what: str
    found: int
    published: int | None = None


@dataclass(frozen=True)
class Contents:
    """The contents of a folder, from its file names and text files.

    Attributes:
        images: files relative to the folder.
        problems: what cannot be used.
        notes: what is odd, and used as it is.
    """

    counts: tuple[Count, ...]
    images: tuple[str, ...]
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]


def broken_images(root: Path, images: Iterable[str], reporter: Reporter) -> tuple[Problem, ...]:
    """Decode every image, on all cores, and return the problems in the order of the images."""
    paths = list(images)
    found: list[Problem] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool, reporter.track("checking", len(paths), "images") as report:
        for start in range(0, len(paths), _AT_ONCE):
            some = paths[start : start + _AT_ONCE]
            reasons = pool.map(partial(_broken, root), some)
            found += [Problem(path, reason) for path, reason in zip(some, reasons, strict=True) if reason]
            report(start + len(some))
    return tuple(found)


def _broken(root: Path, path: str) -> str | None:
    try:
        decode(safe_path(root, path), _CHECKED_SIZE)
    except BrokenImage as error:
        return str(error)
    return None


def alike(captions: Iterable[str]) -> Iterable[Problem]:
    """Report captions that read alike but have different labels."""
    groups: dict[str, list[str]] = defaultdict(list)
    for caption in captions:
        groups[" ".join(caption.casefold().split())].append(caption)
    for same in groups.values():
        if len(same) > 1:
            first, *others = sorted(same)
            yield Problem(repr(first), f"differs in case or white space alone from {', '.join(map(repr, others))}")
