"""What a folder of data holds and what is wrong with it, without training on it: for `tirg-bench data check`."""

import os
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmark.datasets.folder_images import BrokenImage, decode, safe_path
from benchmark.datasets.problems import Problem
from benchmark.tasks import css_original, fashion200k, mit_states
from css_gen.progress import Reporter

_CHECKED_SIZE = 32
_AT_ONCE = 256


@dataclass(frozen=True)
class Count:
    """`published` is as we recall the papers; None where we recall none."""

    what: str
    found: int
    published: int | None = None


@dataclass(frozen=True)
class Contents:
    """What the names and text files of a folder say.

    Attributes:
        images: files relative to the folder.
        problems: what cannot be used.
        notes: what is odd, and used as it is.
    """

    counts: tuple[Count, ...]
    images: tuple[str, ...]
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]


def names() -> tuple[str, ...]:
    """The names of the folders that can be looked into."""
    return tuple(_READERS)


def contents(name: str, root: Path) -> Contents:
    """Read the names and text files of a folder.

    Raises:
        KeyError: there is no such dataset among `names()`.
        BenchmarkError: the folder is not laid out as its owners ship it.
    """
    return _READERS[name](root)


def broken_images(root: Path, images: Iterable[str], reporter: Reporter) -> tuple[Problem, ...]:
    """Decode every image, on all cores; what cannot be decoded, in the order of the images."""
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


def _fashion200k(root: Path) -> Contents:
    labels = fashion200k.read_labels(root)
    train, test = labels.captions["train"], labels.captions["test"]
    return Contents(
        counts=(
            Count("training images", len(train), 172_049),
            Count("test images", len(test), 29_789),
            Count("test queries", len(labels.queries), 33_480),
            Count("captions", len({*train.values(), *test.values()})),
        ),
        images=(*train, *test),
        problems=labels.problems,
        notes=tuple(_alike({*train.values(), *test.values()})),
    )


def _mit_states(root: Path) -> Contents:
    paths, problems = mit_states.image_paths(root)
    adjectives: dict[str, dict[str, int]] = defaultdict(dict)
    for path in paths:
        adjective, noun = mit_states.state_of(path)
        adjectives[noun][adjective] = adjectives[noun].get(adjective, 0) + 1
    tested = adjectives.keys() & mit_states.TEST_NOUNS
    queries = sum(sum(adjectives[noun].values()) * (len(adjectives[noun]) - 1) for noun in tested)
    single = [Problem(noun, "has one adjective: no query") for noun, of in sorted(adjectives.items()) if len(of) == 1]
    absent = [Problem(noun, "is a test noun without images") for noun in sorted(mit_states.TEST_NOUNS - tested)]
    return Contents(
        counts=(
            Count("images", len(paths), 53_753),
            Count("nouns", len(adjectives), 245),
            Count("adjectives", len({adjective for of in adjectives.values() for adjective in of}), 115),
            Count("test nouns", len(tested), 49),
            Count("test queries", queries, 82_732),
        ),
        images=paths,
        problems=problems,
        notes=(*single, *absent, *_alike(f"{adjective} {noun}" for noun, of in adjectives.items() for adjective in of)),
    )


def _css_original(root: Path) -> Contents:
    _, tables = css_original.read_tables(root)
    queries = [query for table in tables.values() for query in table["queries"]]
    return Contents(
        counts=(
            Count("training images", len(tables["train"]["labels"]), 19_012),
            Count("test images", len(tables["test"]["labels"]), 19_012),
            Count("training queries", len(tables["train"]["queries"]), 18_012),
            Count("test queries", len(tables["test"]["queries"]), 18_012),
            Count("modification texts", len({query["text"] for query in queries})),
        ),
        images=tuple(path for split, table in tables.items() for path in css_original.image_paths(split, table)),
        problems=(),
        notes=(),
    )


def _alike(captions: Iterable[str]) -> Iterable[Problem]:
    """Captions that a person would call equal, and that count as different answers."""
    groups: dict[str, list[str]] = defaultdict(list)
    for caption in captions:
        groups[" ".join(caption.casefold().split())].append(caption)
    for same in groups.values():
        if len(same) > 1:
            first, *others = sorted(same)
            yield Problem(repr(first), f"differs in case or white space alone from {', '.join(map(repr, others))}")


_READERS = {"fashion200k": _fashion200k, "mitstates": _mit_states, "css-original": _css_original}
