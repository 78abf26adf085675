"""MIT-States: photographs of things in states; find the same thing in the state that the text names.

The protocol is that of the TIRG paper (Vo et al., CVPR 2019), section 4.2, on the folder as Isola et al. (CVPR 2015)
distribute it: `images/<adjective> <noun>/*.jpg`, or with underscores for the spaces, as the download scripts of
zero-shot repositories leave it. 49 nouns are for the test alone.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets.image_cache import CachedImages, cached_files
from benchmark.datasets.listing import list_folders
from benchmark.datasets.problems import Problem, refuse, skipped_hash
from benchmark.datasets.splits import Mask, Queries, Rows, Split
from benchmark.errors import BenchmarkError
from css_gen.progress import Reporter

_TEST_NOUNS = """
    armor bracelet bush camera candy castle ceramic cheese clock clothes coffee fan fig fish foam forest fruit furniture
    garden gate glass horse island laptop lead lightning mirror orange paint persimmon plastic plate potato road rubber
    sand shell sky smoke steel stream table tea tomato vacuum wax wheel window wool
"""
TEST_NOUNS = frozenset(_TEST_NOUNS.split())
"""The 49 that google/tirg publishes."""

_NO_ADJECTIVE = "adj"
_LISTED_PAIRS_SEED = 0
"""Of the training pairs that `Split.queries` lists, one for each source; batches draw their own."""


class MitStates:
    """Training pairs are drawn on the fly: two images of one noun with different adjectives; the text is the target's.

    Images are in the order of their nouns, so the validation part consists of whole nouns, like the test.

    Args:
        root: the folder that holds `images`.
        image_size: images are scaled until their short side has it, and cropped to their middle.
        reporter: told about the decoding, which happens once per image size.
        skip_broken: leave out what is broken, instead of refusing the folder.

    Raises:
        BenchmarkError: there are no such folders, or something is broken. Also on first use of a split.
    """

    name = "mit-states"
    spatial = False
    rendering = None

    def __init__(self, root: Path, *, image_size: int, reporter: Reporter, skip_broken: bool) -> None:
        self._root, self._image_size, self._reporter, self._skip = root, image_size, reporter, skip_broken
        self._paths, self._problems = image_paths(root)
        if not skip_broken:
            refuse(root, self.name, self._problems)

    @cached_property
    def skipped(self) -> Mapping[str, str]:
        broken = {problem.place: problem.what for problem in self._problems}
        return broken | dict(self._images["train"].broken) | dict(self._images["test"].broken)

    @property
    def fingerprint(self) -> str:
        """Does not depend on whether folder names have spaces or underscores."""
        plain = hashlib.sha256(json.dumps([_with_spaces(path) for path in self._paths]).encode()).hexdigest()
        skipped = skipped_hash({_with_spaces(name): why for name, why in self.skipped.items()})
        return hashlib.sha256(f"{plain} {skipped or ''}".encode()).hexdigest()

    @cached_property
    def train(self) -> Split:
        states = _States(self._images["train"].paths)
        everything = np.ones(len(states.nouns), dtype=bool)
        sources = states.sources(everything)
        if not len(sources):
            raise BenchmarkError(f"{self._root}: no training noun has two adjectives, so there are no pairs")
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(_LISTED_PAIRS_SEED)))
        pairs = [states.draw(source, everything, rng=rng) for source in sources.tolist()]
        return self._split("train", states, sources, pairs, ids=tuple(map(str, sources.tolist())))

    @cached_property
    def test(self) -> Split:
        states = _States(self._images["test"].paths)
        questions = [
            (source, adjective, images[0])
            for source, noun in enumerate(states.nouns.tolist())
            for adjective, images in states.images_of[noun].items()
            if adjective != states.adjectives[source]
        ]
        if not questions:
            raise BenchmarkError(f"{self._root}: no test noun has two adjectives, so there are no queries")
        sources = np.array([source for source, _, _ in questions], dtype=np.int64)
        pairs = [(adjective, target) for _, adjective, target in questions]
        ids = tuple(map(str, range(len(pairs))))
        return self._split("test", states, sources, pairs, ids=ids)

    def _split(
        self, name: str, states: "_States", sources: Rows, pairs: Sequence[tuple[str, int]], *, ids: tuple[str, ...]
    ) -> Split:
        images = self._images[name]
        pixels = images.pixels
        parts = {"adjective": _numbers(states.adjectives), "noun": _numbers(states.nouns)}
        queries = Queries(
            ids=ids,
            sources=sources,
            targets=np.array([target for _, target in pairs], dtype=np.int64),
            source_images=sources,
            texts=tuple(adjective for adjective, _ in pairs),
            attributes={},
        )
        return Split(
            sources=pixels,
            gallery=pixels,
            labels=parts["noun"] * (parts["adjective"].max() + 1) + parts["adjective"],
            queries=queries,
            further_texts=tuple(sorted(set(states.adjectives.tolist()))) if name == "train" else (),
            parts=parts,
            drawn_pairs=states if name == "train" else None,
            files=images.paths,
        )

    @cached_property
    def _sha256(self) -> str:
        return hashlib.sha256(json.dumps(self._paths).encode()).hexdigest()

    @cached_property
    def _images(self) -> Mapping[str, CachedImages]:
        return {
            split: cached_files(
                self._root,
                self.name,
                split,
                tuple(path for path in self._paths if (state_of(path)[1] in TEST_NOUNS) == (split == "test")),
                self._image_size,
                self._reporter,
                skip_broken=self._skip,
                key=self._sha256[:16],
            )
            for split in ("train", "test")
        }


class _States:
    """Images by noun and adjective."""

    def __init__(self, paths: Sequence[str]) -> None:
        states = [state_of(path) for path in paths]
        self.adjectives: NDArray[np.str_] = np.array([adjective for adjective, _ in states], dtype=np.str_)
        self.nouns: NDArray[np.str_] = np.array([noun for _, noun in states], dtype=np.str_)
        self.images_of: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for row, (adjective, noun) in enumerate(states):
            self.images_of[noun][adjective].append(row)

    def sources(self, allowed: Mask) -> Rows:
        """The allowed images of nouns that have two adjectives among the allowed images."""
        adjectives: dict[str, set[str]] = defaultdict(set)
        for row in np.flatnonzero(allowed).tolist():
            adjectives[self.nouns[row]].add(self.adjectives[row])
        paired = [len(adjectives[noun]) > 1 for noun in self.nouns.tolist()]
        return np.flatnonzero(allowed & np.array(paired, dtype=bool)).astype(np.int64)

    def draw(self, source: int, allowed: Mask, *, rng: np.random.Generator) -> tuple[str, int]:
        """Another adjective of the image's noun and an image of both, each at random."""
        states = self.images_of[str(self.nouns[source])]
        others = [adjective for adjective in states if adjective != self.adjectives[source]]
        for choice in rng.permutation(len(others)):
            images = [row for row in states[others[choice]] if allowed[row]]
            if images:
                return others[choice], images[rng.integers(len(images))]
        raise ValueError(f"image {source} has no other adjective among the allowed images")


def image_paths(root: Path) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """The images, ordered by noun, adjective and file name, and the folders that are not part of the dataset.

    Raises:
        BenchmarkError: there is no folder `images`, or no image in it.
    """
    if not (root / "images").is_dir():
        raise BenchmarkError(
            f"{root}: no folder images; expected MIT-States as its owners ship it: images/<adjective> <noun>/*.jpg"
        )
    folders = list_folders(root, "images", suffixes=(".jpg", ".jpeg"))
    problems, paths = [], []
    for folder, files in folders.items():
        adjective, noun = state_of(f"images/{folder}/")
        if adjective == _NO_ADJECTIVE:
            continue
        if not adjective or not noun:
            problems.append(Problem(f"images/{folder}", "is not named <adjective> <noun> or <adjective>_<noun>"))
        elif not files:
            problems.append(Problem(f"images/{folder}", "holds no .jpg"))
        else:
            paths += [f"images/{folder}/{file}" for file in files]
    if not paths:
        raise BenchmarkError(f"{root}: no images/<adjective> <noun>/*.jpg; expected MIT-States as its owners ship it")
    return tuple(sorted(paths, key=lambda path: (*reversed(state_of(path)), _with_spaces(path)))), tuple(problems)


def state_of(path: str) -> tuple[str, str]:
    """(adjective, noun) of an image; "" for a noun that is missing.

    >>> state_of("images/ripe tomato/1.jpg"), state_of("images/ripe_tomato/1.jpg")
    (('ripe', 'tomato'), ('ripe', 'tomato'))
    """
    adjective, _, noun = path.split("/")[1].replace("_", " ").partition(" ")
    return adjective, noun.strip()


def _with_spaces(path: str) -> str:
    """The path with its folder's name in the owners' spelling."""
    return "/".join(part.replace("_", " ") if place == 1 else part for place, part in enumerate(path.split("/")))


def _numbers(words: NDArray[np.str_]) -> Rows:
    return np.unique(words, return_inverse=True)[1].astype(np.int64)
