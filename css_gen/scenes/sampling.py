"""References, modifications and queries of a split, each a pure function of (seed, split, index) and the configuration.

No item depends on its neighbours, so any worker can make any shard. A modification needs only the split's references,
which are drawn once per worker and kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache
from itertools import repeat
from typing import NamedTuple

import numpy as np

from css_gen.scenes.factors import Cell, Combination, Size
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.matching import object_set, walk
from css_gen.scenes.modification import Modification, Selector, type_of
from css_gen.scenes.randomness import SplitId, Stream, stream
from css_gen.scenes.scene import Scene, SceneObject

__all__ = [
    "KINDS_ASKED",
    "REFERENCES_PER_MODIFICATION",
    "TURNS",
    "HeldOut",
    "Query",
    "SplitPlan",
    "SplitSize",
    "modification_queries",
    "reference",
    "split_size",
]

REFERENCES_PER_MODIFICATION = 3
FEWEST_OBJECTS, MOST_OBJECTS = 3, 8
"""Objects of a reference. With three or more, removals seldom end in the same near-empty scene, which the text alone
would find, and two references hardly ever agree; with eight at most, there is room to add."""


class SplitSize(NamedTuple):
    """How many references and modifications a split has: images = references + 3 * modifications."""

    references: int
    modifications: int


def split_size(images: int) -> SplitSize:
    """Divide a split into references and targets as nearly as in the original, 1,000 to 18,012.

    Raises:
        ValueError: there are too few images for three references and one modification.
    """
    least = 2 * REFERENCES_PER_MODIFICATION
    if images < least:
        raise ValueError(f"a split needs at least {least} images (3 references and 3 targets), got {images}")
    remainder = images % REFERENCES_PER_MODIFICATION
    nearest = remainder + 3 * round((images * 1_000 / 19_012 - remainder) / 3)
    references = max(nearest, remainder + 3)
    return SplitSize(references, (images - references) // REFERENCES_PER_MODIFICATION)


def reference(index: int, *, seed: int, split: SplitId, held_out: HeldOut) -> Scene:
    """Return reference number `index`: how many objects, their cells, sizes and allowed combinations, each uniform.

    Two references may agree, since neither knows of the other; among 1,000 that happens about once in 400 splits.
    """
    return _reference(index, seed, split, held_out.allowed(split))


@dataclass(frozen=True)
class Query:
    """A source image and a modification ask for a target image.

    Attributes:
        index: its number in the split.
        source: number of the image that is modified, a reference.
        target: number of the image that answers.
        novel: whether an object that the modification adds, removes or changes has, before or after, a combination
            that only test shows. Never in train.
    """

    index: int
    source: int
    target: int
    modification: Modification
    source_scene: Scene
    target_scene: Scene
    novel: bool

    @property
    def modification_id(self) -> int:
        """Equal for the three queries that share a modification."""
        return self.index // REFERENCES_PER_MODIFICATION

    @property
    def distractors(self) -> tuple[tuple[str, int], ...]:
        """None: only tracks put wrong answers into the gallery."""
        return ()


def modification_queries(
    index: int, *, seed: int, split: SplitId, references: int, held_out: HeldOut
) -> tuple[Query, Query, Query]:
    """Return modification number `index` with the three different references it is applied to.

    A third of the modifications add, a third remove, a sixth make a new colour and a sixth a new size. One to four
    attributes are named equally often (two to four to add), and which ones is drawn.

    Every reference is the first of the three in turn. Its objects lend the attributes (to add: any object that may be
    added to it), and the other two are the first on a random walk that fit: the modification changes them, into scenes
    that the split may show. In a split of some tens of references there may be no such two; then fewer attributes are
    named, and at last anything is added anywhere.

    Since modifications do not know of each other, two may pair one source with one text: 2.5 to 2.7% of the queries
    repeat an earlier one in a split of 10,000 images. Nine in ten of them remove or make, and have the same answer.

    Raises:
        ValueError: there are fewer than three references.
    """
    if references < REFERENCES_PER_MODIFICATION:
        raise ValueError(f"expected at least {REFERENCES_PER_MODIFICATION} references, got {references}")
    return _modification_queries(index, seed, split, references, held_out)


@dataclass(frozen=True)
class SplitPlan:
    """All scenes and queries of a split. Images are numbered from 0: the references, then the targets of the queries.

    Raises:
        ValueError: there are too few images for a split.
    """

    images: int
    _: KW_ONLY
    seed: int
    split: SplitId
    held_out: HeldOut

    def __post_init__(self) -> None:
        split_size(self.images)

    @property
    def references(self) -> int:
        return split_size(self.images).references

    @property
    def modifications(self) -> int:
        return split_size(self.images).modifications

    @property
    def query_count(self) -> int:
        """How many queries the split has: one for each image that is not a reference."""
        return self.images - self.references

    @property
    def reference_scenes(self) -> Sequence[Scene]:
        """All references, drawn when first asked for and then kept for the life of the process."""
        return _pool(self.references, self.seed, self.split, self.held_out).scenes

    def scene(self, image_index: int) -> Scene:
        """Return the scene of image number `image_index`.

        Raises:
            IndexError: there is no such image.
        """
        if not 0 <= image_index < self.images:
            raise IndexError(f"image {image_index} of a split of {self.images}")
        if image_index < self.references:
            return self.reference_scenes[image_index]
        return self._query(image_index - self.references).target_scene

    def place_of(self, query: int) -> tuple[int, int]:
        """Return the target and the modification_id of a query without drawing it."""
        return self.references + query, query // REFERENCES_PER_MODIFICATION

    def queries(self, start: int, stop: int) -> list[Query]:
        """Return queries number `start` to `stop`, the stop excluded.

        Raises:
            IndexError: there are no such queries.
        """
        if not 0 <= start <= stop <= self.query_count:
            raise IndexError(f"queries {start} to {stop} of a split of {self.query_count}")
        return [self._query(index) for index in range(start, stop)]

    def _query(self, index: int) -> Query:
        modification, place = divmod(index, REFERENCES_PER_MODIFICATION)
        return _modification_queries(modification, self.seed, self.split, self.references, self.held_out)[place]


_CELLS, _SIZES = tuple(Cell), tuple(Size)
_ATTRIBUTES = ("cell", "size", "colour", "shape")
TURNS = ("add", "remove", "make-colour", "add", "remove", "make-size")
"""How often a dataset asks for each kind of modification, as in the original. Part of the dataset's definition."""

KINDS_ASKED = tuple(dict.fromkeys(TURNS))
"""The kinds of modification that a dataset asks for, in the order of the tables."""

_DRAWS = 8


class _Pool(NamedTuple):
    """References and combinations that all modifications of a split draw from."""

    scenes: tuple[Scene, ...]
    sets: tuple[int, ...]
    combinations: tuple[Combination, ...]


@lru_cache(maxsize=2)
def _pool(references: int, seed: int, split: SplitId, held_out: HeldOut) -> _Pool:
    combinations = held_out.allowed(split)
    scenes = tuple(_reference(index, seed, split, combinations) for index in range(references))
    return _Pool(scenes, tuple(map(object_set, scenes)), combinations)


def _reference(index: int, seed: int, split: SplitId, combinations: Sequence[Combination]) -> Scene:
    rng = stream(seed, split, Stream.REFERENCE, index)
    count = int(rng.integers(FEWEST_OBJECTS, MOST_OBJECTS, endpoint=True))
    cells = rng.permutation(len(_CELLS))[:count]
    sizes = rng.integers(len(_SIZES), size=count)
    pairs = rng.integers(len(combinations), size=count)
    objects = []
    for cell, size, pair in zip(cells, sizes, pairs, strict=True):
        shape, colour = combinations[pair]
        objects.append(SceneObject(_CELLS[cell], _SIZES[size], colour, shape))
    return Scene(tuple(objects))


@lru_cache(maxsize=16)
def _modification_queries(
    index: int, seed: int, split: SplitId, references: int, held_out: HeldOut
) -> tuple[Query, Query, Query]:
    pool = _pool(references, seed, split, held_out)
    rng = stream(seed, split, Stream.MODIFICATION, index)
    visit, first = divmod(index, references)
    for kind, named in _attempts(first, visit):
        modification = _draw(kind, named, pool.scenes[first], pool.combinations, rng)
        wanted = modification.needs(pool.combinations)
        others = walk(pool.sets, wanted, count=2, without=first, rng=rng) if wanted.fit(pool.sets[first]) else []
        if others:
            break
    queries = []
    for number, source in enumerate((first, *others), start=index * REFERENCES_PER_MODIFICATION):
        scene = pool.scenes[source]
        target = modification.apply(scene, rng=rng, combinations=pool.combinations)
        changed = {*scene} ^ {*target}
        novel = any((item.shape, item.colour) in held_out.test_only for item in changed)
        queries.append(Query(number, source, references + number, modification, scene, target, novel))
    return queries[0], queries[1], queries[2]


def _attempts(first: int, visit: int) -> Iterator[tuple[str, int]]:
    """Return the kind and the number of named attributes to try, again and again; the last one always fits.

    The visits to a reference take the kinds in turn, and so do neighbouring references on one visit; the numbers change
    after six references and, for the kind that comes again, after three visits.
    """
    kind = TURNS[(first + visit) % len(TURNS)]
    numbers = type_of(kind).named
    named = numbers[(first // len(TURNS) + visit // 3) % len(numbers)]
    for fewer in range(named, -1, -1):
        yield from repeat((kind, fewer), _DRAWS)
    yield "add", 0


def _draw(
    kind: str, named: int, scene: Scene, combinations: Sequence[Combination], rng: np.random.Generator
) -> Modification:
    """Return a modification of the given kind whose selector names so many attributes."""
    chosen = type_of(kind)
    lender = chosen.lender(scene, combinations, rng=rng)
    names = [_ATTRIBUTES[place] for place in rng.permutation(len(_ATTRIBUTES))[:named]]
    selector = Selector(**{name: getattr(lender, name) for name in names})
    return chosen.draw(kind, selector, lender, combinations, rng=rng)
