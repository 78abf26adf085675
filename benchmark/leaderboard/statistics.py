"""Standard errors and intervals of Recall, over the source scenes of the test and the seeds of training.

Queries of one source scene are not independent, so scenes are what counts (a cluster-robust variance). Runs of one
composer differ by their seed; two or three of them say little about how much, so this is pooled over the composers of
a board, and a composer that varies more than that counts with its own variance. The two variances are added. The
interaction of scenes and seeds is in both, so tests are a little conservative where seeds hardly differ;
`tests/benchmark/leaderboard/test_error_rates.py` measures how much.
"""

import statistics
from collections.abc import Iterable, Sequence
from math import inf, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmark.scoring.fresh import variance_of_mean

FEWEST_QUERIES = 30
"""Below this many queries no interval is shown."""

_LEAST_VARIANCE = 1e-20
"""What is less comes from rounding: one hit among a million queries gives 1e-12."""

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Interval(NamedTuple):
    """Bounds in percent."""

    low: float
    high: float


class SeedVariance(NamedTuple):
    """How much runs of one composer differ that differ in the seed alone.

    Attributes:
        ratio: the variance of a run's Recall p, as a multiple of p (1 - p). Runs near 0 or 1 vary less than others, and
            composers of very different strength share a board.
        freedom: degrees of freedom of this estimate, 1 or more.
    """

    ratio: float
    freedom: int

    def of_mean(self, recalls: Sequence[float]) -> float:
        """The variance of the mean of a composer's runs, from their Recall, between 0 and 1.

        Of the pooled variance and the composer's own, the larger one counts: a composer that varies more than the
        others would otherwise seem better or worse than it is too often.
        """
        mean = statistics.fmean(recalls)
        own = statistics.variance(recalls) if len(recalls) > 1 else 0.0
        return max(self.ratio * mean * (1 - mean), own) / len(recalls)


class Estimate(NamedTuple):
    """A mean or a difference in percent, its standard error, and the degrees of freedom of the error.

    The error is 0 if all C scenes have the same mean and seeds add no variance, as where two composers agree on every
    query. The freedom is then C - 1. That sample says little about the true error, so Student's t is not used.
    """

    value: float
    error: float
    freedom: float

    def interval(self, level: float = 0.95) -> Interval | None:
        """The confidence interval by Student's t; None if the error is 0."""
        if not self.error:
            return None
        half = float(stats.t.ppf((1 + level) / 2, self.freedom)) * self.error
        return Interval(self.value - half, self.value + half)

    @property
    def p(self) -> float:
        """Two-sided, of the hypothesis that the true value is zero.

        If the error is 0, by the exact sign test: all C scenes differ in the same direction, with p = 2 / 2^C; 1 if the
        value is 0.
        """
        if not self.error:
            return float(2.0**-self.freedom) if self.value else 1.0
        return float(2 * stats.t.sf(abs(self.value) / self.error, self.freedom))


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and unbiased standard deviation, which one value does not have.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("the mean of no runs is not defined")
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def seed_spread(groups: Iterable[Sequence[float]]) -> float | None:
    """The largest difference of two runs that differ in the seed alone, 19 times of 20; None if it is unknown.

    Student's t: t(0.975, n) · s · sqrt(2), with the variance s² pooled over the groups and n its degrees of freedom.

    Args:
        groups: the results of several seeds each. Groups are taken to vary alike; one of a single seed says nothing.
    """
    several = [list(group) for group in groups if len(group) > 1]
    freedom = sum(len(group) - 1 for group in several)
    if not freedom:
        return None
    variance = sum((len(group) - 1) * statistics.variance(group) for group in several) / freedom
    return float(stats.t.ppf(0.975, freedom)) * sqrt(2 * variance)


def pool_seed_variance(groups: Iterable[Sequence[float]]) -> SeedVariance | None:
    """Pool the variance between seeds over composers; None if no composer has two seeds.

    Args:
        groups: for each composer the Recall of its runs, between 0 and 1. A composer whose runs all have 0, or all 1,
            says nothing about the others and is left out.
    """
    ratios, freedom = 0.0, 0
    for group in groups:
        mean = statistics.fmean(group)
        if len(group) > 1 and 0 < mean < 1:
            ratios += (len(group) - 1) * statistics.variance(group) / (mean * (1 - mean))
            freedom += len(group) - 1
    return SeedVariance(ratios / freedom, freedom) if freedom else None


def estimate(values: Floats, scenes: Rows, *, of_seeds: float = 0.0, freedom: float = inf) -> Estimate | None:
    """The mean of a value of each query, in percent, with its error.

    The variance is that of the mean over source scenes (`variance_of_mean`) plus that of seeds. The degrees of freedom
    are Satterthwaite's.

    Args:
        values: (Q,), such as the share of seeds with a hit, or the difference of two such shares.
        scenes: (Q,) the number of each query's source scene, from 0.
        of_seeds, freedom: variance of the mean because of seeds, and the degrees of freedom it was estimated with.

    Returns:
        None under `FEWEST_QUERIES` queries, or with one scene.
    """
    count = int(np.count_nonzero(np.bincount(scenes)))
    if len(values) < FEWEST_QUERIES or count < 2:
        return None
    mean, of_scenes = float(values.mean()), variance_of_mean(values, scenes)
    variance = of_scenes + of_seeds
    if variance < _LEAST_VARIANCE:
        return Estimate(round(100 * mean, 9), 0.0, count - 1)
    parts = of_scenes**2 / (count - 1) + of_seeds**2 / freedom
    return Estimate(100 * mean, 100 * sqrt(variance), variance**2 / parts)


def gap(
    values: Floats, scenes: Rows, seen: Mask, novel: Mask, *, of_seeds: float = 0.0, freedom: float = inf
) -> Estimate | None:
    """Return the mean of a value on seen queries minus that on novel ones, in percent, with its error.

    The variance is that of a difference of two ratios over the same source scenes: a scene counts once, with what it
    adds to both means, so that scenes with queries of both kinds are not taken for independent.

    Args:
        values, scenes, of_seeds, freedom: as for `estimate`; the variance of seeds is that of the difference.
        seen, novel: (Q,) which queries are seen, and which are novel; none is both.

    Returns:
        None where `estimate` gives none for one of the two.
    """
    if min(seen.sum(), novel.sum()) < FEWEST_QUERIES:
        return None
    both = seen | novel
    of_seen, of_novel = float(values[seen].mean()), float(values[novel].mean())
    weights = both.sum() * (seen / seen.sum() - novel / novel.sum())
    pulls = weights * (values - np.where(seen, of_seen, of_novel))
    found = estimate(pulls[both], scenes[both], of_seeds=of_seeds, freedom=freedom)
    return found and found._replace(value=100 * (of_seen - of_novel))


def recall_interval(hits: Floats, scenes: Rows, *, of_seeds: float = 0.0, freedom: float = inf) -> Interval | None:
    """The 95% interval of a Recall, between 0 and 100.

    A Recall of exactly 0 or 100% has no variance. Its interval is then the exact one of C scenes that all agree
    (Clopper and Pearson, 1934), which ends 100 (1 - 0.025^(1/C)) away: 11.6 for 30 scenes, 0.7 for 500. It ignores
    seeds.

    Args:
        hits: (Q,) the share of seeds with a hit on each query.
        scenes, of_seeds, freedom: as for `estimate`.

    Returns:
        None under `FEWEST_QUERIES` queries, with one scene, or if a Recall between 0 and 100% is the same on all scenes
        and seeds add no variance.
    """
    found = estimate(hits, scenes, of_seeds=of_seeds, freedom=freedom)
    if found is None:
        return None
    interval = found.interval()
    if interval is not None:
        return Interval(max(0.0, interval.low), min(100.0, interval.high))
    away = 100 * (1 - 0.025 ** (1 / (found.freedom + 1)))
    if found.value == 0:
        return Interval(0.0, away)
    return Interval(100 - away, 100.0) if found.value == 100 else None
