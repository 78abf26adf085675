"""Group records into boards and rank them: comparable runs form a Board, the seeds of one composer its Row."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import TypeVar

from benchmark import tasks
from benchmark.leaderboard.comparison import ALL, different_pairs, group_letters
from benchmark.leaderboard.fresh import Fresh, fresh_of
from benchmark.leaderboard.provenance import Origin, notes_on, origin_of
from benchmark.leaderboard.scores import Score, scores_of, slice_order
from benchmark.leaderboard.statistics import mean_and_deviation
from benchmark.recipe.schema import Recipe
from benchmark.records.equal_versions import representative
from benchmark.records.store import ComposerCard, DatasetCard, ParameterCounts, RunRecord, StoredRecord, Tier
from benchmark.runs.recipes import label_on
from benchmark.scoring.metrics import slice_masks
from benchmark.scoring.recall import KS
from benchmark.tasks import Published

SIGNIFICANT = 0.05

Made = TypeVar("Made")


@dataclass(frozen=True)
class Row:
    """A composer on a board. Costs are means over its seeds.

    Attributes:
        rank: from 1 by mean Recall@1, then 5, 10 and 50; rows that tie on all of them share it. A row whose fresh
            Recall@1 differs from its own counts with the lower of the two.
        group: letters; two rows share one if and only if their Recall@1 does not differ significantly. "" on a board
            where no composer has two seeds, and for a row whose fresh Recall@1 differs from its own.
        scores: by slice: `ALL`, then "kind=add" and so on.
        device: the names of all devices that its runs were made on.
        published: what the paper reports for this composer, on its own data.
        tier: the weakest of its records'.
        author: who submitted it; "" for a composer in `models/`.
        parts: mean recall by part of the meaning, such as "noun", and K; empty where the task has no parts.
        fresh: scores on fresh test sets; None where no run has one.
        levels: at how many depths of the image encoder its composer composes.
        own_loss: whether a run was trained with a loss of its composer's own.
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
    fresh: Fresh | None = None
    own_loss: bool = False
    levels: int = 1
    notes: tuple[str, ...] = ()
    is_timed_alike: bool = True

    @property
    def is_doubtful(self) -> bool:
        """Whether the fresh Recall@1 differs from the row's own by more than sampling explains."""
        return self.fresh is not None and self.fresh.differs


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
    """Return `make`, called once in a process for the same files and list of equal versions of the code.

    `tirg-bench run` writes all tables after every run, and would spend most of the time on rows and boards that have
    not changed.
    """
    made: dict[tuple[tuple[str, Tier, str], ...], Made] = {}

    @wraps(make)
    def made_once(runs: Sequence[StoredRecord]) -> Made:
        key = tuple((run.file_sha256, run.tier, representative(run.record.environment.code_version)) for run in runs)
        if not all(sha256 for sha256, _, _ in key):
            return make(runs)
        if key not in made:
            made[key] = make(runs)
        return made[key]

    return made_once


@_once
def rows_by_recipe(runs: Sequence[StoredRecord]) -> dict[tuple[str, str], Row]:
    """The rows, neither ranked nor noted, of runs on the same queries, by composer and hash of the recipe.

    The variance between seeds is pooled over all of them.
    """
    groups: dict[tuple[str, str], list[StoredRecord]] = defaultdict(list)
    for run in runs:
        groups[run.record.composer.name, run.record.recipe_hash].append(run)
    scores = scores_of(groups)
    return {name: _row(group, scores[name]) for name, group in groups.items()}


@_once
def _board(runs: Sequence[StoredRecord]) -> Board:
    by_composer: dict[str, list[StoredRecord]] = defaultdict(list)
    for run in runs:
        by_composer[run.record.composer.name].append(run)
    scores = scores_of(by_composer)
    unranked = [_row(group, scores[name]) for name, group in by_composer.items()]
    places = sorted(_order(row) for row in unranked)
    unranked.sort(key=lambda row: (_order(row), row.composer.name))
    names = [row.composer.name for row in unranked if not row.is_doubtful]
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
                group=letters.get(row.composer.name, ""),
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
        slices={name: tuple(masks) for name, masks in slice_masks(outcomes.attributes, slice_order(runs[0])).items()},
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
        fresh=fresh_of(runs),
        own_loss=any(
            record.composer.auxiliary and record.configuration.get("training.auxiliary") != 0 for record in records
        ),
        levels=max(record.composer.levels for record in records),
    )


def _order(row: Row) -> tuple[float, ...]:
    own = row.scores[ALL].mean
    counts = {k: min(own[k], row.fresh.recall[k]) for k in KS} if row.fresh and row.fresh.differs else own
    return tuple(-counts[k] for k in KS)
