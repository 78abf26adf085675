"""The relevant labels of each query, as a sparse matrix: memory grows with its entries, not with queries x images."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Relevance:
    """The relevant labels of Q queries, as the rows of a sparse matrix: `labels[indptr[q] : indptr[q + 1]]` are query
    q's, ascending and distinct. A query may have none.

    Attributes:
        indptr: (Q + 1,) integers, from 0 to the number of answers, never descending.
        labels: (answers,) integers, 0 or more: numbers as in `Split.labels`.

    Raises:
        ValueError: they are not such rows.
    """

    indptr: Rows
    labels: Rows

    def __post_init__(self) -> None:
        indptr, labels = (np.asarray(part, dtype=np.int64) for part in (self.indptr, self.labels))
        object.__setattr__(self, "indptr", indptr)
        object.__setattr__(self, "labels", labels)
        if indptr.ndim != 1 or not len(indptr) or indptr[0] != 0 or (np.diff(indptr) < 0).any():
            raise ValueError("indptr must start at 0 and never descend")
        if labels.shape != (indptr[-1],):
            raise ValueError(f"labels has shape {labels.shape}, and indptr ends at {indptr[-1]}")
        within = np.ones(len(labels), dtype=bool)
        within[indptr[:-1][np.diff(indptr) > 0]] = False
        if (labels < 0).any() or (np.diff(labels, prepend=-1) <= 0)[within].any():
            raise ValueError("the labels of a query must be 0 or more, ascending and distinct")

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @classmethod
    def of_sets(cls, answers: Iterable[Iterable[int]]) -> "Relevance":
        """Build from the relevant labels of each query, in any order."""
        rows = [sorted(set(labels)) for labels in answers]
        indptr = np.cumsum([0, *map(len, rows)])
        return cls(indptr, np.array([label for row in rows for label in row], dtype=np.int64))

    @classmethod
    def of_targets(cls, labels: Rows) -> "Relevance":
        """Build from one label (Q,) for each query: its target's, where no other relevant label is known."""
        return cls(np.arange(len(labels) + 1), labels)

    def row(self, query: int) -> Rows:
        """The relevant labels of one query, ascending."""
        return self.labels[self.indptr[query] : self.indptr[query + 1]]

    def rows(self, queries: Rows) -> "Relevance":
        """Only these queries, in this order."""
        counts = self.counts[queries]
        indptr = np.concatenate([[0], np.cumsum(counts)])
        places = np.arange(indptr[-1]) + np.repeat(self.indptr[queries] - indptr[:-1], counts)
        return Relevance(indptr, self.labels[places])

    @property
    def counts(self) -> Rows:
        """(Q,) how many labels are relevant to each query."""
        return np.diff(self.indptr)


class RelevanceLookup:
    """Look up on a device whether labels are relevant to queries, without synchronising."""

    def __init__(self, relevance: Relevance, device: torch.device) -> None:
        self._span = int(relevance.labels.max(initial=-1)) + 1
        query = np.repeat(np.arange(len(relevance)), relevance.counts)
        # Ascending, as the rows are. The last one answers nothing, and ends every search.
        keys = np.append(query * self._span + relevance.labels, np.iinfo(np.int64).max)
        self._keys = torch.from_numpy(keys).to(device)

    def __call__(self, queries: Tensor, labels: Tensor) -> Tensor:
        """Queries (A,) and labels (B,), integers -> bool (A, B)."""
        wanted = queries[:, None] * self._span + labels
        found = self._keys[torch.searchsorted(self._keys, wanted)] == wanted
        return found & (labels >= 0) & (labels < self._span)
