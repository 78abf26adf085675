"""Recall@K, chance and intervals against counting, enumeration, scipy and simulation."""

from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.scoring.recall import DEPTH, KS, MAP_KS, NO_RANK, chance_recall, map_at_k, recall_at_k
from tests.benchmark import references
from tests.benchmark.made_up import answered, first_hits
from tests.benchmark.references import chance


@settings(deadline=None)
@given(ranks=st.lists(st.one_of(st.integers(1, 12), st.just(NO_RANK)), min_size=1), k=st.integers(1, 20))
def test_recall_counts_the_queries_with_a_hit(ranks: list[int], k: int) -> None:
    hits = [rank for rank in ranks if rank in range(1, k + 1)]
    assert recall_at_k(ranks, ks=(k,)) == {k: pytest.approx(100 * len(hits) / len(ranks))}


def test_k_beyond_the_gallery_reaches_every_query_that_has_an_answer() -> None:
    assert recall_at_k([3, 1, NO_RANK, 2], ks=(3, 50, 10**12)) == {3: 75.0, 50: 75.0, 10**12: 75.0}


def test_recall_of_no_queries_is_refused() -> None:
    with pytest.raises(ValueError, match="of no queries is not defined"):
        recall_at_k([])
    with pytest.raises(ValueError, match="of no queries is not defined"):
        chance_recall([], [])


@pytest.mark.parametrize("candidates", range(7))
def test_chance_is_the_share_of_all_orders(candidates: int) -> None:
    for relevant in range(candidates + 1):
        ks = (1, 2, 3, 7, 50)
        expected = {k: pytest.approx(100 * chance(relevant, candidates, k)) for k in ks}
        assert chance_recall([relevant], candidates, ks=ks) == expected


@settings(deadline=None)
@given(
    pairs=st.lists(
        st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, min(n, 500)), st.just(n))), min_size=1
    )
)
def test_chance_is_hypergeometric(pairs: list[tuple[int, int]]) -> None:
    relevant, candidates = zip(*pairs, strict=True)
    got = chance_recall(relevant, candidates)
    for k in KS:
        each = [1 - scipy.stats.hypergeom.pmf(0, n, c, min(k, n)) for c, n in pairs]
        assert got[k] == pytest.approx(100 * np.mean(each), abs=1e-8)


def test_chance_refuses_more_answers_than_candidates() -> None:
    with pytest.raises(ValueError, match="no more than it has candidates"):
        chance_recall([3], [2])


ranked = st.lists(st.booleans(), min_size=DEPTH, max_size=DEPTH)


@settings(deadline=None)
@given(answers=st.lists(st.tuples(ranked, st.integers(0, 60)), min_size=1, max_size=6))
def test_map_is_circos_definition_in_a_loop(answers: list[tuple[list[bool], int]]) -> None:
    """Some relevant images come later than the last place that is looked at."""
    hits = np.array([found for found, _ in answers])
    relevant = [sum(found) + later for found, later in answers]
    found = map_at_k(hits, relevant)
    assert found.keys() == set(MAP_KS)
    for k, value in found.items():
        slow = [references.average_precision(row, count, k) for (row, _), count in zip(answers, relevant, strict=True)]
        assert value == pytest.approx(100 * sum(slow) / len(slow))


def test_map_of_a_query_without_answers_is_zero_and_of_no_queries_undefined() -> None:
    assert map_at_k(np.zeros((1, 5), dtype=bool), [0], ks=(5,)) == {5: 0}
    with pytest.raises(ValueError, match="of no queries"):
        map_at_k(np.zeros((0, 5), dtype=bool), [], ks=(5,))
    with pytest.raises(ValueError, match="mAP@6 needs as many places, there are 5"):
        map_at_k(np.zeros((1, 5), dtype=bool), [0], ks=(6,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ranks": [1, 6]}, "query 1 cannot have rank 6, with 1 relevant images among 5 candidates"),
        ({"ranks": [0, 1]}, "query 0 cannot have rank 0"),
        ({"ranks": [5, 1], "relevant": [2, 1]}, "query 0 cannot have rank 5, with 2 relevant images"),
        ({"ranks": [1, NO_RANK]}, "query 1 cannot have rank 2147483647, with 1 relevant images"),
        ({"relevant": [1, 0]}, "query 1 cannot have rank 2, with 0 relevant images"),
        ({"sources": [1]}, r"sources has shape \(1,\), expected one value for each of 2 queries"),
        ({"attributes": {"kind": ["add"]}}, r"kind has shape \(1,\)"),
        ({"drawn_ranks": [1, 1]}, "query 1: its drawn rank contradict"),
        ({"drawn_ranks": [1, 6]}, "query 1: its drawn rank contradict"),
        ({"relevant_labels": [2, 1]}, "query 0: its relevant labels contradict"),
        ({"relevant_labels": [1, 0]}, "query 1: its relevant labels contradict"),
        ({"hits": first_hits(np.array([1, 1]))}, "query 1: its hits contradict"),
        ({"hits": first_hits(np.array([1, 2])) | first_hits(np.array([3, 2]))}, "query 0: its hits contradict"),
        ({"hits": [[True]]}, r"hits has shape \(1, 1\), expected \(2, 50\)"),
    ],
)
def test_impossible_outcomes_are_refused(change: dict[str, Any], message: str) -> None:
    possible: dict[str, Any] = {"relevant": [1, 1], "candidates": [5, 5], "top1": [0, 0], "sources": [0, 1]}
    answered(**{"ranks": [1, 2], **possible})
    with pytest.raises(ValueError, match=message):
        answered(**{"ranks": [1, 2], **possible, **change})
