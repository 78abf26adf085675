"""Compare a record with a repetition of its run: with `equal_problem` on the machine that made it, else with
`similar_problem`.

Both return in what the two differ, or "" if in nothing that matters.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isclose, sqrt
from typing import NamedTuple

import numpy as np

from benchmark.leaderboard.statistics import FEWEST_QUERIES, seed_spread
from benchmark.records.environment import Environment
from benchmark.records.store import RunRecord, StoredRecord, Tier
from benchmark.scoring.recall import KS, MAP_KS, Integers, Mask, Outcomes

TOLERANCE = 0.25
"""Percentage points of Recall@K by which another machine's rounding may move a result: a few queries in a thousand."""

MOST = 4.0
"""Percentage points by which two trainings may differ at most, however much seeds vary: 1.96 sqrt(2) times a standard
deviation of 1.45 points. Counts also where no composer of a board has several seeds."""

AGREEMENT = 0.2
"""Share by which two trainings disagree less on which queries are hits than two unrelated rankings of equal Recall
(Cohen's kappa). On our boards each composer's runs on css and on css-pooled, which are two networks, have 0.35 or more
at every K."""

_FEWEST_EXPECTED = 2.0
"""Percent of disagreement between unrelated rankings under which a Recall is too near to 0 or 100% to tell."""

_SAME = ("python", "torch", "numpy", "timm", "open_clip", "cuda", "device", "cpu_count", "platform")

Made = tuple[RunRecord, Outcomes]
"""A run and what became of its queries."""


class Allowed(NamedTuple):
    """The largest difference in percentage points, and what it was derived from."""

    points: float
    why: str


def allowed_of(stored: StoredRecord, everyone: Sequence[StoredRecord], score: str) -> Allowed:
    """How much a score of the record's may change when it is trained again on another machine.

    Another machine rounds otherwise, and the training then takes another way, as with another seed. So that is how far
    two seeds are apart, 19 times of 20: two of this composer, where others of its seeds were verified, else two of any
    other composer of the board. Whoever forges a record can forge its siblings, too, so those that nobody has verified
    do not count.

    Args:
        everyone: the records of the leaderboards.
        score: such as "recall@1".
    """
    record = stored.record
    board = replace(record.identity, composer="", seed=0)
    own: list[float] = []
    others: dict[str, list[float]] = {}
    for run in everyone:
        its = run.record
        is_on_board = replace(its.identity, composer="", seed=0) == board and score in its.metrics.scores
        if its.identity == record.identity or not is_on_board:
            continue
        if its.composer.name != record.composer.name:
            others.setdefault(its.composer.name, []).append(its.metrics.scores[score])
        elif run.tier is not Tier.SELF_REPORTED:
            own.append(its.metrics.scores[score])
    for groups, why in (([own], "its own verified seeds"), (list(others.values()), "seeds of the other composers")):
        spread = seed_spread(groups)
        if spread is not None:
            points = min(max(TOLERANCE, spread), MOST)
            return Allowed(points, f"{why} differ by {'as much' if points == spread else f'{spread:.2f}'}")
    return Allowed(MOST, "no composer has several seeds")


def is_equal_machine(said: Environment, found: Environment) -> bool:
    """Return whether two runs of one seed and one version of the code must give equal results.

    They must on CPUs of the same name, with equal software and numbers of threads.
    """
    runtimes = said.runtime, found.runtime
    return (
        said.cuda is None
        and all(getattr(said, name) == getattr(found, name) for name in _SAME)
        and len({(each.device, each.devices, each.threads, each.batch_size, each.compile) for each in runtimes}) == 1
    )


def equal_problem(said: Made, found: Made) -> str:
    """Compare everything that a seed decides: parameters, losses, the rank of every answer, weights, all scores."""
    (record, outcomes), (again, its) = said, found
    if problem := parameters_problem(record, again):
        return problem
    if record.training.final_loss != again.training.final_loss:
        return f"a final loss of {record.training.final_loss}, again {again.training.final_loss}"
    for name in ("ranks", "drawn_ranks", "hits", "top1"):
        changed = int((getattr(outcomes, name) != getattr(its, name)).reshape(len(outcomes), -1).any(1).sum())
        if changed:
            return f"R@1 {_both(record, again)}; other {name} in {changed} of {len(outcomes)} queries"
    if record.weights_sha256 and again.weights_sha256 and record.weights_sha256 != again.weights_sha256:
        return "other weights"
    unlike = [
        name
        for name, value in record.metrics.scores.items()
        if name in again.metrics.scores and not isclose(value, again.metrics.scores[name], abs_tol=1e-9)
    ]
    return f"another {unlike[0]}" if unlike else ""


def similar_problem(said: Made, found: Made, allowed: Callable[[str], Allowed]) -> str:
    """Compare parameters, every Recall and mAP, Recall@1 of every slice, and which queries are hits.

    Args:
        allowed: the largest difference of a score, by its name.
    """
    (record, outcomes), (again, its) = said, found
    if problem := parameters_problem(record, again):
        return problem
    names = [*(f"{kind}@{k}" for kind in ("recall", "drawn_recall") for k in KS), *(f"map@{k}" for k in MAP_KS)]
    for name in names:
        value, other = (each.metrics.scores.get(name) for each in (record, again))
        if value is None or other is None:
            continue
        points, why = allowed(name)
        if abs(value - other) > points:
            return f"{_shown(name)} {other:.2f} again, {value:.2f} in the record: more than {points:.2f} apart ({why})"
    points, _ = allowed("recall@1")
    if problem := _slices_problem(outcomes, its, points):
        return problem
    for name, ranks, others in (
        ("R", outcomes.ranks, its.ranks),
        ("drawn R", outcomes.drawn_ranks, its.drawn_ranks),
    ):
        if problem := flips_problem(ranks, others):
            return f"{name}: {problem}"
    return ""


def parameters_problem(record: RunRecord, again: RunRecord) -> str:
    """Compare the numbers of parameters, which depend on the code alone."""
    for name in ("total", "composer"):
        value, other = getattr(record.parameters, name), getattr(again.parameters, name)
        if value != other:
            return f"{other:,} parameters ({name}) again, {value:,} in the record"
    return ""


def flips_problem(ranks: Integers, others: Integers) -> str:
    """Compare which queries are hits, of two rankings (Q,) of the same queries.

    Two trainings find the same queries hard. Ranks that were invented to give a certain Recall know nothing of that:
    they disagree as often as two unrelated rankings, of which one hits p and the other q: p (1 - q) + q (1 - p).
    """
    for k in KS:
        hits, again = ranks <= k, others <= k
        unrelated = _unrelated(hits, again)
        flipped = 100 * float((hits != again).mean())
        if unrelated >= _FEWEST_EXPECTED and flipped > (1 - AGREEMENT) * unrelated:
            return (
                f"{flipped:.1f}% of the queries are hits at {k} only here or only there; "
                f"rankings that have nothing in common differ in {unrelated:.1f}%"
            )
    return ""


def _unrelated(hits: Mask, again: Mask) -> float:
    p, q = float(hits.mean()), float(again.mean())
    return 100 * (p * (1 - q) + q * (1 - p))


def _slices_problem(outcomes: Outcomes, again: Outcomes, points: float) -> str:
    """Compare Recall@1 by slice. Seeds differ more in a slice than in all queries: by twice as much, and by three
    standard errors of the queries that changed sides."""
    hits, others = outcomes.ranks == 1, again.ranks == 1
    for attribute, words in outcomes.attributes.items():
        for word in np.unique(words):
            rows = words == word
            count = int(rows.sum())
            if count < FEWEST_QUERIES:
                continue
            value, other = (100 * float(each[rows].mean()) for each in (hits, others))
            flipped = float((hits[rows] != others[rows]).mean())
            limit = 2 * points + 300 * sqrt(flipped / count)
            if abs(value - other) > limit:
                return (
                    f"R@1 where {attribute} is {word}: {other:.1f} again, {value:.1f} in the record: "
                    f"more than {limit:.1f} apart"
                )
    return ""


def _both(record: RunRecord, again: RunRecord) -> str:
    return f"{again.metrics.recall[1]:.2f} again, {record.metrics.recall[1]:.2f} in the record"


def _shown(name: str) -> str:
    return name.replace("drawn_recall", "drawn R").replace("recall", "R").replace("map", "mAP")
