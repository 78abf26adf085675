"""How far apart a record's Recall and that of a repetition may be."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from benchmark.leaderboard.statistics import seed_spread
from benchmark.records.store import StoredRecord, Tier

TOLERANCE = 0.25
"""Percentage points of Recall@K by which another machine's rounding may move a result: a few queries in a thousand."""

MOST = 4.0
"""Percentage points by which two trainings may differ at most, however much seeds vary: 1.96 sqrt(2) times a standard
deviation of 1.45 points. Counts also where no composer of a board has several seeds."""


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
        if its.identity == record.identity or replace(its.identity, composer="", seed=0) != board:
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
