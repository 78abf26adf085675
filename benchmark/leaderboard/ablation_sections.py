"""Records to the sections of an ablation's table: which runs are the settings of one composer on one task."""

from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmark.ablations import Ablation, Setting
from benchmark.ablations.runs import setting_run
from benchmark.errors import UsageError
from benchmark.leaderboard.boards import Row, build, rows_by_recipe
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.provenance import differences, origin_of
from benchmark.recipe.schema import Recipe
from benchmark.records.store import StoredRecord
from benchmark.runs.recipes import label_on


@dataclass(frozen=True)
class Line:
    """A setting on a task.

    Attributes:
        row: its result; None if it was not run, or cannot be.
        notes: in what its runs differ from most others of the table, such as the code.
    """

    setting: Setting
    row: Row | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """The settings of an ablation on one task, with one base recipe and one rendering of the data."""

    task: str
    recipe: Recipe
    dataset: str
    lines: tuple[Line, ...]

    @property
    def preset(self) -> str:
        return label_on(self.task, self.recipe)


class _Key(NamedTuple):
    """What the runs of a setting share; `recipe` and `dataset` are hashes."""

    task: str
    composer: str
    recipe: str
    dataset: str


def _key(run: StoredRecord) -> _Key:
    record = run.record
    return _Key(record.protocol, record.composer.name, record.recipe_hash, record.dataset.fingerprint)


def sections(ablation: Ablation, on_boards: Sequence[StoredRecord], own: Sequence[StoredRecord]) -> tuple[Section, ...]:
    """The sections that hold a record of `own`: by task, then the recipe that trains longest first."""
    runs = sorted((*on_boards, *own), key=lambda run: run.record.seed)
    kept = {run.path for run in own}
    found: list[tuple[tuple[object, ...], Section]] = []
    for task, base, fingerprint in _bases(ablation, runs, kept):
        by_setting = [_runs_of(ablation, setting, task, base, fingerprint, runs) for setting in ablation.settings]
        there = [run for group in by_setting for run in group]
        if kept.isdisjoint(run.path for run in there):
            continue
        origin = origin_of([run.record for run in there])
        rows = _rows(by_setting, on_boards, kept)
        lines = tuple(
            Line(
                setting,
                rows[_key(group[0])] if group else None,
                tuple(dict.fromkeys(differences([run.record for run in group], origin))),
            )
            for setting, group in zip(ablation.settings, by_setting, strict=True)
        )
        longest = max(run.record.training.queries_seen for run in there)
        found.append(((task, -longest, base.hash, fingerprint), Section(task, base, fingerprint, lines)))
    return tuple(section for _, section in sorted(found, key=lambda item: item[0]))


def _bases(
    ablation: Ablation, runs: Sequence[StoredRecord], own: Collection[object]
) -> Iterator[tuple[str, Recipe, str]]:
    """Tasks, recipes and data that the full composer, or a variant with the same recipe, was run with."""
    variants = {setting.composer for setting in ablation.settings if setting.composer and not setting.changes}
    seen = set()
    for run in runs:
        record = run.record
        is_full = record.composer.name == ablation.composer and run.path not in own
        key = record.protocol, record.recipe_hash, record.dataset.fingerprint
        if key in seen or not (is_full or record.composer.name in variants):
            continue
        seen.add(key)
        try:
            yield record.protocol, Recipe.from_content(record.configuration), record.dataset.fingerprint
        except ValueError:  # a recipe of another version
            continue


def _runs_of(
    ablation: Ablation, setting: Setting, task: str, base: Recipe, fingerprint: str, runs: Sequence[StoredRecord]
) -> list[StoredRecord]:
    """The records of a setting, seed by seed; of a run that is in both folders the one of the leaderboards."""
    try:
        wanted = setting_run(ablation, setting, task, base)
    except UsageError:  # the changed recipe cannot be trained with
        return []
    if wanted is None:
        return []
    key = _Key(wanted.task, wanted.composer, wanted.recipe.hash, fingerprint)
    found = [run for run in runs if _key(run) == key]
    return list({run.record.seed: run for run in reversed(found)}.values())[::-1]


def _rows(
    by_setting: Iterable[list[StoredRecord]], on_boards: Sequence[StoredRecord], own: Set[Path]
) -> dict[_Key, Row]:
    """The rows of settings. One whose runs are all on a board is the board's; for others, the variance between seeds is
    pooled over the settings on the same task."""
    groups = {_key(runs[0]): runs for runs in by_setting if runs}
    rows: dict[_Key, Row] = {}
    for task in dict.fromkeys(key.task for key in groups):
        pooled = rows_by_recipe([run for key, runs in groups.items() if key.task == task for run in runs])
        rows |= {key: pooled[key.composer, key.recipe] for key in groups if key.task == task}
    for key, runs in groups.items():
        if own.isdisjoint(run.path for run in runs):
            (board,) = build(run for run in on_boards if _key(run)._replace(composer=key.composer) == key)
            rows[key] = next(row for row in board.rows if row.composer.name == key.composer)
    return rows


def drawn(row: Row | None) -> float | None:
    """Recall@1 where the drawn target alone is right, in percent."""
    return row.scores[ALL].scores["drawn_recall@1"] if row else None
