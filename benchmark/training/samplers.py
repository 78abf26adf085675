"""Choose the queries of each training step, as a pure function of (seed, step)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import numpy as np

from benchmark.datasets.splits import Alternatives, Rows, Split

_ORDER, _DRAWS, _TEXTS = 0, 2, 3
"""First numbers of the spawn keys here; `randomness` has 1 and 4."""


@dataclass(frozen=True)
class Batch:
    """The queries of one step; all are row numbers.

    Attributes:
        sources: (G,) into the source images; each is encoded once.
        group: (B,) into `sources`: whose modification a query is.
        texts: (B,) into the training texts.
        targets: (B,) into the gallery images.
        queries: (B,) into the split's queries; -1 for pairs that were drawn on the fly.
    """

    sources: Rows
    group: Rows
    texts: Rows
    targets: Rows
    queries: Rows


class Sampler(Protocol):
    """Gives the batch of every step; all batches have the same size."""

    def batch(self, step: int) -> Batch: ...


def make_sampler(training: Split, *, groups: int, modifications: int, seed: int) -> Sampler:
    """The batches of a run on a training split, or on the part of one that `hold_out` keeps.

    Where pairs are drawn on the fly, neither sources nor targets are images of the validation part.

    Args:
        groups: source images a batch.
        modifications: queries a source image in a batch.

    Raises:
        ValueError: the split is too small for one batch.
    """
    queries, pairs = training.queries, training.drawn_pairs
    if training.alternatives is not None:
        return TextSampler(training, training.alternatives, groups=groups, modifications=modifications, seed=seed)
    if pairs is None:
        return PairSampler(
            queries.sources, training.text_rows, queries.targets, groups=groups, modifications=modifications, seed=seed
        )
    allowed = np.ones(len(training.gallery), dtype=bool)
    allowed[np.setdiff1d(pairs.sources(allowed), queries.sources)] = False
    text_row = {text: row for row, text in enumerate(training.texts)}

    def draw(source: int, rng: np.random.Generator) -> tuple[int, int]:
        text, target = pairs.draw(source, allowed, rng=rng)
        return text_row[text], target

    return DrawnSampler(pairs.sources(allowed), draw, groups=groups, modifications=modifications, seed=seed)


class PairSampler:
    """Fixed pairs in the paper's order: modifications of one source image are in one batch, as each other's hard
    negatives.

    An epoch deals every source's queries, shuffled, into groups of `modifications` (a last incomplete group is filled
    up with that source's first queries) and goes through all groups in random order; what does not fill a batch of
    `sources` groups waits for the next epoch's order.

    Args:
        sources, texts, targets: (Q,) the training queries.
        groups: source images a batch.
        modifications: queries a source image in a batch.

    Raises:
        ValueError: there are fewer groups than one batch needs.
    """

    def __init__(
        self, sources: Rows, texts: Rows, targets: Rows, *, groups: int, modifications: int, seed: int
    ) -> None:
        self._sources, self._texts, self._targets = sources, texts, targets
        self._groups, self._modifications, self._seed = groups, modifications, seed
        order = np.argsort(sources, kind="stable")
        starts = np.flatnonzero(np.diff(sources[order], prepend=-1))
        self._queries_of: Sequence[Rows] = np.split(order, starts[1:])
        available = sum(-(-len(queries) // modifications) for queries in self._queries_of)
        self._batches = available // groups
        if not self._batches:
            raise ValueError(
                f"a batch needs {groups} groups of {modifications} modifications and the training queries give "
                f"{available}: lower training.sources"
            )
        self._epoch = lru_cache(maxsize=1)(self._deal)

    def batch(self, step: int) -> Batch:
        epoch, place = divmod(step, self._batches)
        queries = self._epoch(epoch)[place * self._groups : (place + 1) * self._groups]
        flat = queries.reshape(-1)
        return Batch(
            sources=self._sources[queries[:, 0]],
            group=np.repeat(np.arange(self._groups), self._modifications),
            texts=self._texts[flat],
            targets=self._targets[flat],
            queries=flat,
        )

    def _deal(self, epoch: int) -> Rows:
        """(groups of an epoch, modifications) rows of queries."""
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(self._seed, spawn_key=(_ORDER, epoch))))
        groups = []
        for queries in self._queries_of:
            count = -(-len(queries) // self._modifications)
            groups.append(np.resize(rng.permutation(queries), (count, self._modifications)))
        return rng.permutation(np.concatenate(groups))


class TextSampler:
    """Fixed pairs of source and target in the order of `PairSampler`, whose text is drawn in every batch.

    Args:
        training: a split with a query for each text.
        alternatives: which of them are of one pair.

    Raises:
        ValueError: there are fewer groups than one batch needs.
    """

    def __init__(
        self, training: Split, alternatives: Alternatives, *, groups: int, modifications: int, seed: int
    ) -> None:
        queries, self._starts, self._seed = training.queries, alternatives.starts, seed
        self._texts, self._until = training.text_rows, np.cumsum(alternatives.shares)
        firsts = self._starts[:-1]
        self._pairs = PairSampler(
            queries.sources[firsts],
            firsts,
            queries.targets[firsts],
            groups=groups,
            modifications=modifications,
            seed=seed,
        )

    def batch(self, step: int) -> Batch:
        pairs = self._pairs.batch(step)
        first, end = self._starts[pairs.queries], self._starts[pairs.queries + 1]
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(self._seed, spawn_key=(_TEXTS, step))))
        # The shares of a pair sum to 1, so those of the pairs before it sum to the pair's number.
        drawn = np.searchsorted(self._until, pairs.queries + rng.random(len(first)), side="right")
        chosen = np.clip(drawn, first, end - 1)
        return replace(pairs, texts=self._texts[chosen], queries=chosen)


class DrawnSampler:
    """Sources in random order, epoch by epoch, and for each `modifications` pairs of text and target drawn on the fly.

    Args:
        sources: (S,) images that queries may start from.
        draw: (source, rng) -> row of the text, row of the target.
        groups: source images a batch.
        modifications: queries a source image in a batch.

    Raises:
        ValueError: there are fewer sources than one batch needs.
    """

    def __init__(
        self,
        sources: Rows,
        draw: Callable[[int, np.random.Generator], tuple[int, int]],
        *,
        groups: int,
        modifications: int,
        seed: int,
    ) -> None:
        self._sources, self._draw = sources, draw
        self._groups, self._modifications, self._seed = groups, modifications, seed
        self._batches = len(sources) // groups
        if not self._batches:
            raise ValueError(
                f"a batch needs {groups} source images and there are {len(sources)}: lower training.sources"
            )
        self._epoch = lru_cache(maxsize=1)(self._deal)

    def batch(self, step: int) -> Batch:
        epoch, place = divmod(step, self._batches)
        sources = self._epoch(epoch)[place * self._groups : (place + 1) * self._groups]
        rng = self._rng(_DRAWS, step)
        drawn = [self._draw(source, rng) for source in np.repeat(sources, self._modifications).tolist()]
        texts, targets = np.array(drawn, dtype=np.int64).T
        group = np.repeat(np.arange(self._groups), self._modifications)
        return Batch(sources=sources, group=group, texts=texts, targets=targets, queries=np.full_like(targets, -1))

    def _deal(self, epoch: int) -> Rows:
        return self._rng(_ORDER, epoch).permutation(self._sources)

    def _rng(self, purpose: int, number: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(self._seed, spawn_key=(purpose, number))))
