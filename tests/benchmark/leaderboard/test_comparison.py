"""Comparing two composers, against every way to swap them, and on made-up ones whose difference is known."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.leaderboard import comparison
from benchmark.leaderboard.comparison import ALL, compare, different_pairs, group_letters, holm, pairwise
from benchmark.scoring.recall import Outcomes
from tests.benchmark.made_up import answered, make_outcomes


def outcomes(hits: np.ndarray, sources: np.ndarray) -> Outcomes:
    count = len(hits)
    return answered(
        ranks=np.where(hits, 1, 2),
        relevant=np.ones(count, dtype=int),
        candidates=np.full(count, 9),
        top1=np.zeros(count, dtype=int),
        sources=sources,
        attributes={"kind": np.array(["add", "remove"])[np.arange(count) % 2]},
    )


def slow_p(a: np.ndarray, b: np.ndarray, sources: np.ndarray) -> float:
    """Every way of swapping the two composers on whole scenes."""
    scenes = sorted(set(sources.tolist()))
    seen = abs(sum(a) - sum(b))
    as_large = 0
    for swaps in product([False, True], repeat=len(scenes)):
        swapped = {scene for scene, swap in zip(scenes, swaps, strict=True) if swap}
        difference = sum((y - x) if s in swapped else (x - y) for x, y, s in zip(a, b, sources.tolist(), strict=True))
        as_large += abs(difference) >= seen - 1e-9
    return as_large / 2 ** len(scenes)


@pytest.mark.parametrize("seed", range(6))
def test_p_is_the_share_of_swaps_that_give_as_large_a_difference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sources = np.sort(rng.integers(0, 8, 60))
    a, b = rng.random(60) < 0.7, rng.random(60) < (0.3 if seed % 2 else 0.6)
    found = compare([outcomes(a, sources)], [outcomes(b, sources)], seed=0)[ALL]
    assert found.points == pytest.approx(100 * (a.mean() - b.mean()))
    assert found.p == pytest.approx(slow_p(a.astype(int), b.astype(int), sources), abs=0.02)
    assert found.interval is not None
    assert found.interval.low <= found.points <= found.interval.high


def test_a_composer_does_not_differ_from_itself() -> None:
    run = make_outcomes(seed=1)
    for name, found in compare([run], [run], seed=0).items():
        assert found.points in (0, None), name
        assert found.p in (1.0, None)
        if found.interval:
            assert found.interval == (0, 0)


def test_small_slices_have_no_interval_and_no_p_and_empty_ones_are_not_there() -> None:
    found = compare([make_outcomes(seed=1)], [make_outcomes(seed=2)], seed=0)
    assert found["combination=novel"].queries == 10
    assert found["combination=novel"].points is not None
    assert (found["combination=novel"].p, found["combination=novel"].interval) == (None, None)
    assert "objects=0" not in found, "no query has it"


def test_seeds_are_averaged_and_a_clear_difference_is_found() -> None:
    strong = [make_outcomes(hit_rate=0.8, seed=seed) for seed in (1, 2, 3)]
    weak = [make_outcomes(hit_rate=0.5, seed=seed) for seed in (4, 5)]
    found = compare(strong, weak, seed=0)[ALL]
    expected = np.mean([(run.ranks == 1).mean() for run in strong]) - np.mean([(run.ranks == 1).mean() for run in weak])
    assert found.points == pytest.approx(100 * expected)
    assert found.p is not None
    assert found.p < 0.01
    assert found.interval is not None
    assert 0 < found.interval.low < 100 * expected < found.interval.high
    backwards = compare(weak, strong, seed=0)[ALL]
    assert backwards.points == pytest.approx(-found.points)


def test_equal_composers_are_told_apart_in_one_case_of_twenty(monkeypatch: pytest.MonkeyPatch) -> None:
    """300 comparisons of composers of one strength, queries of a scene alike: 5% +- 3.5 standard errors."""
    monkeypatch.setattr(comparison, "RESAMPLES", 399)
    rng = np.random.default_rng(0)
    sources = np.repeat(np.arange(40), rng.integers(1, 12, 40))
    found = 0
    for seed in range(300):
        strength = rng.beta(0.5, 0.5, 40)[sources]
        luck = [rng.random(40)[sources] < 0.5 for _ in range(2)]
        runs = [(rng.random(len(sources)) < strength) ^ each for each in luck]
        p = compare([outcomes(runs[0], sources)], [outcomes(runs[1], sources)], seed=seed)[ALL].p
        found += p is not None and p < 0.05
    assert 3 <= found <= 29


def test_runs_on_other_queries_are_refused() -> None:
    run, other = make_outcomes(), make_outcomes(sources=12)
    with pytest.raises(ValueError, match="not on the same queries"):
        compare([run], [other], seed=0)
    with pytest.raises(ValueError, match="no runs"):
        pairwise({}, seed=0)


def test_holm_by_hand() -> None:
    assert holm([]) == []
    assert holm([0.5]) == [0.5]
    assert holm([0.01, 0.02, 0.03, 0.9]) == pytest.approx([0.04, 0.06, 0.06, 0.9])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.04, 0.01]) == pytest.approx([0.04, 0.02])


def test_pairs_of_a_board_are_corrected_for_their_number() -> None:
    strengths = {"a": 0.9, "b": 0.6, "c": 0.6, "d": 0.2}
    runs = {name: [make_outcomes(hit_rate=rate, seed=ord(name))] for name, rate in strengths.items()}
    found = pairwise(runs, seed=0)
    assert set(found) == {frozenset(pair) for pair in combinations(runs, 2)}
    assert found[frozenset("ad")] <= 0.01
    assert found[frozenset("bc")] > 0.05
    single = [compare(runs[one], runs[other], seed=0)[ALL].p or 0.0 for one, other in combinations(runs, 2)]
    assert [found[frozenset(pair)] for pair in combinations(runs, 2)] == pytest.approx(holm(single), abs=0.05)
    assert pairwise({"a": runs["a"]}, seed=0) == {}


@given(st.integers(1, 7), st.data())
def test_names_share_a_letter_if_and_only_if_they_do_not_differ(count: int, data: st.DataObject) -> None:
    names = [f"n{number}" for number in range(count)]
    different = frozenset(frozenset(pair) for pair in combinations(names, 2) if data.draw(st.booleans()))
    letters = group_letters(names, different)
    for one, other in combinations(names, 2):
        assert bool(set(letters[one]) & set(letters[other])) == (frozenset((one, other)) not in different)
    assert all(letters.values())
    groups = [{name for name in names if letter in letters[name]} for letter in set("".join(letters.values()))]
    assert not any(one < other for one in groups for other in groups)


def of_rates(*rates: float) -> list[Outcomes]:
    """A run for each rate: that share of 2,000 queries is right, the same queries first in each."""
    rows = np.arange(2_000)
    order = np.random.default_rng(5).permutation(rows)
    return [outcomes(order < rate * len(rows), rows // 10) for rate in rates]


@pytest.mark.parametrize(
    ("a", "b", "differ"),
    [
        ((0.60, 0.61, 0.59), (0.50, 0.51, 0.49), True),
        ((0.90, 0.60, 0.30), (0.80, 0.50, 0.20), False),  # the seeds of each are further apart than the two are
        ((0.60, 0.61, 0.59), (0.60, 0.59, 0.61), False),
        ((0.60,), (0.50,), True),
    ],
)
def test_composers_differ_if_neither_scenes_nor_seeds_explain_it(
    a: tuple[float, ...], b: tuple[float, ...], differ: bool
) -> None:
    runs = {"a": of_rates(*a), "b": of_rates(*b)}
    assert different_pairs(runs, level=0.05, seed=0) == (frozenset({frozenset("ab")}) if differ else frozenset())


def test_one_composer_differs_from_nobody() -> None:
    assert different_pairs({"a": of_rates(0.5)}, level=0.05, seed=0) == frozenset()
