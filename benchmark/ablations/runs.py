"""Turn the settings of an ablation into runs. A setting that equals a run of the leaderboards is that run.

Records of the other settings are kept in `ablations/records`, next to the leaderboards' `records`: boards, comparisons
and submissions read everything in `records`, and a variant, or a recipe with one key changed, must not become a row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import models
from benchmark import tasks as datasets
from benchmark.ablations.base import Ablation, Setting
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.recipe.schema import Recipe
from benchmark.records.code_version import composer_sha256
from benchmark.runs.grid import Finished, Plan, open_task, require_writable, run_all
from benchmark.runs.recipes import label_on
from benchmark.runs.single_run import Bench
from benchmark.training.parts import require_parts
from models.registry import get

FOLDER = "ablations"
"""In the leaderboards, with the records; in `runs`, with the models."""


@dataclass(frozen=True)
class SettingRun:
    """What a setting trains on a task.

    Attributes:
        is_on_board: whether `tirg-bench run` makes the same run, so that its record is among the leaderboards'.
    """

    task: str
    composer: str
    recipe: Recipe
    is_on_board: bool


def setting_run(ablation: Ablation, setting: Setting, task: str, base: Recipe) -> SettingRun | None:
    """What the setting trains where the full composer trains on `task` with the recipe `base`; None if it cannot.

    Raises:
        UsageError: the changed recipe cannot be trained with.
    """
    its_task = task if setting.tasks is None else setting.tasks.get(task)
    if its_task is None or datasets.find(its_task) is None:
        return None
    composer, recipe = setting.composer or ablation.composer, override(base, setting.changes)
    return SettingRun(its_task, composer, recipe, composer in models.names() and recipe.hash == base.hash)


def plan(ablation: Ablation, tasks: Sequence[str], seeds: Sequence[int], bench: Bench) -> tuple[Plan, Plan]:
    """The runs of an ablation, each once: those of the leaderboards, and its own.

    Raises:
        UsageError: a recipe cannot be trained with, or names a part that does not exist.
        BenchmarkError: a dataset cannot be opened, or a folder cannot be written to.
    """
    by_identity: dict[tuple[str, str, str], SettingRun] = {}
    for task in tasks:
        for setting in ablation.settings:
            if found := setting_run(ablation, setting, task, bench.recipe(task)):
                by_identity.setdefault((found.task, found.composer, found.recipe.hash), found)
    wanted = list(by_identity.values())
    for each in wanted:
        composer_sha256(get(each.composer))  # before training, because the file may be edited meanwhile
        require_parts(each.recipe)
    for its in (bench, bench_of_ablations(bench)):
        require_writable(its)
    opened = {each.task: open_task(each.task, replace(bench, recipes={each.task: each.recipe})) for each in wanted}

    def runs(*, is_on_board: bool) -> Iterator[Run]:
        for seed in seeds:
            for each in wanted:
                if each.is_on_board == is_on_board:
                    data = opened[each.task]
                    yield Run(each.task, each.composer, each.recipe, seed, data.fingerprint, data.spatial)

    return Plan(tuple(runs(is_on_board=True)), opened), Plan(tuple(runs(is_on_board=False)), opened)


def run_ablation(planned: tuple[Plan, Plan], bench: Bench) -> Iterator[Finished]:
    """Make each run that has no record yet, those of the leaderboards first. See `grid.run_all`."""
    of_boards, own = planned
    yield from run_all(of_boards, bench)
    yield from run_all(own, bench_of_ablations(bench), describe)


def describe(run: Run) -> str:
    """Name a run with its recipe, because settings may differ in the recipe alone."""
    return f"{run}, {label_on(run.task, run.recipe)}"


def titles(ablation: Ablation, run: Run, tasks: Sequence[str], bench: Bench) -> tuple[str, ...]:
    """The settings on these tasks that train this run; several may train the same."""
    pairs = ((setting, task) for task in tasks for setting in ablation.settings)
    theirs = ((setting.title, setting_run(ablation, setting, task, bench.recipe(task))) for setting, task in pairs)
    wanted = run.task, run.composer, run.recipe.hash
    return tuple(
        dict.fromkeys(title for title, its in theirs if its and wanted == (its.task, its.composer, its.recipe.hash))
    )


def bench_of_ablations(bench: Bench) -> Bench:
    """The same settings, for runs whose records and models are kept in `FOLDER`."""
    return replace(bench, leaderboards=bench.leaderboards / FOLDER, runs=bench.runs / FOLDER)


def records_of_ablations(leaderboards: Path) -> Path:
    """The folder of the records that are no leaderboard's."""
    return leaderboards / FOLDER / "records"
