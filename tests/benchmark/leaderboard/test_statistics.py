"""Intervals of a mean over queries that come in scenes, and of runs that differ by their seed."""

from math import inf, sqrt
from statistics import fmean, variance

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from benchmark.leaderboard.statistics import (
    Estimate,
    SeedVariance,
    estimate,
    gap,
    mean_and_deviation,
    pool_seed_variance,
    recall_interval,
    seed_spread,
)


def slow_estimate(values: list[float], scenes: list[int], of_seeds: float, freedom: float) -> Estimate:
    """One scene at a time."""
    mean = fmean(values)
    squares, found = 0.0, sorted(set(scenes))
    for scene in found:
        inside = [value for value, each in zip(values, scenes, strict=True) if each == scene]
        squares += sum(value - mean for value in inside) ** 2
    of_scenes = squares * len(found) / (len(found) - 1) / len(values) ** 2
    total = of_scenes + of_seeds
    if round(total, 18) == 0:
        return Estimate(100 * mean, 0, len(found) - 1)
    return Estimate(100 * mean, 100 * sqrt(total), total**2 / (of_scenes**2 / (len(found) - 1) + of_seeds**2 / freedom))


@given(
    rows=st.lists(
        st.tuples(st.sampled_from([0.0, 1 / 3, 0.5, 1.0, -1.0]), st.integers(0, 9)), min_size=30, max_size=80
    ),
    of_seeds=st.sampled_from([0.0, 1e-4]),
)
def test_an_estimate_is_that_of_one_scene_at_a_time(rows: list[tuple[float, int]], of_seeds: float) -> None:
    values, scenes = [value for value, _ in rows], [scene for _, scene in rows]
    found = estimate(np.array(values), np.array(scenes), of_seeds=of_seeds, freedom=6)
    if len(set(scenes)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(slow_estimate(values, scenes, of_seeds, 6))


def test_with_one_run_the_interval_is_nearly_that_of_scipys_bootstrap_over_scenes() -> None:
    rng = np.random.default_rng(2)
    scenes = rng.integers(0, 80, 700)
    hits = (rng.random(700) < rng.beta(2, 1, 80)[scenes]).astype(float)
    reference = scipy.stats.bootstrap(
        (np.bincount(scenes, hits, minlength=80), np.bincount(scenes, minlength=80)),
        lambda hit, size, axis: 100 * hit.sum(axis=axis) / size.sum(axis=axis),
        paired=True,
        method="percentile",
        n_resamples=4_000,
        rng=np.random.default_rng(3),
    ).confidence_interval
    found = estimate(hits, scenes)
    assert found is not None
    assert found.interval() == recall_interval(hits, scenes) == pytest.approx((reference.low, reference.high), abs=0.6)


def test_a_scene_asked_ten_times_is_no_more_evidence_than_once() -> None:
    rng = np.random.default_rng(0)
    hits = (rng.random(50) < 0.6).astype(float)
    once, often = estimate(hits, np.arange(50)), estimate(np.repeat(hits, 10), np.repeat(np.arange(50), 10))
    assert once is not None
    assert once == pytest.approx(often)


def test_too_few_queries_or_scenes_have_no_interval() -> None:
    assert estimate(np.ones(29), np.arange(29)) is None
    assert estimate(np.ones(30), np.zeros(30, dtype=np.int64)) is None
    assert estimate(np.ones(0), np.zeros(0, dtype=np.int64)) is None
    assert estimate(np.ones(30), np.arange(30)) == (100, 0, 29)
    for hits in (np.ones(29), np.zeros(30)):
        assert recall_interval(hits, np.zeros(len(hits), dtype=np.int64)) is None


@given(
    rows=st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 9), st.sampled_from(["seen", "novel", "neither"])),
        min_size=90, max_size=150,
    )
)  # fmt: skip
def test_a_gap_is_a_difference_of_means_whose_error_counts_each_scene_once(rows: list[tuple[float, int, str]]) -> None:
    values, scenes, kinds = (np.array(column) for column in zip(*rows, strict=True))
    found = gap(values, scenes, kinds == "seen", kinds == "novel")
    parts = {kind: [row for row in rows if row[2] == kind] for kind in ("seen", "novel")}
    asked = sorted({scene for part in parts.values() for _, scene, _ in part})
    if min(map(len, parts.values())) < 30:
        assert found is None
        return
    means = {kind: fmean(value for value, _, _ in part) for kind, part in parts.items()}
    squares = 0.0
    for scene in asked:
        pull = {
            kind: sum(value - means[kind] for value, each, _ in part if each == scene) / len(part)
            for kind, part in parts.items()
        }
        squares += (pull["seen"] - pull["novel"]) ** 2
    assert found.value == pytest.approx(100 * (means["seen"] - means["novel"]))
    assert found.error == pytest.approx(100 * sqrt(squares * len(asked) / (len(asked) - 1)), abs=1e-7)


def test_the_variances_of_two_parts_without_a_common_scene_add() -> None:
    rng = np.random.default_rng(0)
    scenes, seen = np.repeat(np.arange(200), 5), np.arange(1_000) < 400
    hits = (rng.random(1_000) < np.repeat(rng.random(200), 5)).astype(float)
    found = gap(hits, scenes, seen, ~seen)
    parts = [estimate(hits[each], scenes[each]) for each in (seen, ~seen)]
    assert found.error == pytest.approx(sqrt(sum(part.error**2 for part in parts)), rel=0.01)
    assert gap(hits, scenes, seen, ~seen, of_seeds=1e-2).error > 10


@pytest.mark.parametrize("scenes", [2, 7, 300])
def test_a_recall_of_0_or_100_has_scipys_exact_interval_over_scenes(scenes: int) -> None:
    sources = np.arange(scenes).repeat(30)
    for hits in (0, scenes):
        reference = scipy.stats.binomtest(hits, scenes).proportion_ci(0.95, "exact")
        found = recall_interval(np.full(len(sources), hits / scenes), sources)
        assert found == pytest.approx((100 * reference.low, 100 * reference.high))


@pytest.mark.parametrize("scenes", [2, 7, 300])
@pytest.mark.parametrize("difference", [-1.0, -1 / 3, 1 / 3, 1.0])
def test_a_difference_that_is_the_same_everywhere_has_the_p_of_scipys_sign_test(scenes: int, difference: float) -> None:
    found = estimate(np.full(30 * scenes, difference), np.arange(scenes).repeat(30))
    assert found is not None
    assert found.interval() is None
    assert found.p == pytest.approx(scipy.stats.binomtest(scenes if difference > 0 else 0, scenes).pvalue)


def test_scenes_that_all_cancel_are_no_evidence_of_a_difference() -> None:
    third = 1 / 3
    found = estimate(np.tile([third, third, third, -1.0], 20), np.arange(20).repeat(4))
    assert found == (0, 0, 19)
    assert found is not None
    assert (found.p, found.interval()) == (1, None)
    assert recall_interval(np.tile([0.0, 1.0], 20), np.arange(20).repeat(2)) is None, "half of every scene"
    assert recall_interval(np.tile([0.0, 1.0], 20), np.arange(20).repeat(2), of_seeds=1e-4, freedom=4) is not None


def test_p_and_interval_are_students() -> None:
    found = Estimate(2.0, 1.0, 7.0)
    assert found.p == pytest.approx(2 * scipy.stats.t(7).cdf(-2))
    assert found.interval() == pytest.approx(scipy.stats.t(7, loc=2, scale=1).interval(0.95))
    assert Estimate(1.96, 1.0, inf).p == pytest.approx(0.05, abs=1e-4)


def test_the_variance_of_seeds_is_pooled_relative_to_that_of_a_share() -> None:
    strong, weak = [0.8, 0.82, 0.81], [0.1, 0.11]
    ratio = (2 * variance(strong) / (0.81 * 0.19) + variance(weak) / (0.105 * 0.895)) / 3
    assert pool_seed_variance([strong, weak, [0.5]]) == pytest.approx((ratio, 3))
    assert pool_seed_variance([strong, [0.0, 0.0], [1.0, 1.0]]) == pytest.approx((variance(strong) / (0.81 * 0.19), 2))
    assert pool_seed_variance([[0.5], [0.6]]) is None
    assert pool_seed_variance([]) is None
    assert SeedVariance(0.004, 3).of_mean([0.5]) == pytest.approx(0.001)
    assert SeedVariance(0.004, 3).of_mean([0.49, 0.51]) == pytest.approx(0.001 / 2)
    assert SeedVariance(0.004, 3).of_mean([0.3, 0.7]) == pytest.approx(0.08 / 2), "its own is larger"


def test_mean_and_deviation_of_seeds() -> None:
    assert mean_and_deviation([2.0, 4.0]) == pytest.approx((3, sqrt(2)))
    assert mean_and_deviation([2.0]) == (2, None)
    with pytest.raises(ValueError, match="no runs"):
        mean_and_deviation([])


@pytest.mark.parametrize("sizes", [(2,), (3, 1, 2), (3,) * 10])
def test_two_seeds_differ_by_less_than_the_spread_19_times_of_20(sizes: tuple[int, ...]) -> None:
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
