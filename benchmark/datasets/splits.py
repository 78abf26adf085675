"""The form in which training and scoring get a dataset, whatever its file format."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets.combinations import Combinations
from benchmark.datasets.relevance import Relevance

Pixels = NDArray[np.uint8]
"""(N, H, W, 3), usually memory-mapped."""

Rows = NDArray[np.int64]
"""Row numbers of images, texts or queries."""

Words = NDArray[np.str_]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Queries:
    """Questions of composed retrieval.

    Attributes:
        ids: (Q,) names, the same in every run on the same data.
        sources: (Q,) rows of `Split.sources`.
        targets: (Q,) rows of `Split.gallery`.
        source_images: (Q,) the row of the gallery that shows the query's own source image and is left out of its
            ranking; -1 for none.
        texts: (Q,) the modification texts.
        attributes: columns of Q words that results are sliced by, such as "kind"; see `Task.slices`.
        groups: (Q,) equal for queries that share their target and the meaning of their texts, such as paraphrases. None
            where that is not known.
    """

    ids: tuple[str, ...]
    sources: Rows
    targets: Rows
    source_images: Rows
    texts: tuple[str, ...]
    attributes: Mapping[str, Words]
    groups: Rows | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, rows: Rows) -> "Queries":
        """Only these queries, in this order."""
        return Queries(
            ids=tuple(self.ids[row] for row in rows),
            sources=self.sources[rows],
            targets=self.targets[rows],
            source_images=self.source_images[rows],
            texts=tuple(self.texts[row] for row in rows),
            attributes={name: column[rows] for name, column in self.attributes.items()},
            groups=None if self.groups is None else self.groups[rows],
        )


class DrawnPairs(Protocol):
    """Training pairs that are drawn on the fly, where there are too many to list."""

    def sources(self, allowed: Mask) -> Rows:
        """The allowed images (N,) that can be paired with an allowed image, in ascending order."""
        ...

    def draw(self, source: int, allowed: Mask, *, rng: np.random.Generator) -> tuple[str, int]:
        """A text and a target for an image of `sources(allowed)`."""
        ...


class Shortcut(NamedTuple):
    """What a solver takes for right that lacks the part which a track tests, for each query (Q,).

    Attributes:
        candidates: how many images of the gallery but the query's own source image.
        hits: how many of them are relevant.
    """

    candidates: Rows
    hits: Rows


class Alternatives(NamedTuple):
    """Which of N texts are of one pair of source and target, of which there are P.

    Attributes:
        starts: (P + 1,) pair p's are number `starts[p]` to `starts[p + 1]`, the end excluded.
        shares: (N,) how often each is drawn; those of a pair sum to 1.
    """

    starts: Rows
    shares: NDArray[np.float64]


class EquivalentTexts(NamedTuple):
    """For each query all texts that ask for its target of its source, its own among them.

    Attributes:
        alternatives: which of them are of one query.
        texts: N texts.
        relevant: the relevant labels of each text, N rows.
    """

    alternatives: Alternatives
    texts: tuple[str, ...]
    relevant: Relevance


@dataclass(frozen=True)
class Split:
    """Images and the queries on them.

    Attributes:
        sources: images that queries start from; the same object as `gallery` where they are the same images.
        gallery: images that are ranked.
        labels: (gallery images,) images of equal number are equally relevant.
        relevant: the relevant labels of each query, the target's among them. None where only the target's label is
            known to be relevant.
        galleries: (gallery images,) where a query is ranked among a part of the images alone: the number of the part
            that an image is in; the part of a query is its target's. None where every image is ranked for every query.
        further_texts: what batches may name besides the texts of `queries`, where training pairs are drawn on the fly.
        parts: labels (gallery images,) of parts of the meaning, such as "noun", which are scored apart.
        drawn_pairs: draws pairs for training instead of taking those of `queries`, which are then one of each source.
        files: (gallery images,) relative to the dataset's folder; empty where images are not files of their own.
        text_candidates: (Q,) how many images of the gallery, without the query's own source image, the query's text can
            make of some source, whatever that is. None where it is not known.
        combinations: of shape and colour, which a validation part may hold out. None where they are not known.
        contrasts: by the heading of tables, wrong images that the gallery holds for each query: (Q, M) rows of
            `gallery`, -1 where a query has fewer.
        shortcut: how far the solver gets that a track is built against. None where there is none.
        equivalents: finds the equivalent texts of the queries with the given ids. None where the scenes of the images
            are not known.
        alternatives: where each batch draws the texts of its queries: which rows of `queries` differ in their text
            alone, and how often each is drawn. None where every query has one text. See `with_equivalent_texts`.
        shapes: (gallery images, 9) what is in each cell of the grid: 0 for nothing, else a shape's number from 1. None
            where the scenes of the images are not known.
    """

    sources: Pixels
    gallery: Pixels
    labels: Rows
    queries: Queries
    galleries: Rows | None = None
    further_texts: tuple[str, ...] = ()
    parts: Mapping[str, Rows] = field(default_factory=dict)
    drawn_pairs: DrawnPairs | None = None
    files: tuple[str, ...] = ()
    relevant: Relevance | None = None
    text_candidates: Rows | None = None
    combinations: Combinations | None = None
    contrasts: Mapping[str, Rows] = field(default_factory=dict)
    shortcut: Shortcut | None = None
    equivalents: Callable[[Sequence[str]], EquivalentTexts] | None = None
    alternatives: Alternatives | None = None
    shapes: Rows | None = None

    def asking(self, rows: Rows) -> "Split":
        """The same images with only these queries, in this order."""
        relevant = None if self.relevant is None else self.relevant.rows(rows)
        text_candidates = None if self.text_candidates is None else self.text_candidates[rows]
        combinations = None if self.combinations is None else self.combinations.rows(rows)
        return replace(
            self,
            queries=self.queries.rows(rows),
            relevant=relevant,
            text_candidates=text_candidates,
            combinations=combinations,
            contrasts={name: images[rows] for name, images in self.contrasts.items()},
            shortcut=None if self.shortcut is None else Shortcut(*(column[rows] for column in self.shortcut)),
        )

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The distinct modification texts, sorted."""
        return tuple(sorted({*self.queries.texts, *self.further_texts}))

    @cached_property
    def text_rows(self) -> Rows:
        """(Q,) each query's row in `texts`."""
        row = {text: index for index, text in enumerate(self.texts)}
        return np.array([row[text] for text in self.queries.texts], dtype=np.int64)


class Dataset(Protocol):
    """One protocol on one dataset.

    Attributes:
        name: as on the command line and on the leaderboard.
        fingerprint: of the content, whatever file format it came in.
        spatial: whether composers get the map (B, C, H, W) or the pooled vector (B, C).
        skipped: why, by name, for all that is broken and was left out.
        rendering: the configuration that css-gen renders it from, as JSON; None for data that cannot be rendered.
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def spatial(self) -> bool: ...

    @property
    def skipped(self) -> Mapping[str, str]: ...

    @property
    def rendering(self) -> dict[str, Any] | None: ...

    @property
    def train(self) -> Split: ...

    @property
    def test(self) -> Split: ...


def hold_out(split: Split, share: float, *, combinations: int = 0) -> tuple[Split, Split | None]:
    """Split off the validation part: the queries of the last sources. Both parts keep all images.

    Args:
        share: of the sources. The validation part is None if it would have no source.
        combinations: how many combinations to hold out: no training query shows one, neither in its source nor in its
            target. About a quarter of the validation queries are about them; the attribute "combination" says which.

    Raises:
        ValueError: the split's combinations are not known, or there are too few.
    """
    queries = split.queries
    sources = np.unique(queries.sources)
    kept = len(sources) - round(len(sources) * share)
    if kept == len(sources):
        return split, None
    is_kept = queries.sources < sources[kept]
    if not combinations:
        training, validation = (split.asking(np.flatnonzero(chosen)) for chosen in (is_kept, ~is_kept))
        return training, validation
    if split.combinations is None:
        raise ValueError("which combinations its images show is not known; set it to 0")
    found = split.combinations.held_out(is_kept, combinations)
    validation = split.asking(found.validation)
    attributes = {**validation.queries.attributes, "combination": np.where(found.is_novel, "novel", "seen")}
    return split.asking(found.training), replace(validation, queries=replace(validation.queries, attributes=attributes))


def with_own_images(split: Split) -> Split:
    """The split with only its queries' own images, targets and distractors in the gallery: quick to score, but easy."""
    queries = split.queries
    named = [queries.targets, queries.source_images, *(images.ravel() for images in split.contrasts.values())]
    gallery = np.unique(np.concatenate(named))
    gallery = gallery[gallery >= 0]
    place = np.full(len(split.gallery) + 1, -1, dtype=np.int64)
    place[gallery] = np.arange(len(gallery))
    return replace(
        split,
        gallery=split.gallery[gallery],
        labels=split.labels[gallery],
        shapes=None if split.shapes is None else split.shapes[gallery],
        galleries=None if split.galleries is None else split.galleries[gallery],
        queries=replace(queries, targets=place[queries.targets], source_images=place[queries.source_images]),
        parts={name: labels[gallery] for name, labels in split.parts.items()},
        files=tuple(split.files[row] for row in gallery) if split.files else (),
        text_candidates=None,
        combinations=None,
        contrasts={name: place[images] for name, images in split.contrasts.items()},
        shortcut=None,
    )
