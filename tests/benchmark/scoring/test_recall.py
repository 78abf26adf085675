"""Recall@K, chance and intervals against counting, enumeration, scipy and simulation."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from benchmark.leaderboard.statistics import Interval, mean_and_deviation, recall_intervals, seed_spread
from benchmark.scoring.recall import DEPTH, KS, MAP_KS, NO_RANK, chance_recall, map_at_k, recall_at_k
from tests.benchmark import references
from tests.benchmark.made_up import answered, first_hits
from tests.benchmark.references import chance


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


def test_mean_and_unbiased_deviation() -> None:
    mean, deviation = mean_and_deviation([70.0, 72.0, 77.0])
    assert mean == pytest.approx(73.0)
    assert deviation == pytest.approx(math.sqrt((9 + 1 + 16) / 2))
    assert mean_and_deviation([70.0]) == (70.0, None)
    with pytest.raises(ValueError, match="the mean of no runs"):
        mean_and_deviation([])


@pytest.mark.parametrize("sizes", [(2,), (3, 1, 2), (3,) * 10])
def test_two_seeds_lie_within_the_spread_19_times_of_20(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(sizes))
    inside = 0
    for _ in range(4_000):
        groups = [rng.normal(50 + 7 * place, 2, size).tolist() for place, size in enumerate(sizes)]
        spread = seed_spread(groups)
        assert spread is not None
        one, other = rng.normal(70, 2, 2)
        inside += abs(one - other) <= spread
    assert 0.94 < inside / 4_000 < 0.96


def test_single_seeds_tell_no_spread_and_equal_ones_none() -> None:
    assert seed_spread([]) is None
    assert seed_spread([[70.0], [60.0]]) is None
    assert seed_spread([[70.0, 70.0], [60.0]]) == 0


def interval(hits: np.ndarray[Any, Any], sources: np.ndarray[Any, Any], seed: int = 0) -> Interval:
    everything = np.ones((1, hits.shape[1]), dtype=np.bool_)
    (found,) = recall_intervals(hits, everything, sources, rng=np.random.default_rng(seed))
    assert found is not None
    return found


def test_with_one_seed_the_interval_is_scipys_over_sources() -> None:
    rng = np.random.default_rng(2)
    sources = rng.integers(0, 80, 700)
    hits = rng.random(700) < rng.beta(2, 1, 80)[sources]
    summed = np.bincount(sources, hits, minlength=80)
    sizes = np.bincount(sources, minlength=80)
    reference = scipy.stats.bootstrap(
        (summed, sizes),
        lambda hit, size, axis: 100 * hit.sum(axis=axis) / size.sum(axis=axis),
        paired=True,
        method="percentile",
        n_resamples=4_000,
        rng=np.random.default_rng(3),
    ).confidence_interval
    ours = interval(hits[None], sources)
    assert ours.low == pytest.approx(reference.low, abs=0.5)
    assert ours.high == pytest.approx(reference.high, abs=0.5)


def test_sources_are_drawn_whole() -> None:
    rng = np.random.default_rng(0)
    sources = np.repeat(np.arange(50), 20)
    hits = np.repeat(rng.random(50) < 0.5, 20)[None]
    together, apart = interval(hits, sources), interval(hits, np.arange(1000))
    assert together.high - together.low > 3 * (apart.high - apart.low)


def test_one_seed_fewer_is_drawn_than_there_are() -> None:
    recalls = (0.1, 0.2, 0.4, 0.8)
    hits = np.stack([np.tile(np.arange(10) < 10 * recall, 30) for recall in recalls])
    means = [100 * float(np.mean(draw)) for draw in product(recalls, repeat=3)]
    found = interval(hits, np.repeat(np.arange(30), 10))
    assert found == pytest.approx(np.quantile(means, (0.025, 0.975), method="inverted_cdf"))


def test_seeds_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    sources = np.repeat(np.arange(100), 10)
    draws = rng.random(1000)
    alike = np.stack([draws < 0.6] * 3)
    different = np.stack([draws < share for share in (0.5, 0.6, 0.7)])
    narrow, wide = interval(alike, sources), interval(different, sources)
    assert wide.low < narrow.low - 4
    assert wide.high > narrow.high + 4


def test_subsets_are_independent_of_each_other_and_small_ones_have_no_interval() -> None:
    rng = np.random.default_rng(0)
    hits, sources = rng.random((3, 400)) < 0.7, np.repeat(np.arange(40), 10)
    rows = np.arange(400)
    masks = np.stack([rows < 400, rows < 29, rows < 30, rows < 0, rows % 2 == 0])
    found = recall_intervals(hits, masks, sources, rng=np.random.default_rng(9))
    assert [each is None for each in found] == [False, True, False, True, False]
    (alone,) = recall_intervals(hits, masks[4:], sources, rng=np.random.default_rng(9))
    assert found[4] == alone
    assert recall_intervals(hits[:, :0], masks[:, :0], sources[:0], rng=rng) == [None] * 5


def test_every_query_a_hit_is_an_interval_of_nothing() -> None:
    assert interval(np.ones((3, 60), dtype=np.bool_), np.arange(60) % 7) == (100.0, 100.0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    seeds, sources, each, repetitions = 3, 60, 8, 150
    logits = rng.normal(0.8, 1.0, 400_000) + rng.normal(0, 0.06, 400_000)
    truth = 100 * float(np.mean(1 / (1 + np.exp(-logits))))
    cluster = np.repeat(np.arange(sources), each)
    covered = 0
    for _ in range(repetitions):
        logit = rng.normal(0.8, 1.0, sources)[None, :] + rng.normal(0, 0.06, seeds)[:, None]
        hits = rng.random((seeds, sources * each)) < 1 / (1 + np.exp(-logit[:, cluster]))
        found = interval(hits, cluster, seed=int(rng.integers(2**31)))
        covered += found.low <= truth <= found.high
    assert 0.88 <= covered / repetitions <= 0.99
