"""Find the relevant images of queries in a gallery, from their relevant labels."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.datasets.relevance import Relevance


class Found(NamedTuple):
    """Relevant images of some queries, (N,) each: row of the query, place in the shuffled gallery, label.

    Sorted by query, then by label.
    """

    query: Tensor
    place: Tensor
    label: Tensor


class Answers:
    """The images that are relevant to each query, from their labels (G,) in the shuffled gallery."""

    def __init__(self, relevance: Relevance, labels: Tensor) -> None:
        self._relevance = relevance
        self._labels, self._places = labels.sort(stable=True)

    def images(self, rows: slice) -> Found:
        """The relevant images of the queries in these rows."""
        device = self._labels.device
        indptr = self._relevance.indptr[rows.start : rows.stop + 1]
        counts = torch.from_numpy(np.diff(indptr)).to(device)
        wanted = torch.from_numpy(self._relevance.labels[indptr[0] : indptr[-1]]).to(device)
        query = torch.arange(len(counts), device=device).repeat_interleave(counts)
        first = torch.searchsorted(self._labels, wanted)
        count = torch.searchsorted(self._labels, wanted, right=True) - first
        pair = torch.arange(len(wanted), device=device).repeat_interleave(count)
        within = torch.arange(len(pair), device=device) - (count.cumsum(0) - count)[pair]
        return Found(query[pair], self._places[first[pair] + within], wanted[pair])


def first_of_label(found: Found) -> Tensor:
    """Mark (N,) the first image of each pair of query and label."""
    is_new = torch.ones_like(found.query, dtype=torch.bool)
    is_new[1:] = (found.query[1:] != found.query[:-1]) | (found.label[1:] != found.label[:-1])
    return is_new


def require_targets(answers: Relevance, drawn: Tensor) -> None:
    """Raises ValueError unless the label of each query's target (Q,) is relevant to it."""
    if len(answers) != len(drawn):
        raise ValueError(f"relevant is of {len(answers)} queries, expected {len(drawn)}")
    query = np.repeat(np.arange(len(answers)), answers.counts)
    has_drawn = np.zeros(len(answers), dtype=bool)
    has_drawn[query[answers.labels == drawn.cpu().numpy()[query]]] = True
    if not has_drawn.all():
        raise ValueError(f"the target of query {int(np.flatnonzero(~has_drawn)[0])} is not relevant to it")
