"""What a repetition of a run may differ in: in nothing on an equal machine, elsewhere as two seeds do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.recipe.presets import PRESETS
from benchmark.recipe.runtime import Runtime
from benchmark.records.store import RunRecord, StoredRecord
from benchmark.records.tier import Tier
from benchmark.scoring.recall import Integers, Outcomes
from benchmark.verification.repetition import (
    MOST,
    Allowed,
    allowed_of,
    equal_problem,
    flips_problem,
    is_equal_machine,
    similar_problem,
)
from tests.benchmark.made_up import make_outcomes, make_record, with_ranks

Change = Callable[[RunRecord, Outcomes], tuple[RunRecord, Outcomes]]


def made(*, hit_rate: float = 0.6, seed: int = 0, **about: Any) -> tuple[RunRecord, Outcomes]:
    outcomes = make_outcomes(hit_rate=hit_rate, seed=seed)
    return make_record(outcomes, **about), outcomes


def again_of(outcomes: Outcomes, *, flips: int, seed: int = 0) -> tuple[RunRecord, Outcomes]:
    """So many hits at 1 exchange their rank with a miss: every Recall stays as it is."""
    rng = np.random.default_rng(seed)
    hits, misses = (rng.choice(np.flatnonzero(rows), flips, replace=False) for rows in _hits_and_misses(outcomes))
    return exchanged(outcomes, hits, misses)


def _hits_and_misses(outcomes: Outcomes) -> tuple[Any, Any]:
    return outcomes.ranks == 1, outcomes.ranks > 1


def exchanged(outcomes: Outcomes, left: Integers, right: Integers) -> tuple[RunRecord, Outcomes]:
    ranks = outcomes.ranks.copy()
    ranks[left], ranks[right] = ranks[right], ranks[left]
    changed = with_ranks(outcomes, ranks)
    return make_record(changed), changed


def within(points: float) -> Callable[[str], Allowed]:
    return lambda _: Allowed(points, "so far")


@pytest.mark.parametrize(
    ("change", "is_equal"),
    [
        ({}, True),
        ({"torch": "2.12.0"}, False),
        ({"timm": "1.0.31"}, False),
        ({"device": "Another CPU"}, False),
        ({"cpu_count": 3}, False),
        ({"code_version": "ab" * 32}, True),
        ({"cuda": "13.0"}, False),
        ({"runtime": Runtime(threads=1)}, False),
        ({"runtime": Runtime(threads=2, validate_every=7)}, True),
        ({"other_cores": 2.0}, True),
        ({"code_commit": "beef"}, True),
    ],
)
def test_equal_machines_have_equal_software_and_threads(change: dict[str, Any], is_equal: bool) -> None:
    environment = made()[0].environment
    assert is_equal_machine(environment, environment.model_copy(update=change)) is is_equal


def test_a_gpu_is_never_an_equal_machine() -> None:
    environment = made()[0].environment.model_copy(update={"cuda": "13.0"})
    assert not is_equal_machine(environment, environment)


def test_an_equal_machine_must_give_every_rank_again() -> None:
    said = made()
    assert equal_problem(said, made()) == ""
    ranks = said[1].ranks.copy()
    place = int(np.flatnonzero(ranks > 1)[0])
    ranks[place] -= 1
    changed = with_ranks(said[1], ranks)
    assert "other ranks in 1 of 240 queries" in equal_problem(said, (make_record(changed), changed))


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        ({"weights_sha256": "b" * 64}, "other weights"),
        ({"parameters": {"total": 1_524_412}}, "1,524,412 parameters (total) again, 1,524,411 in the record"),
        ({"parameters": {"composer": 7}}, "7 parameters (composer) again, 141,414 in the record"),
        ({"training": {"final_loss": 0.7}}, "a final loss of 0.731, again 0.7"),
    ],
)
def test_an_equal_machine_must_give_the_same_model(update: dict[str, Any], expected: str) -> None:
    record, outcomes = made()
    record = record.model_copy(update={"weights_sha256": "a" * 64})
    nested = {
        name: getattr(record, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in update.items()
    }
    problem = equal_problem((record, outcomes), (record.model_copy(update=nested), outcomes))
    assert problem == expected


def test_another_machine_may_move_a_result_as_seeds_do_and_no_further() -> None:
    said = made()
    again = made(hit_rate=0.7)
    assert similar_problem(said, again, within(15.0)) == ""
    problem = similar_problem(said, again, within(0.25))
    assert problem.startswith("R@1 ")
    assert problem.endswith("more than 0.25 apart (so far)")


def test_parameters_are_equal_on_every_machine() -> None:
    record, outcomes = made()
    fewer = record.model_copy(update={"parameters": record.parameters.model_copy(update={"composer": 9})})
    assert "9 parameters (composer) again" in similar_problem((record, outcomes), (fewer, outcomes), within(99))


def test_the_same_recall_by_other_queries_is_found() -> None:
    """An honest repetition changes its mind on some queries, an invented ranking on as many as chance does."""
    said = made()
    honest = again_of(said[1], flips=20)
    assert similar_problem(said, honest, within(0.5)) == ""
    sorted_ranks = with_ranks(said[1], np.sort(said[1].ranks))
    invented = make_record(sorted_ranks), sorted_ranks
    assert "rankings that have nothing in common differ in" in similar_problem(said, invented, within(30))


def test_a_better_slice_at_the_cost_of_another_is_found() -> None:
    said = made()
    kinds, (hits, misses) = said[1].attributes["kind"], _hits_and_misses(said[1])
    first, second = np.unique(kinds)[:2]
    lost, won = (np.flatnonzero(rows)[:20] for rows in ((kinds == first) & hits, (kinds == second) & misses))
    moved = exchanged(said[1], lost, won)
    assert moved[0].metrics.recall == said[0].metrics.recall
    assert similar_problem(said, moved, within(0.5)).startswith("R@1 where changed is ")


def slow_flips(ranks: Integers, others: Integers, k: int) -> tuple[float, float]:
    """Percent of queries that are hits in one alone, and what two unrelated rankings would have, by counting."""
    hits, again = [rank <= k for rank in ranks.tolist()], [rank <= k for rank in others.tolist()]
    flipped = sum(one != other for one, other in zip(hits, again, strict=True))
    pairs = [(one, other) for one in hits for other in again]
    return 100 * flipped / len(hits), 100 * sum(one != other for one, other in pairs) / len(pairs)


@pytest.mark.parametrize("flips", [0, 20, 40, 60, 80])
def test_flips_are_compared_with_those_of_unrelated_rankings(flips: int) -> None:
    outcomes = make_outcomes(hit_rate=0.5)
    ranks, others = outcomes.ranks, again_of(outcomes, flips=flips)[1].ranks
    flipped, unrelated = slow_flips(ranks, others, 1)
    problem = flips_problem(ranks, others)
    assert bool(problem) == (flipped > 0.8 * unrelated)
    if problem:
        assert f"{flipped:.1f}% of the queries are hits at 1" in problem
        assert problem.endswith(f"differ in {unrelated:.1f}%")


def test_near_zero_and_near_all_say_nothing_of_flips() -> None:
    ones = np.ones(240, dtype=np.int64)
    few = ones.copy()
    few[0] = 70
    other = ones.copy()
    other[1] = 70
    assert flips_problem(few, other) == ""


def board(**recalls: tuple[tuple[float, Tier], ...]) -> list[StoredRecord]:
    """A record for each seed of each composer, with these R@1."""
    found = []
    for composer, seeds in recalls.items():
        for seed, (recall, tier) in enumerate(seeds):
            outcomes = make_outcomes(seed=seed)
            record = make_record(outcomes, composer=composer, seed=seed)
            scores = record.metrics.scores | {"recall@1": recall}
            record = record.model_copy(update={"metrics": record.metrics.model_copy(update={"scores": scores})})
            found.append(StoredRecord(record, outcomes, Path(f"{composer}{seed}"), tier))
    return found


SAID, CHECKED = Tier.SELF_REPORTED, Tier.RE_SCORED


def test_the_spread_is_that_of_the_composers_own_verified_seeds() -> None:
    film = ((50.0, SAID), (50.2, SAID), (50.1, SAID))
    own = ((60.0, SAID), (60.0, CHECKED), (60.5, CHECKED), (59.9, CHECKED))
    runs = board(tirg=own, film=film)
    # t(0.975, 2) = 4.303; the deviation of 60, 60.5 and 59.9 is 0.3215
    assert allowed_of(runs[0], runs, "recall@1").points == pytest.approx(4.303 * 2**0.5 * 0.32146, abs=1e-3)
    assert "its own verified seeds" in allowed_of(runs[0], runs, "recall@1").why


def test_siblings_that_nobody_verified_do_not_widen_the_tolerance() -> None:
    film = ((50.0, SAID), (50.2, SAID), (50.1, SAID))
    forged = ((90.0, SAID), (10.0, SAID), (50.0, SAID))
    runs = board(tirg=forged, film=film)
    # t(0.975, 2) = 4.303; the deviation of 50, 50.2 and 50.1 is 0.1
    assert allowed_of(runs[0], runs, "recall@1").points == pytest.approx(4.303 * 2**0.5 * 0.1, abs=1e-3)
    assert "seeds of the other composers" in allowed_of(runs[0], runs, "recall@1").why


def test_no_spread_is_wider_than_the_bound_nor_narrower_than_rounding() -> None:
    wild = board(tirg=((60.0, SAID),), film=((50.0, SAID), (70.0, SAID)))
    assert allowed_of(wild[0], wild, "recall@1") == Allowed(MOST, allowed_of(wild[0], wild, "recall@1").why)
    calm = board(tirg=((60.0, SAID),), film=((50.0, SAID), (50.0, SAID)))
    assert allowed_of(calm[0], calm, "recall@1").points == 0.25
    alone = board(tirg=((60.0, SAID),), film=((50.0, SAID),))
    assert allowed_of(alone[0], alone, "recall@1") == Allowed(MOST, "no composer has several seeds")


def test_other_recipes_do_not_count() -> None:
    runs = board(tirg=((60.0, SAID),), film=((50.0, SAID), (70.0, SAID)))
    long = [
        run._replace(record=run.record.model_copy(update={"configuration": PRESETS["cpu-long"].content}))
        for run in runs
    ]
    assert allowed_of(runs[0], [runs[0], *long[1:]], "recall@1").why == "no composer has several seeds"
