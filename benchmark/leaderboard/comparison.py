"""Composers on the same queries: how far apart they are, and whether that could be chance.

One test for a pair: Student's t of the mean difference, whose variance is that of source scenes plus that of seeds, as
in `statistics`. With several pairs or slices, p is corrected by Holm's method.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import inf

import numpy as np
import numpy.typing as npt

from benchmark.leaderboard.statistics import (
    Estimate,
    Floats,
    Interval,
    SeedVariance,
    estimate,
    pool_seed_variance,
)
from benchmark.scoring.metrics import slice_masks
from benchmark.scoring.recall import Outcomes

ALL = "all"
"""Name of the slice that contains every query."""

Runs = Sequence[Outcomes]
"""Those of one composer, one a seed."""


@dataclass(frozen=True)
class Difference:
    """Recall@1 of A minus that of B, in percentage points, means over seeds, on some of the queries.

    Attributes:
        points: the difference; None without queries.
        interval: 95%; None under 30 queries, and where `statistics.Estimate` has an error of 0.
        p: Holm-corrected over the slices of a comparison, but not for all queries together; None under 30 queries or
            with one scene.
    """

    queries: int
    points: float | None
    interval: Interval | None
    p: float | None


def compare(
    a: Runs, b: Runs, *, board: Iterable[Runs] = (), trained: tuple[bool, bool] = (True, True)
) -> dict[str, Difference]:
    """The differences by slice: `ALL`, then "kind=add" and so on.

    If no composer has two seeds, nothing is known of seeds: the difference is one of two runs.

    Args:
        a, b: the runs of each composer, or the one ranking of a model; all on the same queries.
        board: the runs of all composers over which the variance between seeds is pooled, A and B among them; A and B
            alone if it is empty.
        trained: whether A and B are runs of a composer. A model that is known by its ranking has no seed: its side adds
            no variance between seeds.

    Raises:
        ValueError: runs are missing, or are not on the same queries.
    """
    pooled = [*board] or [a, b]
    require_same_queries([run for runs in (a, b, *pooled) for run in runs])
    masks = {ALL: np.ones(len(a[0]), dtype=np.bool_)}
    for attribute, values in slice_masks(a[0].attributes).items():
        masks |= {f"{attribute}={value}": mask for value, mask in values.items()}
    found = {}
    for name, mask in masks.items():
        variance = pool_seed_variance([[_recall(run, mask) for run in runs] for runs in pooled])
        tested = _estimate(a, b, mask, variance, trained)
        points = 100 * float((_hits(a)[mask] - _hits(b)[mask]).mean()) if mask.any() else None
        found[name] = Difference(
            int(mask.sum()), points, tested.interval() if tested else None, tested.p if tested else None
        )
    slices = [name for name, each in found.items() if name != ALL and each.p is not None]
    corrected = holm([found[name].p or 0.0 for name in slices])
    for name, p in zip(slices, corrected, strict=True):
        found[name] = Difference(found[name].queries, found[name].points, found[name].interval, p)
    return found


def compare_all(
    sides: Sequence[Runs], *, board: Iterable[Runs] = (), trained: Sequence[bool] = ()
) -> dict[tuple[int, int], Difference]:
    """The differences between all sides on all queries, by the places of A and B, A before B.

    Args:
        sides: the runs of each composer, or the one ranking of a model; all on the same queries.
        board, trained: as for `compare`, with a value a side; all sides are composers if it is empty.

    Returns:
        As `compare` has them, with p Holm-corrected over the pairs.

    Raises:
        ValueError: runs are missing, or are not on the same queries.
    """
    pooled, of_composers = [*board] or [*sides], [*trained] or [True] * len(sides)
    require_same_queries([run for runs in (*sides, *pooled) for run in runs])
    everything = np.ones(len(sides[0][0]), dtype=np.bool_)
    variance = pool_seed_variance([[_recall(run, everything) for run in runs] for runs in pooled])
    pairs = list(combinations(range(len(sides)), 2))
    tested = [_estimate(sides[a], sides[b], everything, variance, (of_composers[a], of_composers[b])) for a, b in pairs]
    corrected = iter(holm([each.p for each in tested if each]))
    return {
        (a, b): Difference(
            len(everything),
            100 * float((_hits(sides[a]) - _hits(sides[b])).mean()),
            each.interval() if each else None,
            next(corrected) if each else None,
        )
        for (a, b), each in zip(pairs, tested, strict=True)
    }


def require_same_queries(runs: Runs) -> None:
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


def different_pairs(composers: Mapping[str, Runs], *, level: float) -> frozenset[frozenset[str]] | None:
    """The pairs of composers whose Recall@1 differs at this level, corrected for the number of pairs.

    Returns:
        None if no composer has two seeds: how much runs of one composer differ is then unknown.

    Raises:
        ValueError: the runs are not on the same queries.
    """
    require_same_queries([run for runs in composers.values() for run in runs])
    everything = np.ones(len(next(iter(composers.values()))[0]), dtype=np.bool_)
    variance = pool_seed_variance([[_recall(run, everything) for run in runs] for runs in composers.values()])
    if variance is None:
        return None
    pairs = list(combinations(composers, 2))
    tested = [_estimate(composers[one], composers[other], everything, variance) for one, other in pairs]
    corrected = holm([each.p if each else 1.0 for each in tested])
    return frozenset(frozenset(pair) for pair, p in zip(pairs, corrected, strict=True) if p < level)


def group_letters(names: Sequence[str], different: frozenset[frozenset[str]]) -> dict[str, str]:
    """Letters by name, such that two names share one if and only if they are not different.

    A letter is a group of names of which none differ, and that no further name could join. For each pair that shares
    no letter yet, a group is grown from it in the order of the names: at most as many letters as pairs (finding the
    fewest takes exponential time). Letters follow the order of the names.

    >>> group_letters(["x", "y", "z"], frozenset({frozenset({"x", "z"})}))
    {'x': 'a', 'y': 'ab', 'z': 'b'}
    """
    groups: list[frozenset[str]] = []
    for pair in [*combinations(names, 2), *((name,) for name in names)]:
        if frozenset(pair) not in different and not any(group.issuperset(pair) for group in groups):
            grown = list(pair)
            for name in names:
                if name not in grown and all(frozenset((name, each)) not in different for each in grown):
                    grown.append(name)
            groups.append(frozenset(grown))
    place = {name: index for index, name in enumerate(names)}
    groups.sort(key=lambda group: sorted(place[name] for name in group))
    return {name: "".join(_letter(number) for number, group in enumerate(groups) if name in group) for name in names}


def _letter(number: int) -> str:
    return chr(ord("a") + number) if number < 26 else f"({number + 1})"


def _estimate(
    a: Runs,
    b: Runs,
    mask: npt.NDArray[np.bool_],
    variance: SeedVariance | None,
    trained: tuple[bool, bool] = (True, True),
) -> Estimate | None:
    """The difference on the queries of the mask."""
    hits = _hits(a)[mask], _hits(b)[mask]
    of_seeds, freedom = 0.0, inf
    if variance and mask.any():
        sides = zip((a, b), trained, strict=True)
        of_seeds = sum(
            variance.of_mean([_recall(run, mask) for run in runs]) for runs, is_trained in sides if is_trained
        )
        freedom = variance.freedom
    scenes = np.unique(a[0].sources[mask], return_inverse=True)[1]
    return estimate(hits[0] - hits[1], scenes, of_seeds=of_seeds, freedom=freedom)


def _hits(runs: Runs) -> Floats:
    """(Q,) the share of runs whose first image is relevant."""
    shares: Floats = np.stack([run.ranks == 1 for run in runs]).mean(axis=0)
    return shares


def _recall(run: Outcomes, mask: npt.NDArray[np.bool_]) -> float:
    """Recall@1 on the queries of the mask, between 0 and 1; 0 without queries."""
    return float((run.ranks[mask] == 1).mean()) if mask.any() else 0.0
