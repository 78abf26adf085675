"""Ranking refuses unfit input, ignores a low precision, and takes bounded memory."""

import math
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark.datasets.relevance import Relevance
from benchmark.scoring.ranking import rank_targets
from benchmark.scoring.recall import NO_RANK
from tests.benchmark.scoring.rankings import rank


def test_a_target_that_does_not_answer_its_query_is_refused() -> None:
    for relevant, message in (
        ([{3}, {0, 2}], "the target of query 1 is not relevant to it"),
        ([{3}], "relevant is of 1 queries, expected 2"),
    ):
        with pytest.raises(ValueError, match=message):
            rank([[1.0], [1.0]], [[1.0]], sources=[-1, -1], wanted=[3, 1], labels=[3], relevant=relevant)


def test_no_queries() -> None:
    ranking = rank([], [[1.0, 2.0]], sources=[], wanted=[], labels=[0], top_k=4)
    assert [tuple(part.shape) for part in ranking] == [(0,)] * 5 + [(0, 4)] * 2 + [(0, 0)] * 2


def test_a_gallery_of_one() -> None:
    alone = rank([[1.0], [1.0], [1.0]], [[1.0]], sources=[0, -1, -1], wanted=[3, 3, 4], labels=[3], top_k=2)
    assert alone.ranks.tolist() == [NO_RANK, 1, NO_RANK]
    assert alone.candidates.tolist() == [0, 1, 1]
    assert alone.top.tolist() == [[-1, -1], [0, -1], [0, -1]]


class MatrixProducts(TorchDispatchMode):
    """Notes the dtype and the allowed precisions of every matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[torch.dtype, str, str]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.ops.aten.mm.default:
            precisions = torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision
            self.seen.append((args[0].dtype, *precisions))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_neither_autocast_nor_a_low_matmul_precision_reaches_the_ranks(precision: str) -> None:
    # What a low precision does depends on the machine; that it is off does not.
    labels = torch.arange(4)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        with torch.autocast("cpu", dtype=torch.bfloat16), MatrixProducts() as products:
            rank_targets(torch.eye(4), torch.eye(4), labels, labels.roll(1), labels, top_k=0)
        assert products.seen == [(torch.float32, "ieee", "ieee")]
        assert torch.get_float32_matmul_precision() == precision
        assert torch.backends.mkldnn.matmul.fp32_precision != "ieee"
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
def test_an_embedding_without_meaning_is_named(value: float) -> None:
    with pytest.raises(ValueError, match="query embedding 1 has NaN, infinite or enormous values"):
        rank([[1.0], [value]], [[1.0]], sources=[-1, -1], wanted=[0, 0], labels=[0])
    with pytest.raises(ValueError, match="gallery embedding 0 has NaN, infinite or enormous values"):
        rank([[1.0]], [[value]], sources=[-1], wanted=[0], labels=[0])


def test_unfit_input_is_refused() -> None:
    vectors, numbers = torch.ones(2, 3), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"must be \(Q, D\) and \(G, D\), got \(2, 3\) and \(2, 2\)"):
        rank_targets(vectors, vectors[:, :2], numbers, numbers, numbers, top_k=1)
    with pytest.raises(ValueError, match="the gallery is empty"):
        rank_targets(vectors, vectors[:0], numbers, numbers, numbers[:0], top_k=1)
    with pytest.raises(ValueError, match=r"query_labels must be 2 integers, got torch.float32 \(2,\)"):
        rank_targets(vectors, vectors, numbers, numbers.float(), numbers, top_k=1)
    with pytest.raises(ValueError, match=r"gallery_labels must be 2 integers, got torch.int64 \(1,\)"):
        rank_targets(vectors, vectors, numbers, numbers, numbers[:1], top_k=1)
    for wrong in (-2, 2):
        with pytest.raises(ValueError, match="source_index must be from -1 to 1"):
            rank_targets(vectors, vectors, numbers + wrong, numbers, numbers, top_k=1)
    with pytest.raises(ValueError, match="top_k must be 0 or more"):
        rank_targets(vectors, vectors, numbers, numbers, numbers, top_k=-1)
    with pytest.raises(ValueError, match="batch_size must be 1 or more"):
        rank_targets(vectors, vectors, numbers, numbers, numbers, top_k=1, batch_size=0)


class LargestTensor(TorchDispatchMode):
    """Notes the size of the largest tensor that any operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in made if isinstance(made, tuple | list) else (made,):
            if isinstance(each, torch.Tensor):
                self.bytes = max(self.bytes, each.numel() * each.element_size())
        return made


@pytest.mark.parametrize("ties", [False, True])
def test_memory_does_not_depend_on_the_number_of_queries(ties: bool) -> None:
    """8 to 64 batches of queries; what is returned is small beside a batch, and what is given is not made."""
    images, rows, largest = 600, 16, []
    for queries in (8 * rows, 64 * rows):
        generator = torch.Generator().manual_seed(0)
        query, gallery = (torch.randn(count, 4, generator=generator) for count in (queries, images))
        if ties:
            query, gallery = query.sign(), gallery.sign()
        sources, labels = torch.arange(queries) % images, torch.arange(images) % 300
        answers = Relevance.of_sets([{0, *range(10 + query % 7)} for query in range(queries)])
        with LargestTensor() as noted:
            rank_targets(
                query, gallery, sources, torch.zeros_like(sources), labels,
                top_k=1, relevant=answers, batch_size=rows,
            )  # fmt: skip
        largest.append(noted.bytes)
    assert largest[0] == largest[1]
    assert largest[0] >= images * rows * 4
