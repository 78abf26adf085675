"""Ranks to Recall@K: overall, by slice, and what a random order of the gallery would get.

Recall@K is the share of queries, in percent, with at least one right answer among the first K images (a hit rate: the
definition of the field, though a query may have several right answers).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import comb, fsum
from types import MappingProxyType
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

KS = (1, 5, 10, 50)
NO_RANK = 2**31 - 1
"""The rank of a query that no image of the gallery answers: beyond any K, so never a hit."""

SLICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "kind": ("add", "remove", "make-colour", "make-size"),
        "combination": ("seen", "novel"),
        "objects": tuple(str(number) for number in range(10)),
    }
)
"""Slices of CSS by attribute of the query, in the order of the tables: they are reported even when empty.

`combination`: whether training ever showed the shape-colour combination; `objects`: how many the source scene has."""

_NUMBERS = ("ranks", "correct", "candidates", "first", "sources")

Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.str_]
Mask = npt.NDArray[np.bool_]
Recall = dict[int, Annotated[float, Field(ge=0, le=100)]]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What became of each query of a split; entry i belongs to query i of the dataset.

    All that scores need, so that any two runs on one dataset can be compared query by query.

    Attributes:
        ranks, correct, candidates: (Q,), as `retrieval.rank_targets` returns them.
        first: (Q,), the gallery index of the image ranked first, -1 if there is none: `Ranking.top[:, 0]`.
        sources: (Q,), integers; queries of equal number share their source scene and count as one cluster.
        attributes: columns of Q words that results are sliced by, such as "kind".
        part_ranks: for a part of the meaning, such as "noun", the rank of the first image that is right in this part.

    Raises:
        ValueError: lengths differ, or a rank is neither `NO_RANK` nor from 1 to the number of candidates.
    """

    ranks: Integers
    correct: Integers
    candidates: Integers
    first: Integers
    sources: Integers
    attributes: Mapping[str, Words] = field(default_factory=dict)
    part_ranks: Mapping[str, Integers] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.int64))
        words = {name: np.asarray(column, dtype=np.str_) for name, column in self.attributes.items()}
        object.__setattr__(self, "attributes", MappingProxyType(words))
        parts = {name: np.asarray(column, dtype=np.int64) for name, column in self.part_ranks.items()}
        object.__setattr__(self, "part_ranks", MappingProxyType(parts))
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        for name, column in [*numbers.items(), *words.items(), *parts.items()]:
            if column.shape != (len(self),):
                raise ValueError(f"{name} has shape {column.shape}, expected one value for each of {len(self)} queries")
        within = (self.ranks >= 1) & (self.ranks <= self.candidates - self.correct + 1) & (self.correct >= 1)
        possible = within | ((self.ranks == NO_RANK) & (self.correct == 0))
        if not possible.all():
            row = int(np.flatnonzero(~possible)[0])
            raise ValueError(
                f"query {row} cannot have rank {self.ranks[row]}, with {self.correct[row]} right answers "
                f"among {self.candidates[row]} candidates"
            )
        for name, column in parts.items():
            if ((column < 1) | (column > self.ranks)).any():
                raise ValueError(f"the {name}'s rank is above the whole answer's, or no rank, in a query")

    def __len__(self) -> int:
        return len(self.ranks)


def recall_at_k(ranks: npt.ArrayLike, ks: Sequence[int] = KS) -> dict[int, float]:
    """Recall@K in percent for each K.

    >>> recall_at_k([1, 3, 20, 1], ks=(1, 5))
    {1: 50.0, 5: 75.0}

    Args:
        ranks: (Q,), the place of each query's best right answer, from 1.
        ks: numbers of images looked at; one beyond the gallery looks at all of it.

    Raises:
        ValueError: there are no queries, so there is no recall.
    """
    places = np.asarray(ranks)
    if places.size == 0:
        raise ValueError("Recall@K of no queries is not defined")
    answered = places[places != NO_RANK]
    return {k: 100.0 * int((answered <= k).sum()) / len(places) for k in ks}


def chance_recall(correct: npt.ArrayLike, candidates: npt.ArrayLike, ks: Sequence[int] = KS) -> dict[int, float]:
    """Expected Recall@K in percent if each query's candidates stood in random order.

    With c right answers among G candidates, `1 - C(G - c, K) / C(G, K)`: one minus the chance that K images drawn
    without replacement are all wrong. Computed in whole numbers, so it is right to the last digit for any size.

    >>> chance_recall([1, 2], [4, 4], ks=(1, 9))
    {1: 37.5, 9: 100.0}

    Args:
        correct: (Q,), right answers of each query.
        candidates: (Q,), or one number for all: images in its gallery, its source excluded.
        ks: as in `recall_at_k`.

    Raises:
        ValueError: there are no queries, or more right answers than candidates.
    """
    columns = np.broadcast_arrays(np.asarray(correct, dtype=np.int64), np.asarray(candidates, dtype=np.int64))
    pairs = np.stack(columns, axis=-1).reshape(-1, 2)
    if len(pairs) == 0:
        raise ValueError("Recall@K of no queries is not defined")
    if (pairs < 0).any() or (pairs[:, 0] > pairs[:, 1]).any():
        raise ValueError("each query needs 0 or more right answers, and no more than it has candidates")
    span = int(pairs.max()) + 1
    codes, counts = np.unique(pairs[:, 0] * span + pairs[:, 1], return_counts=True)
    kinds = [(*divmod(code, span), count) for code, count in zip(codes.tolist(), counts.tolist(), strict=True)]
    return {k: 100.0 * fsum(n * _chance(right, images, k) for right, images, n in kinds) / len(pairs) for k in ks}


def slice_masks(attributes: Mapping[str, Words]) -> dict[str, dict[str, Mask]]:
    """For each attribute and each of its values the mask (Q,) of its queries, in the order of the tables.

    Values that `SLICES` lists stand first, with or without queries; others follow in alphabetical order.
    """
    masks: dict[str, dict[str, Mask]] = {}
    for name in [*(name for name in SLICES if name in attributes), *sorted(attributes.keys() - SLICES.keys())]:
        column = attributes[name]
        listed = SLICES.get(name, ())
        others = sorted(set(column.tolist()) - set(listed))
        masks[name] = {value: column == value for value in (*listed, *others)}
    return masks


class SliceMetrics(BaseModel):
    """Recall@K and its chance level in percent; None for a slice without queries."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    queries: Annotated[int, Field(ge=0)]
    recall: Recall | None
    chance: Recall | None


class Metrics(BaseModel):
    """The scores of a run.

    `slices` is by attribute, then by its value; `unanswered` queries have no right answer; `parts` is by part of the
    meaning, where an image counts that is right in this part alone.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    recall: Recall
    chance: Recall
    unanswered: Annotated[int, Field(ge=0)]
    slices: dict[str, dict[str, SliceMetrics]]
    parts: dict[str, Recall] = {}


def metrics_of(outcomes: Outcomes) -> Metrics:
    """Recall@K and chance, overall and by slice.

    Raises:
        ValueError: there are no queries.
    """
    slices = {
        attribute: {value: _metrics_of_slice(outcomes, mask) for value, mask in masks.items()}
        for attribute, masks in slice_masks(outcomes.attributes).items()
    }
    return Metrics(
        recall=recall_at_k(outcomes.ranks),
        chance=chance_recall(outcomes.correct, outcomes.candidates),
        unanswered=int((outcomes.correct == 0).sum()),
        slices=slices,
        parts={name: recall_at_k(ranks) for name, ranks in outcomes.part_ranks.items()},
    )


def _metrics_of_slice(outcomes: Outcomes, mask: Mask) -> SliceMetrics:
    if not mask.any():
        return SliceMetrics(queries=0, recall=None, chance=None)
    return SliceMetrics(
        queries=int(mask.sum()),
        recall=recall_at_k(outcomes.ranks[mask]),
        chance=chance_recall(outcomes.correct[mask], outcomes.candidates[mask]),
    )


def _chance(correct: int, candidates: int, k: int) -> float:
    drawn = min(k, candidates)
    ways = comb(candidates, drawn)
    return (ways - comb(candidates - correct, drawn)) / ways
