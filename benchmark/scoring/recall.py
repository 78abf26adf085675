"""What became of each query of a run, and Recall@K from it, beside that of a random order of the gallery.

Recall@K is the share of queries, in percent, with at least one relevant image among the first K (a hit rate: the
definition of the field, though a query may have several relevant images).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import comb, fsum
from types import MappingProxyType
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

KS = (1, 5, 10, 50)
NO_RANK = 2**31 - 1
"""The rank of a query without a relevant image: beyond any K, so never a hit."""

_NUMBERS = ("ranks", "relevant", "candidates", "top1", "sources")

Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.str_]
Mask = npt.NDArray[np.bool_]
Recall = dict[int, Annotated[float, Field(ge=0, le=100)]]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What became of each query of a split; entry i belongs to query i of the dataset.

    Scores need nothing else, so any two runs on one dataset can be compared query by query.

    Attributes:
        ranks, relevant, candidates: (Q,), as `ranking.rank_targets` returns them.
        top1: (Q,), the gallery index of the image ranked first, -1 if there is none: `Ranking.top[:, 0]`.
        sources: (Q,), integers; queries of equal number share their source scene and count as one cluster.
        attributes: columns of Q words that results are sliced by, such as "kind".
        part_ranks: for a part of the meaning, such as "noun", the rank of the first image that agrees in this part.

    Raises:
        ValueError: lengths differ, or a rank is neither `NO_RANK` nor from 1 to the number of candidates.
    """

    ranks: Integers
    relevant: Integers
    candidates: Integers
    top1: Integers
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
        within = (self.ranks >= 1) & (self.ranks <= self.candidates - self.relevant + 1) & (self.relevant >= 1)
        possible = within | ((self.ranks == NO_RANK) & (self.relevant == 0))
        if not possible.all():
            row = int(np.flatnonzero(~possible)[0])
            raise ValueError(
                f"query {row} cannot have rank {self.ranks[row]}, with {self.relevant[row]} relevant images "
                f"among {self.candidates[row]} candidates"
            )
        for name, column in parts.items():
            if ((column < 1) | (column > self.ranks)).any():
                raise ValueError(f"the {name}'s rank is above the whole answer's, or no rank, in a query")

    def __len__(self) -> int:
        return len(self.ranks)

    def rows(self, chosen: Mask | Integers) -> "Outcomes":
        """Of these queries alone."""
        return Outcomes(
            **{name: getattr(self, name)[chosen] for name in _NUMBERS},
            attributes={name: column[chosen] for name, column in self.attributes.items()},
            part_ranks={name: column[chosen] for name, column in self.part_ranks.items()},
        )


def recall_at_k(ranks: npt.ArrayLike, ks: Sequence[int] = KS) -> dict[int, float]:
    """Recall@K in percent for each K.

    >>> recall_at_k([1, 3, 20, 1], ks=(1, 5))
    {1: 50.0, 5: 75.0}

    Args:
        ranks: (Q,), the place of each query's best relevant image, from 1.
        ks: numbers of images looked at; one beyond the gallery looks at all of it.

    Raises:
        ValueError: there are no queries, so there is no recall.
    """
    places = np.asarray(ranks)
    if places.size == 0:
        raise ValueError("Recall@K of no queries is not defined")
    answered = places[places != NO_RANK]
    return {k: 100.0 * int((answered <= k).sum()) / len(places) for k in ks}


def chance_recall(relevant: npt.ArrayLike, candidates: npt.ArrayLike, ks: Sequence[int] = KS) -> dict[int, float]:
    """Expected Recall@K in percent if each query's candidates stood in random order.

    With c relevant images among G candidates, `1 - C(G - c, K) / C(G, K)`: one minus the chance that none of K images
    drawn without replacement is relevant. Computed in whole numbers, so it is right to the last digit for any size.

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
    return {k: 100.0 * fsum(n * _chance(right, images, k) for right, images, n in kinds) / len(pairs) for k in ks}


def _chance(relevant: int, candidates: int, k: int) -> float:
    drawn = min(k, candidates)
    ways = comb(candidates, drawn)
    return (ways - comb(candidates - relevant, drawn)) / ways
