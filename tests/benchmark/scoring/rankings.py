"""Rank lists of numbers, and draw hostile ranking problems."""

from collections.abc import Sequence

import torch
from hypothesis import strategies as st
from torch import Tensor

from benchmark.datasets.relevance import Relevance
from benchmark.scoring.ranking import Ranking, rank_targets


def rank(
    queries: Sequence[Sequence[float]] | Tensor,
    gallery: Sequence[Sequence[float]] | Tensor,
    sources: Sequence[int],
    wanted: Sequence[int],
    labels: Sequence[int],
    *,
    top_k: int = 0,
    relevant: Sequence[set[int]] | None = None,
    galleries: tuple[Sequence[int], Sequence[int]] | None = None,
    batch_size: int | None = None,
) -> Ranking:
    width = len(gallery[0])
    return rank_targets(
        torch.as_tensor(queries, dtype=torch.float32).reshape(-1, width),
        torch.as_tensor(gallery, dtype=torch.float32),
        torch.as_tensor(sources, dtype=torch.int64),
        torch.as_tensor(wanted, dtype=torch.int64),
        torch.as_tensor(labels, dtype=torch.int64),
        top_k=top_k,
        relevant=None if relevant is None else Relevance.of_sets(relevant),
        galleries=None if galleries is None else (torch.as_tensor(galleries[0]).long(), torch.as_tensor(galleries[1])),
        batch_size=batch_size,
    )


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[list[int]], list[list[int]], list[int], list[int], list[int]]:
    """Embeddings of small whole numbers: products are exact, often equal, often negative, often of equal images."""
    width = draw(st.integers(1, 3))
    images, queries = draw(st.integers(1, 9)), draw(st.integers(0, 6))
    vector = st.lists(st.integers(-2, 2), min_size=width, max_size=width)
    label = st.integers(0, draw(st.integers(0, 5)))
    return (
        draw(st.lists(vector, min_size=queries, max_size=queries)),
        draw(st.lists(vector, min_size=images, max_size=images)),
        draw(st.lists(st.integers(-1, images - 1), min_size=queries, max_size=queries)),
        draw(st.lists(label, min_size=queries, max_size=queries)),
        draw(st.lists(label, min_size=images, max_size=images)),
    )
