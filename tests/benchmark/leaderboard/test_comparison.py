"""Comparing two composers: against random swaps of scenes, and on made-up runs whose difference is known."""

import re
from itertools import combinations, product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from benchmark.leaderboard.comparison import ALL, compare, compare_all, different_pairs, group_letters, holm
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


@pytest.mark.parametrize("seed", range(4))
def test_p_agrees_with_random_swaps_of_whole_scenes(seed: int) -> None:
    """With one run each, against scipy's permutation test, which assumes no distribution."""
    rng = np.random.default_rng(seed)
    sources = np.repeat(np.arange(60), rng.integers(1, 9, 60))
    a, b = rng.random(len(sources)) < 0.7, rng.random(len(sources)) < (0.62 if seed % 2 else 0.66)
    found = compare([outcomes(a, sources)], [outcomes(b, sources)])[ALL]
    assert found.points == pytest.approx(100 * (a.mean() - b.mean()))
    sums = np.bincount(sources, a.astype(float) - b)
    swapped = scipy.stats.permutation_test(
        (sums, np.zeros(60)), lambda x, y: x.sum() - y.sum(), permutation_type="samples", rng=rng, n_resamples=4_000
    )
    assert found.p == pytest.approx(swapped.pvalue, abs=0.05)
    assert found.interval is not None
    assert found.interval.low <= found.points <= found.interval.high


@pytest.mark.parametrize("trained", [(), (True, False, True, True)])
def test_all_pairs_are_the_pairs_and_p_is_corrected_for_their_number(trained: tuple[bool, ...]) -> None:
    sides = [of_rates(0.70, 0.66), of_rates(0.60), of_rates(0.61, 0.59), of_rates(0.4)]
    found = compare_all(sides, trained=trained)
    alone = {
        (a, b): compare(
            sides[a], sides[b], board=sides, trained=(not trained or trained[a], not trained or trained[b])
        )[ALL]
        for a, b in combinations(range(4), 2)
    }
    assert found.keys() == alone.keys()
    for pair, each in found.items():
        assert (each.queries, each.points, each.interval) == (
            alone[pair].queries,
            pytest.approx(alone[pair].points),
            alone[pair].interval,
        )
    expected = holm([each.p or 0.0 for each in alone.values()])
    assert [each.p for each in found.values()] == expected
    assert any(each.p != alone[pair].p for pair, each in found.items())


def test_a_composer_does_not_differ_from_itself() -> None:
    run = make_outcomes(seed=1)
    for name, found in compare([run], [run]).items():
        assert found.points in (0, None), name
        assert found.p in (1.0, None)
        assert found.interval is None


def test_a_ranking_of_a_model_adds_no_variance_of_seeds() -> None:
    """Two rankings are compared as if nothing was known of seeds; each trained side adds its part."""
    a, b, board = of_rates(0.60), of_rates(0.58), [of_rates(0.7, 0.5, 0.9)]
    p = {trained: compare(a, b, board=board, trained=trained)[ALL].p for trained in product((True, False), repeat=2)}
    assert p[False, False] == compare(a, b)[ALL].p
    assert p[True, False] == pytest.approx(p[False, True], rel=0.05)
    assert p[False, False] < p[True, False] < p[True, True]  # type: ignore[operator]


def test_small_slices_have_no_interval_and_no_p_and_empty_ones_are_not_there() -> None:
    found = compare([make_outcomes(seed=1)], [make_outcomes(seed=2)])
    assert found["combination=novel"].queries == 10
    assert found["combination=novel"].points is not None
    assert (found["combination=novel"].p, found["combination=novel"].interval) == (None, None)
    assert "objects=0" not in found, "no query has it"


def test_seeds_are_averaged_and_a_clear_difference_is_found() -> None:
    strong = [make_outcomes(hit_rate=0.8, seed=seed) for seed in (1, 2, 3)]
    weak = [make_outcomes(hit_rate=0.5, seed=seed) for seed in (4, 5)]
    found = compare(strong, weak)[ALL]
    expected = np.mean([(run.ranks == 1).mean() for run in strong]) - np.mean([(run.ranks == 1).mean() for run in weak])
    assert found.points == pytest.approx(100 * expected)
    assert found.p is not None
    assert found.p < 0.01
    assert found.interval is not None
    assert 0 < found.interval.low < 100 * expected < found.interval.high
    backwards = compare(weak, strong)[ALL]
    assert backwards.points == pytest.approx(-found.points)


def test_runs_on_other_queries_are_refused() -> None:
    run, other = make_outcomes(), make_outcomes(sources=12)
    with pytest.raises(ValueError, match="not on the same queries"):
        compare([run], [other])
    with pytest.raises(ValueError, match="no runs"):
        different_pairs({}, level=0.05)


def test_holm_by_hand() -> None:
    assert holm([]) == []
    assert holm([0.5]) == [0.5]
    assert holm([0.01, 0.02, 0.03, 0.9]) == pytest.approx([0.04, 0.06, 0.06, 0.9])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.04, 0.01]) == pytest.approx([0.04, 0.02])


def test_pairs_of_a_board_are_corrected_for_their_number() -> None:
    """The closest pair differs where it is the only one, and no more among six."""
    rates = {"a": 0.9, "b": 0.62, "c": 0.56, "d": 0.2}
    board = {name: of_rates(rate, rate + 0.02, rate - 0.02) for name, rate in rates.items()}
    alone = compare(board["b"], board["c"], board=board.values())[ALL]
    assert alone.p is not None
    assert 0.01 < alone.p < 0.05
    closest = frozenset("bc")
    everything = {frozenset(pair) for pair in combinations(board, 2)}
    assert different_pairs(board, level=1.001 * alone.p) == everything, "the largest p is not corrected"
    assert different_pairs(board, level=0.999 * alone.p) == everything - {closest}
    twice = {**board, "e": board["b"]}
    p = compare(twice["b"], twice["c"], board=twice.values())[ALL].p
    assert p is not None
    assert closest in (different_pairs(twice, level=3.003 * p) or ())
    assert closest not in (different_pairs(twice, level=2.997 * p) or ()), "b and c, c and e, b and e: the last three"


def test_the_spread_of_seeds_is_pooled_over_the_board() -> None:
    """One run against one run: with what the others' seeds vary by, a difference of theirs is nothing."""
    a, b, calm, wild = of_rates(0.60), of_rates(0.55), of_rates(0.70, 0.702, 0.698), of_rates(0.7, 0.5, 0.9)
    p = [compare(a, b, board=board)[ALL].p for board in ((a, b), (a, b, calm), (a, b, wild))]
    assert all(each is not None for each in p)
    assert p[0] < p[1] < 1e-3 < 0.5 < p[2]  # type: ignore[operator]
    assert different_pairs({"a": a, "b": b}, level=0.05) is None, "nothing is known of seeds"
    assert frozenset("ab") in (different_pairs({"a": a, "b": b, "c": calm}, level=0.05) or ())
    assert different_pairs({"a": a, "b": b, "c": wild}, level=0.05) == frozenset()


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


@pytest.mark.parametrize("count", [44])
def test_letters_take_polynomial_time(count: int) -> None:
    """Where 22 pairs differ and nothing else does, 2^22 groups are possible; a few share out all letters."""
    names = [f"n{number:02}" for number in range(count)]
    different = frozenset(frozenset((names[row], names[row + 1])) for row in range(0, count, 2))
    letters = group_letters(names, different)
    for one, other in combinations(names, 2):
        assert bool(_in(letters[one]) & _in(letters[other])) == (frozenset((one, other)) not in different)


def _in(letters: str) -> set[str]:
    """Letters, and numbers in brackets."""
    return set(re.findall(r"[a-z]|\(\d+\)", letters))


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
    ],
)
def test_composers_differ_if_neither_scenes_nor_seeds_explain_it(
    a: tuple[float, ...], b: tuple[float, ...], differ: bool
) -> None:
    runs = {"a": of_rates(*a), "b": of_rates(*b)}
    assert different_pairs(runs, level=0.05) == (frozenset({frozenset("ab")}) if differ else frozenset())


def test_one_composer_differs_from_nobody() -> None:
    assert different_pairs({"a": of_rates(0.5, 0.6)}, level=0.05) == frozenset()
