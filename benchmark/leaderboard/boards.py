"""Records to ranked numbers: runs that may share a table become a Board, the seeds of one composer become its Row."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, wraps
from math import inf
from typing import TypeVar

import numpy as np

from benchmark import tasks
from benchmark.leaderboard.comparison import ALL as ALL
from benchmark.leaderboard.comparison import different_pairs, group_letters
from benchmark.leaderboard.provenance import Origin, notes_on, origin_of
from benchmark.leaderboard.statistics import (
    Floats,
    Interval,
    Rows,
    SeedVariance,
    estimate,
    mean_and_deviation,
    pool_seed_variance,
)
from benchmark.recipe.schema import Recipe
from benchmark.records.store import ComposerCard, DatasetCard, ParameterCounts, RunRecord, StoredRecord, Tier
from benchmark.runs.recipes import label_on
from benchmark.scoring.metrics import SliceMetrics, slice_masks
from benchmark.scoring.recall import KS
from benchmark.tasks import Published

SIGNIFICANT = 0.05

Made = TypeVar("Made")


@dataclass(frozen=True)
class Score:
    """Recall@K in percent on some of the queries, over the seeds of a composer.

    Attributes:
        queries: how many there are.
        mean, deviation: by K; the unbiased standard deviation is None for one seed.
        intervals: by K, 95%; empty under 30 queries. Of the mean over seeds, or of this one run where no composer of
            the board has two seeds.
        chance: by K, of a random order of the gallery.
        scores: mean by name of every metric that all its records hold, as in `scoring.metrics`.
    """

    queries: int
    mean: Mapping[int, float]
    deviation: Mapping[int, float | None]
    intervals: Mapping[int, Interval]
    chance: Mapping[int, float]
    scores: Mapping[str, float]

    @property
    def interval(self) -> Interval | None:
        """That of Recall@1."""
        return self.intervals.get(1)


@dataclass(frozen=True)
class Row:
    """A composer on a board. Costs are means over its seeds.

    Attributes:
        rank: from 1 by mean Recall@1, then 5, 10 and 50; rows that tie on all of them share it.
        group: letters; two rows share one if and only if their Recall@1 does not differ significantly. "" on a board
            where no composer has two seeds.
        scores: by slice: `ALL`, then "kind=add" and so on.
        device: the names of all devices that its runs were made on.
        published: what the paper reports for this composer, on its own data.
        tier: the weakest of its records'.
        author: who submitted it; "" for a composer in `models/`.
        parts: mean recall by part of the meaning, such as "noun", and K; empty where the task has no parts.
        notes: in what its runs differ from most others of the board: code, torch, device, threads, other work.
        is_timed_alike: whether its times may be compared with those of the board's other rows: measured on the same
            device with as many threads, and without other work.
    """

    rank: int
    group: str
    composer: ComposerCard
    seeds: tuple[int, ...]
    scores: Mapping[str, Score]
    parameters: ParameterCounts
    queries_per_second: float
    wall_seconds: float
    device: str
    published: Published | None
    tier: Tier
    author: str
    parts: Mapping[str, Mapping[int, float]]
    notes: tuple[str, ...] = ()
    is_timed_alike: bool = True


@dataclass(frozen=True)
class Board:
    """One table: rows that differ in the composer alone.

    Attributes:
        preset: what the recipe is called: a preset, or one with the keys that were changed.
        recipe: the first digits of the recipe's hash.
        origin: code, torch and machine of most of its runs.
        slices: values by attribute, in the order of the tables.
        rows: best first, at least one.
    """

    protocol: str
    preset: str
    recipe: str
    dataset: DatasetCard
    origin: Origin
    slices: Mapping[str, tuple[str, ...]]
    rows: tuple[Row, ...]


def build(stored: Iterable[StoredRecord]) -> tuple[Board, ...]:
    """The boards of these records: by protocol, then the recipe that trains longest first.

    The result does not depend on the order of the records. Records of one protocol and dataset must hold the same
    queries, as `leaderboard.load_records` makes sure.
    """
    return tuple(_board(runs) for runs in comparable(stored))


def label_of(record: RunRecord) -> str:
    """Name the recipe of a record; a recipe of another version keeps the name that it had."""
    try:
        recipe = Recipe.from_content(record.configuration)
    except ValueError:
        return record.preset
    return label_on(record.protocol, recipe)


def comparable(stored: Iterable[StoredRecord]) -> list[list[StoredRecord]]:
    """The records that may share a board, together: by protocol, then the recipe that trains longest first."""
    runs = sorted(stored, key=lambda run: (run.record.composer.name, run.record.seed))
    groups: dict[tuple[str, str, str], list[StoredRecord]] = defaultdict(list)
    for run in runs:
        record = run.record
        groups[record.protocol, record.recipe_hash, record.dataset.fingerprint].append(run)
    longest_first = sorted(
        groups.items(),
        key=lambda item: (item[0][0], -max(run.record.training.queries_seen for run in item[1]), item[0]),
    )
    return [group for _, group in longest_first]


def _once(make: Callable[[Sequence[StoredRecord]], Made]) -> Callable[[Sequence[StoredRecord]], Made]:
    """`make`, once in a process for the same files: `tirg-bench run` writes all tables after every run, and most of
    the time would go into rows and boards that are as they were."""
    made: dict[tuple[tuple[str, Tier], ...], Made] = {}

    @wraps(make)
    def made_once(runs: Sequence[StoredRecord]) -> Made:
        key = tuple((run.file_sha256, run.tier) for run in runs)
        if not all(sha256 for sha256, _ in key):
            return make(runs)
        if key not in made:
            made[key] = make(runs)
        return made[key]

    return made_once


@_once
def _board(runs: Sequence[StoredRecord]) -> Board:
    by_composer: dict[str, list[StoredRecord]] = defaultdict(list)
    for run in runs:
        by_composer[run.record.composer.name].append(run)
    scores = _scores(by_composer)
    unranked = [_row(group, scores[name]) for name, group in by_composer.items()]
    places = sorted(_order(row) for row in unranked)
    unranked.sort(key=lambda row: (_order(row), row.composer.name))
    names = [row.composer.name for row in unranked]
    different = different_pairs(
        {name: [run.outcomes for run in by_composer[name]] for name in names}, level=SIGNIFICANT
    )
    letters = dict.fromkeys(names, "") if different is None else group_letters(names, different)
    record, outcomes = runs[0].record, runs[0].outcomes
    origin = origin_of([run.record for run in runs])
    rows = []
    for row in unranked:
        notes = notes_on([run.record for run in by_composer[row.composer.name]], origin)
        rows.append(
            replace(
                row,
                rank=1 + places.index(_order(row)),
                group=letters[row.composer.name],
                notes=notes.texts,
                is_timed_alike=notes.is_timed_alike,
            )
        )
    return Board(
        protocol=record.protocol,
        preset=label_of(record),
        recipe=record.recipe_hash[:8],
        dataset=record.dataset,
        origin=origin,
        slices={name: tuple(masks) for name, masks in slice_masks(outcomes.attributes, _slice_order(runs[0])).items()},
        rows=tuple(rows),
    )


def _row(runs: Sequence[StoredRecord], scores: Mapping[str, Score]) -> Row:
    """The row of one composer, not yet ranked."""
    records = [run.record for run in runs]
    task = tasks.find(records[0].protocol)
    return Row(
        rank=0,
        group="",
        composer=records[0].composer,
        seeds=tuple(record.seed for record in records),
        scores=scores,
        parameters=records[0].parameters,
        queries_per_second=mean_and_deviation([record.training.queries_per_second for record in records])[0],
        wall_seconds=mean_and_deviation([record.training.wall_seconds for record in records])[0],
        device=", ".join(sorted({record.environment.device for record in records})),
        published=task.published_of(records[0].composer.name) if task else None,
        tier=min((run.tier for run in runs), key=lambda tier: tier.strength),
        author=records[0].submission.author if records[0].submission else "",
        parts={
            part: {k: mean_and_deviation([record.metrics.parts[part][k] for record in records])[0] for k in KS}
            for part in records[0].metrics.parts
        },
    )


def _scores(composers: Mapping[str, Sequence[StoredRecord]]) -> dict[str, dict[str, Score]]:
    """By composer, then by slice; the variance between seeds is pooled over the composers."""
    first = next(iter(composers.values()))[0]
    outcomes = first.outcomes
    masks = {ALL: np.ones(len(outcomes), dtype=np.bool_)}
    of_mask: dict[str, Callable[[RunRecord], SliceMetrics]] = {ALL: lambda record: record.metrics}
    for attribute, values in slice_masks(outcomes.attributes, _slice_order(first)).items():
        for value, mask in values.items():
            masks[f"{attribute}={value}"] = mask
            of_mask[f"{attribute}={value}"] = partial(_metrics_of_slice, attribute=attribute, value=value)
    scenes = np.unique(outcomes.sources, return_inverse=True)[1]
    hits = {
        name: {k: np.stack([run.outcomes.ranks <= k for run in runs]).mean(axis=0) for k in KS}
        for name, runs in composers.items()
    }
    found: dict[str, dict[str, Score]] = {name: {} for name in composers}
    for slice_name, mask in masks.items():
        metrics = {name: [of_mask[slice_name](run.record) for run in runs] for name, runs in composers.items()}
        pooled = {
            k: pool_seed_variance([[part.recall[k] / 100 for part in each] for each in metrics.values()]) for k in KS
        }
        for name, parts in metrics.items():
            spread = {k: mean_and_deviation([part.recall[k] for part in parts]) for k in KS}
            intervals = {k: _interval(hits[name][k][mask], scenes[mask], pooled[k], len(parts)) for k in KS}
            found[name][slice_name] = Score(
                queries=int(mask.sum()),
                mean={k: mean for k, (mean, _) in spread.items()},
                deviation={k: deviation for k, (_, deviation) in spread.items()},
                intervals={k: interval for k, interval in intervals.items() if interval},
                chance=parts[0].chance,
                scores=_mean_scores(parts),
            )
    return found


def _metrics_of_slice(record: RunRecord, *, attribute: str, value: str) -> SliceMetrics:
    return record.metrics.slices[attribute][value]


def _interval(hits: Floats, scenes: Rows, pooled: SeedVariance | None, seeds: int) -> Interval | None:
    """95%, of the share of runs with a hit on each query (Q,)."""
    of_seeds = pooled.of(float(hits.mean())) / seeds if pooled and len(hits) else 0.0
    found = estimate(hits, scenes, of_seeds=of_seeds, freedom=pooled.freedom if pooled else inf)
    if found is None:
        return None
    low, high = found.interval()
    return Interval(max(0.0, low), min(100.0, high))


def _mean_scores(runs: Sequence[SliceMetrics]) -> dict[str, float]:
    held = [name for name in runs[0].scores if all(name in run.scores for run in runs)]
    return {name: mean_and_deviation([run.scores[name] for run in runs])[0] for name in held}


def _slice_order(run: StoredRecord) -> dict[str, tuple[str, ...]]:
    task = tasks.find(run.record.protocol)
    return task.slice_order if task else {}


def _order(row: Row) -> tuple[float, ...]:
    return tuple(-row.scores[ALL].mean[k] for k in KS)
