"""From the records of runs to Recall@K with its interval, by slice."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import TypeVar

import numpy as np

from benchmark import tasks
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.statistics import (
    Estimate,
    Floats,
    Interval,
    Mask,
    Rows,
    SeedVariance,
    gap,
    mean_and_deviation,
    pool_seed_variance,
    recall_interval,
)
from benchmark.records.rankings import StoredRanking
from benchmark.records.store import StoredRecord
from benchmark.scoring.metrics import SliceMetrics, slice_masks
from benchmark.scoring.recall import KS

Scored = StoredRecord | StoredRanking
"""A run of a composer, or a model that is known by its ranking alone."""

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Score:
    """Recall@K in percent on some of the queries, over the seeds of a composer.

    Attributes:
        queries: how many there are.
        mean, deviation: by K; the unbiased standard deviation is None for one seed.
        intervals: by K, 95%, where `statistics.recall_interval` gives one. Of the mean over seeds, or of this one run
            where no composer of the board has two seeds.
        chance: by K, of a random order of the gallery.
        scores: mean by name of every metric that all its records hold, as in `scoring.metrics`.
        gap: for a slice that training never shows: Recall@1 on the slice that training shows minus that on this slice.
    """

    queries: int
    mean: Mapping[int, float]
    deviation: Mapping[int, float | None]
    intervals: Mapping[int, Interval]
    chance: Mapping[int, float]
    scores: Mapping[str, float]
    gap: Estimate | None = None

    @property
    def interval(self) -> Interval | None:
        """That of Recall@1."""
        return self.intervals.get(1)


def slice_order(run: Scored) -> dict[str, tuple[str, ...]]:
    """The attributes and values of a run's task that tables show first."""
    task = tasks.find(run.record.protocol)
    return task.slice_order if task else {}


def scores_of(composers: Mapping[Name, Sequence[Scored]]) -> dict[Name, dict[str, Score]]:
    """The scores of composers or models on the same queries: by name, then by slice (`ALL`, then "kind=add" and so on).

    The variance between seeds is pooled over all of them.
    """
    first = next(iter(composers.values()))[0]
    outcomes = first.outcomes
    masks = {ALL: np.ones(len(outcomes), dtype=np.bool_)}
    of_mask: dict[str, Callable[[Scored], SliceMetrics]] = {ALL: lambda run: run.record.metrics}
    for attribute, values in slice_masks(outcomes.attributes, slice_order(first)).items():
        for value, mask in values.items():
            masks[f"{attribute}={value}"] = mask
            of_mask[f"{attribute}={value}"] = partial(_metrics_of_slice, attribute=attribute, value=value)
    scenes = np.unique(outcomes.sources, return_inverse=True)[1]
    hits = {
        name: {k: np.stack([run.outcomes.ranks <= k for run in runs]).mean(axis=0) for k in KS}
        for name, runs in composers.items()
    }
    found: dict[Name, dict[str, Score]] = {name: {} for name in composers}
    for slice_name, mask in masks.items():
        metrics = {name: [of_mask[slice_name](run) for run in runs] for name, runs in composers.items()}
        pooled = {
            k: pool_seed_variance([[part.recall[k] / 100 for part in each] for each in metrics.values()]) for k in KS
        }
        for name, parts in metrics.items():
            spread = {k: mean_and_deviation([part.recall[k] for part in parts]) for k in KS}
            intervals = {
                k: _interval(hits[name][k][mask], scenes[mask], pooled[k], [part.recall[k] / 100 for part in parts])
                for k in KS
            }
            found[name][slice_name] = Score(
                queries=int(mask.sum()),
                mean={k: mean for k, (mean, _) in spread.items()},
                deviation={k: deviation for k, (_, deviation) in spread.items()},
                intervals={k: interval for k, interval in intervals.items() if interval},
                chance=parts[0].chance,
                scores=_mean_scores(parts),
            )
    for seen, novel in _held_out(first, masks):
        for name, each in _gaps(composers, masks[seen], masks[novel], scenes).items():
            found[name][novel] = replace(found[name][novel], gap=each)
    return found


def _held_out(run: Scored, masks: Mapping[str, Mask]) -> Iterator[tuple[str, str]]:
    """Yield pairs of slices of one attribute: the one that training shows, and one that it never shows."""
    task = tasks.find(run.record.protocol)
    for attribute, about in task.slices.items() if task else ():
        seen = f"{attribute}={about.seen}"
        if about.seen and seen in masks:
            yield from ((seen, name) for name in masks if name.startswith(f"{attribute}=") and name != seen)


def has_gaps(scores: Mapping[str, Score], attribute: str = "") -> bool:
    """Return whether a slice of the attribute has a gap; of any attribute if it is ""."""
    return any(score.gap for name, score in scores.items() if not attribute or name.startswith(f"{attribute}="))


def _gaps(
    composers: Mapping[Name, Sequence[Scored]], seen: Mask, novel: Mask, scenes: Rows
) -> dict[Name, Estimate | None]:
    """Recall@1 on `seen` minus that on `novel`; its variance between seeds is pooled over the composers."""
    hits = {name: np.stack([run.outcomes.ranks == 1 for run in runs]).astype(float) for name, runs in composers.items()}
    several = [each[:, seen].mean(axis=1) - each[:, novel].mean(axis=1) for each in hits.values() if len(each) > 1]
    freedom = sum(len(each) - 1 for each in several)
    variance = sum((len(each) - 1) * float(each.var(ddof=1)) for each in several) / freedom if freedom else 0.0
    return {
        name: gap(each.mean(axis=0), scenes, seen, novel, of_seeds=variance / len(each), freedom=freedom or inf)
        for name, each in hits.items()
    }


def _metrics_of_slice(run: Scored, *, attribute: str, value: str) -> SliceMetrics:
    return run.record.metrics.slices[attribute][value]


def _interval(hits: Floats, scenes: Rows, pooled: SeedVariance | None, recalls: Sequence[float]) -> Interval | None:
    """95%, of the share of runs with a hit on each query (Q,); `recalls` are those of the runs."""
    of_seeds = pooled.of_mean(recalls) if pooled else 0.0
    return recall_interval(hits, scenes, of_seeds=of_seeds, freedom=pooled.freedom if pooled else inf)


def _mean_scores(runs: Sequence[SliceMetrics]) -> dict[str, float]:
    held = [name for name in runs[0].scores if all(name in run.scores for run in runs)]
    return {name: mean_and_deviation([run.scores[name] for run in runs])[0] for name in held}
