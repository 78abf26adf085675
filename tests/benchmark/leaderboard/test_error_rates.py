"""How often boards of equal composers claim a difference, how often intervals hold the truth, and what is found.

`docs/statistics.md` shows the rates that `python -m tests.benchmark.leaderboard.test_error_rates` prints.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pytest

from benchmark.leaderboard.comparison import different_pairs
from benchmark.leaderboard.statistics import estimate, pool_seed_variance
from benchmark.scoring.recall import Outcomes
from tests.benchmark.made_up import answered

SCENES, QUERIES_A_SCENE, COMPOSERS = 500, 12, 10
LOGIT_A_POINT = 1 / 16
"""How far the margin of a query moves for one point of Recall, near 72."""

Spreads = Sequence[float]
"""Standard deviation over seeds of each composer, in points; besides, seeds answer some queries differently."""

ALIKE = tuple((spread,) * COMPOSERS for spread in (0.0, 0.6, 1.5, 2.5))
UNLIKE = (0.3,) * 8 + (2.0,) * 2
"""Two composers vary much more than the others, with which their variance is pooled."""


class Rates(NamedTuple):
    """Shares of boards with a false difference, of intervals that hold the truth, of differences that are found."""

    family_wise_error: float
    coverage: float
    power: float


def draw_board(
    rng: np.random.Generator, *, seeds: int, spreads: Spreads, ahead: float = 0.0
) -> dict[str, list[Outcomes]]:
    """Equal composers, the first `ahead` points better: a query is answered if its margin is positive.

    Scenes and queries are hard for all; each composer has its own strengths, and each seed its luck.
    """
    counts = rng.integers(QUERIES_A_SCENE // 2, QUERIES_A_SCENE * 3 // 2 + 1, SCENES)
    sources = np.repeat(np.arange(SCENES), counts)
    queries = len(sources)
    shared = 1.2 + rng.normal(0, 1, SCENES)[sources] + rng.normal(0, 1.5, queries)
    board = {}
    for number, spread in enumerate(spreads):
        own = shared + rng.normal(0, 0.3, SCENES)[sources] + rng.normal(0, 0.8, queries)
        better = LOGIT_A_POINT * (ahead if not number else 0)
        margins = [
            own + better + LOGIT_A_POINT * rng.normal(0, spread) + rng.normal(0, 0.5, queries) for _ in range(seeds)
        ]
        board[f"c{number}"] = [_outcomes(margin > 0, sources) for margin in margins]
    return board


def _outcomes(hits: np.ndarray, sources: np.ndarray) -> Outcomes:
    ones = np.ones(len(hits), dtype=np.int64)
    return answered(
        ranks=np.where(hits, 1, 2), relevant=ones, candidates=9 * ones, top1=0 * ones, sources=sources, attributes={}
    )


def share_of_true_recall(board: Mapping[str, list[Outcomes]], truths: Sequence[float]) -> float:
    """Of the composers' intervals, how many hold the truth."""
    recalls = {name: [float((run.ranks == 1).mean()) for run in runs] for name, runs in board.items()}
    pooled = pool_seed_variance(recalls.values())
    assert pooled is not None
    held = 0
    for (name, runs), truth in zip(board.items(), truths, strict=True):
        hits = np.mean([run.ranks == 1 for run in runs], axis=0)
        found = estimate(hits, runs[0].sources, of_seeds=pooled.of_mean(recalls[name]), freedom=pooled.freedom)
        assert found is not None
        interval = found.interval()
        assert interval is not None
        held += interval.low <= truth <= interval.high
    return held / len(board)


def true_recall(spread: float) -> float:
    """Of all scenes and seeds, in percent: the margin is normal, as a sum of normal parts."""
    from scipy.stats import norm

    variance = 1 + 1.5**2 + 0.3**2 + 0.8**2 + 0.5**2 + (LOGIT_A_POINT * spread) ** 2
    return float(100 * norm.cdf(1.2 / np.sqrt(variance)))


def measure(*, seeds: int, spreads: Spreads, boards: int) -> Rates:
    rng = np.random.default_rng(1000 * seeds + int(10 * spreads[0]))
    truths = [true_recall(spread) for spread in spreads]
    false, held, found = 0, 0.0, 0.0
    for _ in range(boards):
        equal = draw_board(rng, seeds=seeds, spreads=spreads)
        false += bool(different_pairs(equal, level=0.05))
        held += share_of_true_recall(equal, truths)
        unequal = different_pairs(draw_board(rng, seeds=seeds, spreads=spreads, ahead=4), level=0.05) or frozenset()
        found += sum("c0" in pair for pair in unequal) / (COMPOSERS - 1)
    return Rates(false / boards, held / boards, found / boards)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("spreads", [*ALIKE, UNLIKE])
def test_letters_and_intervals_keep_their_promise(seeds: int, spreads: Spreads) -> None:
    """At most 6% of boards with a false difference (and what 300 boards cannot tell from it), 93 to 97% coverage."""
    rates = measure(seeds=seeds, spreads=spreads, boards=300)
    assert rates.family_wise_error <= 0.06
    assert 0.93 <= rates.coverage <= 0.97
    if max(spreads) <= 0.6:
        assert rates.power >= 0.7


def test_boards_of_equal_composers_claim_hardly_any_difference() -> None:
    """A few boards of the slow test: the old groups claimed one on more than half of them."""
    rng = np.random.default_rng(0)
    boards = [draw_board(rng, seeds=3, spreads=(1.5,) * COMPOSERS) for _ in range(12)]
    assert sum(bool(different_pairs(board, level=0.05)) for board in boards) <= 2
    ahead = different_pairs(draw_board(rng, seeds=3, spreads=(0.6,) * COMPOSERS, ahead=12), level=0.05) or frozenset()
    pairs = {frozenset(pair) for pair in combinations([f"c{number}" for number in range(COMPOSERS)], 2) if "c0" in pair}
    assert pairs <= ahead


if __name__ == "__main__":
    for number in (3, 5):
        for each in (*ALIKE, UNLIKE):
            measured = measure(seeds=number, spreads=each, boards=300)
            print(  # noqa: T201
                f"| {number} | {', '.join(map(str, dict.fromkeys(each)))} | {100 * measured.family_wise_error:.1f} | "
                f"{100 * measured.coverage:.1f} | {100 * measured.power:.0f} |",
                flush=True,
            )
