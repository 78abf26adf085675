"""FashionIQ: a garment and two captions that say how another differs; find the other among those of its category.

The protocol is that of the FashionIQ challenge (Wu et al., CVPR 2021), whose test targets are not distributed: models
are scored on its validation split. The folder as its owners distribute it:

    captions/cap.<category>.<split>.json       [{"target": id, "candidate": id, "captions": [text, text]}, ...]
    image_splits/split.<category>.<split>.json [id, ...]
    images/<id>.png or .jpg

A query's text is its captions, each without the white space and the marks . , ! ? at its ends, joined by " and ".
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmark.datasets.image_cache import CachedImages, cached_files
from benchmark.datasets.problems import Problem, refuse, skipped_hash
from benchmark.datasets.splits import Queries, Rows, Split
from benchmark.errors import BenchmarkError
from css_gen.progress import Reporter

CATEGORIES = ("dress", "shirt", "toptee")
SPLITS = ("train", "val")
_SUFFIXES = (".png", ".jpg", ".jpeg")
_ENDS = " \t\r\n.,!?"


class Garment(NamedTuple):
    """An image in the gallery of a category."""

    category: str
    id: str


@dataclass(frozen=True)
class Triplet:
    """A query: `text` makes `target` of `source`."""

    source: Garment
    target: Garment
    text: str


@dataclass(frozen=True)
class Annotations:
    """The contents of a folder's JSON files, and its image names.

    Attributes:
        garments: by split, in an order that mixes the categories and does not depend on the files' order.
        triplets: by split, in the order of the files.
        files: of images, relative to the folder, by id.
        problems: what cannot be used; it is not in the others.
        sha256: of the JSON files' content and the names of the images.
    """

    garments: Mapping[str, tuple[Garment, ...]]
    triplets: Mapping[str, tuple[Triplet, ...]]
    files: Mapping[str, str]
    problems: tuple[Problem, ...]
    sha256: str


class FashionIq:
    """`train` is the training split, `test` the validation split; each query is ranked within its category.

    Args:
        root: the folder that holds `captions`, `image_splits` and `images`.
        image_size: images are scaled until their short side has it, and cropped to their middle.
        reporter: told about the decoding, which happens once per image size.
        skip_broken: leave out broken images and the queries on them, instead of refusing the folder.

    Raises:
        BenchmarkError: a JSON file is missing or is not laid out so, or something is broken. Also on first use of a
            split.
    """

    name = "fashion-iq"
    spatial = False
    rendering = None

    def __init__(self, root: Path, *, image_size: int, reporter: Reporter, skip_broken: bool) -> None:
        self._root, self._image_size, self._reporter, self._skip = root, image_size, reporter, skip_broken
        self._annotations = read_annotations(root)
        if not skip_broken:
            refuse(root, self.name, self._annotations.problems)

    @cached_property
    def skipped(self) -> Mapping[str, str]:
        broken = {problem.place: problem.what for problem in self._annotations.problems}
        return broken | dict(self._images["train"].broken) | dict(self._images["val"].broken)

    @property
    def fingerprint(self) -> str:
        content = f"{self._annotations.sha256} {skipped_hash(self.skipped) or ''}"
        return hashlib.sha256(content.encode()).hexdigest()

    @cached_property
    def train(self) -> Split:
        return self._split("train")

    @cached_property
    def test(self) -> Split:
        return self._split("val")

    def _split(self, name: str) -> Split:
        images, files = self._images[name], self._annotations.files
        garments = [each for each in self._annotations.garments[name] if files[each.id] not in images.broken]
        row = {garment: number for number, garment in enumerate(garments)}
        triplets = [each for each in self._annotations.triplets[name] if each.source in row and each.target in row]
        if not triplets:
            raise BenchmarkError(f"{self._root}: no query of the {name} split is left")
        sources: Rows = np.array([row[each.source] for each in triplets], dtype=np.int64)
        return Split(
            sources=images.pixels,
            gallery=images.pixels,
            labels=np.unique([garment.id for garment in garments], return_inverse=True)[1].astype(np.int64),
            galleries=np.array([CATEGORIES.index(garment.category) for garment in garments], dtype=np.int64),
            queries=Queries(
                ids=tuple(map(str, range(len(triplets)))),
                sources=sources,
                targets=np.array([row[each.target] for each in triplets], dtype=np.int64),
                source_images=sources,
                texts=tuple(each.text for each in triplets),
                attributes={"category": np.array([each.target.category for each in triplets])},
            ),
            files=images.paths,
        )

    @cached_property
    def _images(self) -> Mapping[str, CachedImages]:
        return {
            split: cached_files(
                self._root,
                self.name,
                split,
                [self._annotations.files[garment.id] for garment in garments],
                self._image_size,
                self._reporter,
                skip_broken=self._skip,
                key=self._annotations.sha256[:16],
            )
            for split, garments in self._annotations.garments.items()
        }


def read_annotations(root: Path) -> Annotations:
    """Read the JSON files and list the images; what cannot be used becomes a problem.

    Raises:
        BenchmarkError: a file or the folder of images is missing, or is not laid out as FashionIQ's.
    """
    digest, problems = hashlib.sha256(), list[Problem]()
    files = _image_files(root)
    garments: dict[str, tuple[Garment, ...]] = {}
    triplets: dict[str, tuple[Triplet, ...]] = {}
    for split in SPLITS:
        listed: dict[Garment, str] = {}
        found: list[Triplet] = []
        for category in CATEGORIES:
            split_file = f"image_splits/split.{category}.{split}.json"
            for number, name in enumerate(_list_in(root, split_file, digest)):
                if isinstance(name, str) and name in files:
                    listed[Garment(category, name)] = hashlib.sha256(name.encode()).hexdigest()
                else:
                    problems.append(Problem(f"{split_file}, entry {number}", f"there is no image of {name!r}"))
            caption_file = f"captions/cap.{category}.{split}.json"
            for number, entry in enumerate(_list_in(root, caption_file, digest)):
                triplet = _triplet(entry, category, listed)
                if isinstance(triplet, str):
                    problems.append(Problem(f"{caption_file}, entry {number}", triplet))
                else:
                    found.append(triplet)
        garments[split] = tuple(sorted(listed, key=lambda garment: (listed[garment], garment)))
        triplets[split] = tuple(found)
    used = {garment.id for some in garments.values() for garment in some}
    files = {name: file for name, file in files.items() if name in used}
    digest.update(json.dumps(sorted(files.values())).encode())
    return Annotations(garments, triplets, files, tuple(problems), digest.hexdigest())


def joined(captions: list[str]) -> str:
    """The text of a query.

    >>> joined(["is longer.", " has a red belt"])
    'is longer and has a red belt'
    """
    return " and ".join(text for text in (caption.strip(_ENDS) for caption in captions) if text)


def _triplet(entry: Any, category: str, listed: Mapping[Garment, str]) -> Triplet | str:
    """The query of an entry, or its problem in words."""
    try:
        source, target = Garment(category, entry["candidate"]), Garment(category, entry["target"])
        if not isinstance(entry["captions"], list):
            raise TypeError
        text = joined(entry["captions"])
    except (KeyError, TypeError, AttributeError):
        return "expected candidate, target and a list of captions"
    for garment in (source, target):
        if not isinstance(garment.id, str) or garment not in listed:
            return f"{garment.id!r} is not an image of this category and split"
    return Triplet(source, target, text) if text else "has no words in its captions"


def _list_in(root: Path, name: str, digest: "hashlib._Hash") -> list[Any]:
    try:
        content = (root / name).read_bytes()
        values = json.loads(content)
    except OSError as error:
        raise BenchmarkError(
            f"{root / name}: cannot be read ({error.strerror}); expected FashionIQ as its owners ship it: the folders "
            "captions, image_splits and images"
        ) from None
    except (ValueError, RecursionError) as error:
        raise BenchmarkError(f"{root / name}: not JSON ({error}); fetch it again") from None
    if not isinstance(values, list):
        raise BenchmarkError(f"{root / name}: expected a list, found {type(values).__name__}; fetch it again")
    digest.update(name.encode() + b"\0" + content + b"\0")
    return values


def _image_files(root: Path) -> dict[str, str]:
    """Files relative to the folder by the id of their image; hidden ones are left out. A PNG is preferred to a JPEG."""
    try:
        names = sorted(path.name for path in (root / "images").iterdir())
    except OSError as error:
        raise BenchmarkError(
            f"{root / 'images'}: cannot be read ({error.strerror}); expected <id>.png or .jpg"
        ) from None
    found: dict[str, str] = {}
    for suffix in _SUFFIXES:
        for name in names:
            if name.lower().endswith(suffix) and not name.startswith("."):
                found.setdefault(name[: -len(suffix)], f"images/{name}")
    return found
