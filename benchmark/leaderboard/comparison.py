"""Two composers on the same queries: how far apart they are, and whether that could be chance.

Queries of one source scene are not independent, so scenes are what is resampled and what is swapped. Everything is a
matrix product over sums by scene, because scipy's permutation test and bootstrap would call us ten thousand times.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from benchmark.leaderboard.statistics import FEWEST_QUERIES, Interval
from benchmark.scoring.metrics import slice_masks
from benchmark.scoring.recall import Outcomes

ALL = "all"
"""Name of the slice that contains every query."""

RESAMPLES = 9_999
_AT_ONCE = 500
_SHARED_RESAMPLES = 4_000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """Recall@1 of A minus that of B, in percentage points, means over seeds, on some of the queries.

    Attributes:
        points: the difference; None without queries.
        interval: 95%, from a paired bootstrap over source scenes and seeds; None under 30 queries.
        p: of a permutation test that swaps A and B scene by scene; Holm-corrected over the slices of a comparison, but
            not for all queries together; None under 30 queries.
    """

    queries: int
    points: float | None
    interval: Interval | None
    p: float | None


def compare(a: Sequence[Outcomes], b: Sequence[Outcomes], *, seed: int) -> dict[str, Difference]:
    """The differences by slice: `ALL`, then "kind=add" and so on.

    Args:
        a, b: the runs of each composer, one a seed; all on the same queries.

    Raises:
        ValueError: runs are missing, or are not on the same queries.
    """
    require_same_queries([*a, *b])
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    masks = {ALL: np.ones(len(a[0]), dtype=np.bool_)}
    for attribute, values in slice_masks(a[0].attributes).items():
        masks |= {f"{attribute}={value}": mask for value, mask in values.items()}
    hits_a, hits_b = (np.stack([run.ranks == 1 for run in runs]).astype(np.float64) for runs in (a, b))
    found = {
        name: _difference(hits_a[:, mask], hits_b[:, mask], a[0].sources[mask], rng) for name, mask in masks.items()
    }
    slices = [name for name, each in found.items() if name != ALL and each.p is not None]
    corrected = holm([found[name].p or 0.0 for name in slices])
    for name, p in zip(slices, corrected, strict=True):
        found[name] = Difference(found[name].queries, found[name].points, found[name].interval, p)
    return found


def require_same_queries(runs: Sequence[Outcomes]) -> None:
    """Raises ValueError if runs differ in what they were asked."""
    if not runs:
        raise ValueError("there are no runs to compare")
    first = runs[0]
    for run in runs[1:]:
        same = np.array_equal(run.sources, first.sources) and np.array_equal(run.relevant, first.relevant)
        same = same and run.attributes.keys() == first.attributes.keys()
        if not same or any((run.attributes[name] != words).any() for name, words in first.attributes.items()):
            raise ValueError("the runs are not on the same queries")


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm, 1979), in the order given.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected, least = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = least
    return corrected


def pairwise(runs: Mapping[str, Sequence[Outcomes]], *, seed: int) -> dict[frozenset[str], float]:
    """Holm-corrected p-values of all pairs of composers, by their names: whether their Recall@1 differs at all.

    Raises:
        ValueError: the runs are not on the same queries.
    """
    everything = [run for each in runs.values() for run in each]
    require_same_queries(everything)
    pairs = list(combinations(runs, 2))
    if not pairs:
        return {}
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    hits = {name: np.stack([run.ranks == 1 for run in each]).mean(axis=0) for name, each in runs.items()}
    sums = np.stack([_sums(hits[one] - hits[other], everything[0].sources) for one, other in pairs])
    corrected = holm(_p_values(sums, rng).tolist())
    return {frozenset(pair): p for pair, p in zip(pairs, corrected, strict=True)}


def different_pairs(runs: Mapping[str, Sequence[Outcomes]], *, level: float, seed: int) -> frozenset[frozenset[str]]:
    """The pairs of composers whose Recall@1 differs, by both of what could make them seem to.

    Other scenes: the Holm-corrected p of `pairwise` is below `level`. Other seeds: the paired interval of the
    difference, at that level, does not hold zero when scenes and the seeds of each composer are drawn again. (With one
    seed there is nothing to draw, and the difference is one of two runs.)

    Raises:
        ValueError: the runs are not on the same queries.
    """
    p_values = pairwise(runs, seed=seed)
    if not p_values:
        return frozenset()
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    sources = next(iter(runs.values()))[0].sources
    scenes = len(np.unique(sources))
    weights = rng.multinomial(scenes, np.full(scenes, 1 / scenes), _SHARED_RESAMPLES).astype(np.float64)
    drawn = {}
    for name, each in runs.items():
        sums = np.stack([_sums((run.ranks == 1).astype(np.float64), sources) for run in each])
        drawn[name] = (weights @ sums.T * _seed_weights(len(each), _SHARED_RESAMPLES, rng)).sum(axis=1)
    bounds = [50 * level, 100 - 50 * level]

    def is_different(pair: frozenset[str]) -> bool:
        one, other = pair
        low, high = np.percentile(drawn[one] - drawn[other], bounds)
        return bool(p_values[pair] < level and not low <= 0 <= high)

    return frozenset(filter(is_different, p_values))


def group_letters(names: Sequence[str], different: frozenset[frozenset[str]]) -> dict[str, str]:
    """Letters by name, such that two names share one if and only if they are not different.

    Insert and absorb (Piepho, 2004): all names begin in one group; each different pair splits the groups that hold
    both, and groups inside others go. Letters follow the order of the names.

    >>> group_letters(["x", "y", "z"], frozenset({frozenset({"x", "z"})}))
    {'x': 'a', 'y': 'ab', 'z': 'b'}
    """
    groups = [frozenset(names)]
    for pair in sorted(different, key=sorted):
        one, other = sorted(pair)
        split = [group for each in groups for group in (({each - {one}, each - {other}}) if pair <= each else {each})]
        groups = [group for group in set(split) if not any(group < wider for wider in split)]
    place = {name: index for index, name in enumerate(names)}
    groups.sort(key=lambda group: sorted(place[name] for name in group))
    return {name: "".join(_letter(number) for number, group in enumerate(groups) if name in group) for name in names}


def _letter(number: int) -> str:
    return chr(ord("a") + number) if number < 26 else f"({number + 1})"


def _difference(hits_a: Floats, hits_b: Floats, sources: npt.NDArray[np.int64], rng: np.random.Generator) -> Difference:
    """From hits (seeds, queries) of both."""
    queries = len(sources)
    if not queries:
        return Difference(0, None, None, None)
    points = float(100 * (hits_a.mean() - hits_b.mean()))
    if queries < FEWEST_QUERIES:
        return Difference(queries, points, None, None)
    sums_a, sums_b = (np.stack([_sums(row, sources) for row in hits]) for hits in (hits_a, hits_b))
    counts = _sums(np.ones(queries), sources)
    p = float(_p_values((sums_a.mean(axis=0) - sums_b.mean(axis=0))[None], rng)[0])
    return Difference(queries, points, _interval(sums_a, sums_b, counts, rng), p)


def _sums(values: Floats, sources: npt.NDArray[np.int64]) -> Floats:
    """By source scene."""
    scenes, place = np.unique(sources, return_inverse=True)
    return np.bincount(place, weights=values, minlength=len(scenes)).astype(np.float64)


def _p_values(sums: Floats, rng: np.random.Generator) -> Floats:
    """Two-sided, for differences (tests, scenes): how often random signs of the scenes give as large a total."""
    seen = np.abs(sums.sum(axis=1)) - 1e-9
    as_large = np.ones(len(sums))
    for start in range(0, RESAMPLES, _AT_ONCE):
        count = min(_AT_ONCE, RESAMPLES - start)
        signs = rng.integers(0, 2, (count, sums.shape[1]), dtype=np.int8).astype(np.float64) * 2 - 1
        as_large += (np.abs(signs @ sums.T) >= seen).sum(axis=0)
    return as_large / (RESAMPLES + 1)


def _interval(sums_a: Floats, sums_b: Floats, counts: Floats, rng: np.random.Generator) -> Interval:
    """Percentiles of the difference when scenes are drawn again, and the seeds of each composer."""
    found = []
    scenes = len(counts)
    for start in range(0, RESAMPLES, _AT_ONCE):
        count = min(_AT_ONCE, RESAMPLES - start)
        weights = rng.multinomial(scenes, np.full(scenes, 1 / scenes), count).astype(np.float64)
        hits = [(weights @ sums.T * _seed_weights(len(sums), count, rng)).sum(axis=1) for sums in (sums_a, sums_b)]
        asked = weights @ counts
        found.append(100 * (hits[0] - hits[1])[asked > 0] / asked[asked > 0])
    low, high = np.percentile(np.concatenate(found), [2.5, 97.5])
    return Interval(float(low), float(high))


def _seed_weights(seeds: int, count: int, rng: np.random.Generator) -> Floats:
    """(count, seeds), each row summing to one: how often each seed was drawn, S - 1 of S as in `recall_intervals`."""
    draws = max(1, seeds - 1)
    return rng.multinomial(draws, np.full(seeds, 1 / seeds), count) / draws
