"""Records to the sections of an ablation's table: which runs are the settings of one composer on one task."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from benchmark.ablations import Ablation, Setting
from benchmark.ablations.runs import setting_run
from benchmark.errors import UsageError
from benchmark.leaderboard.boards import Row, build
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
        lines = tuple(
            Line(
                setting,
                build(group)[0].rows[0] if group else None,
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
    key = wanted.task, wanted.composer, wanted.recipe.hash, fingerprint
    found = [
        run
        for run in runs
        if key
        == (run.record.protocol, run.record.composer.name, run.record.recipe_hash, run.record.dataset.fingerprint)
    ]
    return list({run.record.seed: run for run in reversed(found)}.values())[::-1]


def drawn(row: Row | None) -> float | None:
    """Recall@1 where the drawn target alone is right, in percent."""
    return row.scores[ALL].scores["drawn_recall@1"] if row else None
