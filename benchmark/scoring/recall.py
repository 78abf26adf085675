"""The outcome of each query of a run, and Recall@K, mAP@K and the Recall@K of chance computed from outcomes.

Recall@K is the share of queries, in percent, with at least one relevant image among the first K (a hit rate: the
definition of the field, though a query may have several relevant images). mAP@K counts all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import comb, fsum
from types import MappingProxyType
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

KS = (1, 5, 10, 50)
MAP_KS = (5, 10, 50)
DEPTH = max(*KS, *MAP_KS)
"""How many of the images ranked first are stored as relevant or not, for each query."""

NO_RANK = 2**31 - 1
"""The rank of a query without a relevant image: beyond any K, so never a hit."""

_NUMBERS = ("ranks", "drawn_ranks", "relevant", "relevant_labels", "candidates", "top1", "sources")
_OPTIONAL = ("source_oracle_ranks", "text_candidates", "groups", "shortcut_candidates", "shortcut_hits")
_BY_NAME = ("part_ranks", "contrasts", "distractors")

Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.str_]
Mask = npt.NDArray[np.bool_]
Recall = dict[int, Annotated[float, Field(ge=0, le=100)]]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The outcome of each query of a split; entry i belongs to query i of the dataset.

    Scores need nothing else, so any two runs on one dataset can be compared query by query.

    Attributes:
        ranks, drawn_ranks, relevant, relevant_labels, candidates: (Q,), as `ranking.rank_targets` returns them.
        hits: (Q, DEPTH), bool: whether the image at each place, from 1, is relevant.
        top1: (Q,), the gallery index of the image ranked first, -1 if there is none: `Ranking.top[:, 0]`.
        sources: (Q,), integers; queries of equal number share their source scene and count as one cluster.
        attributes: columns of Q words that results are sliced by, such as "kind".
        part_ranks: for a part of the meaning, such as "noun", the rank of the first image that agrees in this part.
        source_oracle_ranks: (Q,), the rank of the first relevant image in the order of `levels.source_oracle_ranks`.
        text_candidates: (Q,), how many of the candidates the text can make of some source, whatever that is. Both are
            None where they are not known, and in older records.
        groups: (Q,), integers; queries of equal number share their target and the meaning of their texts. None where
            the dataset does not say so.
        shortcut_candidates, shortcut_hits: (Q,), how many candidates the shortcut takes for right that a track is built
            against, and how many of these are relevant. None for tasks without a shortcut.
        contrasts: (Q,) by the heading of a contrast: 1 where the best relevant image is ranked above all distractors of
            the contrast, 0 where it is not, -1 where the query has no such distractor.
        distractors: (Q,) by the heading of a contrast, how many candidates are its distractors.

    Raises:
        ValueError: lengths differ, a rank is neither `NO_RANK` nor from 1 to the number of candidates, or numbers
            contradict each other.
    """

    ranks: Integers
    drawn_ranks: Integers
    relevant: Integers
    relevant_labels: Integers
    candidates: Integers
    hits: Mask
    top1: Integers
    sources: Integers
    attributes: Mapping[str, Words] = field(default_factory=dict)
    part_ranks: Mapping[str, Integers] = field(default_factory=dict)
    source_oracle_ranks: Integers | None = None
    text_candidates: Integers | None = None
    groups: Integers | None = None
    shortcut_candidates: Integers | None = None
    shortcut_hits: Integers | None = None
    contrasts: Mapping[str, Integers] = field(default_factory=dict)
    distractors: Mapping[str, Integers] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.int64))
        object.__setattr__(self, "hits", np.asarray(self.hits, dtype=np.bool_))
        words = {name: np.asarray(column, dtype=np.str_) for name, column in self.attributes.items()}
        object.__setattr__(self, "attributes", MappingProxyType(words))
        tables: dict[str, dict[str, Integers]] = {}
        for table in _BY_NAME:
            columns = {name: np.asarray(column, dtype=np.int64) for name, column in getattr(self, table).items()}
            tables[table] = columns
            object.__setattr__(self, table, MappingProxyType(columns))
        parts = tables["part_ranks"]
        optional = {name: np.asarray(column, dtype=np.int64) for name, column in self.optional.items()}
        for name, column in optional.items():
            object.__setattr__(self, name, column)
        numbers = {name: getattr(self, name) for name in _NUMBERS} | optional
        for name, column in [
            *numbers.items(),
            *words.items(),
            *(pair for each in tables.values() for pair in each.items()),
        ]:
            if column.shape != (len(self),):
                raise ValueError(f"{name} has shape {column.shape}, expected one value for each of {len(self)} queries")
        within = (self.ranks >= 1) & (self.ranks <= self.candidates - self.relevant + 1) & (self.relevant >= 1)
        possible = within | ((self.ranks == NO_RANK) & (self.relevant == 0))
        if not possible.all():
            row = int(np.flatnonzero(~possible)[0])
            raise ValueError(
                f"query {row} cannot have rank {self.ranks[row]}, with {self.relevant[row]} relevant images "
                f"among {self.candidates[row]} candidates"
            )
        self._check_answers()
        for name, column in parts.items():
            if ((column < 1) | (column > self.ranks)).any():
                raise ValueError(f"the {name}'s rank is above the whole answer's, or no rank, in a query")

    def _check_answers(self) -> None:
        """Raises ValueError where the answers' numbers contradict each other."""
        if self.hits.shape != (len(self), DEPTH):
            raise ValueError(f"hits has shape {self.hits.shape}, expected {(len(self), DEPTH)}")
        hits = self.hits.sum(1)
        first = np.where(self.hits.any(1), 1 + self.hits.argmax(1), NO_RANK)
        possible = {
            "hits": (first == np.where(self.ranks <= DEPTH, self.ranks, NO_RANK)) & (hits <= self.relevant),
            "drawn rank": (self.drawn_ranks >= self.ranks)
            & ((self.drawn_ranks <= self.candidates) | (self.drawn_ranks == NO_RANK)),
            "relevant labels": (self.relevant_labels <= self.relevant)
            & ((self.relevant_labels > 0) == (self.relevant > 0)),
        }
        if (ranks := self.source_oracle_ranks) is not None:
            last = np.where(self.relevant > 0, self.candidates - self.relevant + 1, NO_RANK)
            possible["source oracle's rank"] = (ranks >= np.where(self.relevant > 0, 1, NO_RANK)) & (ranks <= last)
        if (images := self.text_candidates) is not None:
            possible["text's candidates"] = (images >= self.relevant) & (images <= self.candidates)
        if (self.shortcut_candidates is None) != (self.shortcut_hits is None):
            raise ValueError("shortcut_candidates and shortcut_hits are known only together")
        if self.shortcut_candidates is not None and self.shortcut_hits is not None:
            others = self.shortcut_candidates - self.shortcut_hits
            fits = (self.shortcut_hits >= 0) & (self.shortcut_hits <= self.relevant) & (others >= 0)
            possible["shortcut's candidates"] = fits & (others <= self.candidates - self.relevant)
        possible |= self._possible_contrasts()
        for name, fits in possible.items():
            if not fits.all():
                raise ValueError(f"query {int(np.flatnonzero(~fits)[0])}: its {name} contradict its other numbers")

    def _possible_contrasts(self) -> dict[str, Mask]:
        """Where each contrast agrees with the ranks, (Q,) by its name. Raises ValueError if names are missing."""
        if self.contrasts.keys() != self.distractors.keys():
            raise ValueError("contrasts and distractors do not have the same names")
        possible = {}
        for name, holds in self.contrasts.items():
            count = self.distractors[name]
            last = self.candidates - self.relevant + 1
            possible[name] = (
                ((holds == 1) & (self.ranks <= last - count) & (count > 0))
                | ((holds == 0) & (self.ranks > 1) & (count > 0) & (count <= last - 1))
                | ((holds == -1) & (count == 0))
            )
        return possible

    def __len__(self) -> int:
        return len(self.ranks)

    @property
    def optional(self) -> dict[str, Integers]:
        """Those columns, by their names, that are known here and not everywhere."""
        return {name: column for name in _OPTIONAL if (column := getattr(self, name)) is not None}

    def rows(self, chosen: Mask | Integers) -> "Outcomes":
        """Of these queries alone."""
        values: dict[str, Any] = {name: getattr(self, name)[chosen] for name in (*_NUMBERS, "hits", *self.optional)}
        for table in ("attributes", *_BY_NAME):
            values[table] = {name: column[chosen] for name, column in getattr(self, table).items()}
        return Outcomes(**values)


def recall_at_k(ranks: npt.ArrayLike, ks: Sequence[int] = KS) -> dict[int, float]:
    """Recall@K in percent for each K.

    >>> recall_at_k([1, 3, 20, 1], ks=(1, 5))
    {1: 50.0, 5: 75.0}

    Args:
        ranks: (Q,), the place of each query's best relevant image, from 1.
        ks: how many of the first images count; a K beyond the gallery counts all of it.

    Raises:
        ValueError: there are no queries, so there is no recall.
    """
    places = np.asarray(ranks)
    if places.size == 0:
        raise ValueError("Recall@K of no queries is not defined")
    answered = places[places != NO_RANK]
    return {k: 100.0 * int((answered <= k).sum()) / len(places) for k in ks}


def map_at_k(hits: Mask, relevant: npt.ArrayLike, ks: Sequence[int] = MAP_KS) -> dict[int, float]:
    """mAP@K in percent for each K, as CIRCO defines it (Baldrati et al., ICCV 2023, equation 4).

    The average precision of a query with c relevant images is the sum of the precisions of its first 1, 2, ... K
    images, of those numbers that end in a relevant one, over min(K, c); that of a query without any is 0.

    >>> map_at_k(np.array([[True, False, True, False, False]]), [2], ks=(5,))  # (1/1 + 2/3) / 2
    {5: 83.33333333333333}

    Args:
        hits: (Q, depth), whether the image at each place is relevant.
        relevant: (Q,), relevant images of each query.
        ks: how many of the first images count, at most `depth`.

    Raises:
        ValueError: there are no queries, or a K is beyond the depth.
    """
    counts = np.asarray(relevant)
    if not len(hits):
        raise ValueError("mAP@K of no queries is not defined")
    if max(ks) > hits.shape[1]:
        raise ValueError(f"mAP@{max(ks)} needs as many places, there are {hits.shape[1]}")
    precision = np.where(hits, hits.cumsum(1) / np.arange(1, hits.shape[1] + 1), 0.0)
    return {k: 100.0 * fsum(precision[:, :k].sum(1) / np.clip(counts, 1, k)) / len(hits) for k in ks}


def chance_recall(relevant: npt.ArrayLike, candidates: npt.ArrayLike, ks: Sequence[int] = KS) -> dict[int, float]:
    """Expected Recall@K in percent of a random order of each query's candidates.

    With c relevant images among G candidates, `1 - C(G - c, K) / C(G, K)`: one minus the chance that none of K images
    drawn without replacement is relevant. Computed in whole numbers, so it is exact for any size.

    >>> chance_recall([1, 2], [4, 4], ks=(1, 9))
    {1: 37.5, 9: 100.0}

    Args:
        relevant: (Q,), relevant images of each query.
        candidates: (Q,), or one number for all: images in its gallery, its source excluded.
        ks: as in `recall_at_k`.

    Raises:
        ValueError: there are no queries, or more relevant images than candidates.
    """
    columns = np.broadcast_arrays(np.asarray(relevant, dtype=np.int64), np.asarray(candidates, dtype=np.int64))
    pairs = np.stack(columns, axis=-1).reshape(-1, 2)
    if len(pairs) == 0:
        raise ValueError("Recall@K of no queries is not defined")
    if (pairs < 0).any() or (pairs[:, 0] > pairs[:, 1]).any():
        raise ValueError("each query needs 0 or more relevant images, and no more than it has candidates")
    span = int(pairs.max()) + 1
    codes, counts = np.unique(pairs[:, 0] * span + pairs[:, 1], return_counts=True)
    kinds = [(*divmod(code, span), count) for code, count in zip(codes.tolist(), counts.tolist(), strict=True)]
    return {k: 100.0 * fsum(n * _chance(found, images, k) for found, images, n in kinds) / len(pairs) for k in ks}


# The slices of a record, and the records of a task, ask for the same few thousand numbers again and again.
@lru_cache(maxsize=2**16)
def _chance(relevant: int, candidates: int, k: int) -> float:
    drawn = min(k, candidates)
    ways = comb(candidates, drawn)
    return (ways - comb(candidates - relevant, drawn)) / ways
