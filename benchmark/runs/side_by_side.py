"""Make several runs of a grid at a time, each in a process of its own with its share of the threads, here or elsewhere.

The operations of a small network are too short to keep several threads busy: two runs of `quick` side by side on two
cores, each with one thread, take less time than one after the other with two (docs/performance.md). Records say how
many runs were made at a time, because a run's own time grows by it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmark import tasks as datasets
from benchmark.datasets.splits import Dataset
from benchmark.errors import BenchmarkError
from benchmark.recipe.identity import Run
from benchmark.runs import local_composer
from benchmark.runs.grid import Finished, Plan, finish, open_task
from benchmark.runs.single_run import Bench
from benchmark.training.progress import Report, RunTerminal, SilentRuns
from css_gen.errors import DatasetError
from css_gen.pool import Executor, Step, run_tasks


def run_side_by_side(
    planned: Plan,
    bench: Bench,
    files: Sequence[Path] = (),
    *,
    roots: Mapping[str, Path] | None = None,
    executor: Executor | None = None,
) -> Iterator[Finished]:
    """As `grid.run_all`, with `bench.runtime.jobs` runs at a time, and each given out when it ends.

    Args:
        files: of composers that are not part of the package; every process loads them.
        roots: folders of datasets by their fingerprints, where the runs of a task are on several.
        executor: where the runs are made, if not in processes of this machine. All of its machines need to see the
            current folder, the data, and the folders of runs and records.

    Raises:
        BenchmarkError: a process was killed.
    """
    if bench.fresh and bench.is_on_leaderboard:  # one for all processes
        missing = [run for run in planned.runs if bench.replace or not run.identity.find(bench.records)]
        for task in dict.fromkeys(run.task for run in missing):
            bench.fresh.render(planned.datasets[task], bench.reporter)
    named = [f"{run} ({roots[run.fingerprint]})" if roots else str(run) for run in planned.runs]
    titles = [f"[{number}/{len(named)}] {name}" for number, name in enumerate(named, start=1)]
    runs = list(zip(titles, planned.runs, strict=True))
    # A reporter that writes to a terminal cannot be sent to another process.
    work = partial(_made, replace(bench, reporter=SilentRuns()), tuple(files), dict(roots or {}))
    try:
        run = executor or partial(run_tasks, jobs=bench.runtime.jobs)
        for (title, _), finished in run(work, runs, on_progress=lambda _: None, on_note=bench.reporter.message):
            if executor:  # whose processes cannot write to this terminal
                bench.reporter.message(f"{title}: {_outcome(finished)}")
            yield finished
    except DatasetError as error:
        raise BenchmarkError(str(error)) from None


def _outcome(finished: Finished) -> str:
    if finished.record is None:
        return f"FAILED, {finished.failure}"
    return f"{'' if finished.is_new else 'has a record, '}R@1 {finished.record.metrics.recall[1]:.1f}"


class _Lines(RunTerminal):
    """Lines alone: several processes cannot share a progress bar."""

    def training(self, title: str, steps: int) -> AbstractContextManager[Report]:  # noqa: ARG002
        return self._training_lines(title)


def _made(
    bench: Bench,
    files: tuple[Path, ...],
    roots: dict[str, Path],
    titled: tuple[str, Run],
    step: Step,  # noqa: ARG001  a training that is abandoned writes a checkpoint, and then raises by itself
) -> Finished:
    title, run = titled
    here = replace(bench, reporter=_Lines())
    if root := roots.get(run.fingerprint):
        here = replace(here, places={**bench.places, datasets.get(run.task).folder: root})
    for file in files:
        if not local_composer.is_loaded(file):
            local_composer.load(file)
    return finish(run, partial(_opened(here), run.task), here, title)


_datasets: dict[tuple[str, Path], Dataset] = {}
"""That this process has opened, by task and folder: each holds all of its queries."""


def _opened(bench: Bench) -> Callable[[str], Dataset]:
    def opened(task: str) -> Dataset:
        key = task, datasets.locate(task, bench.places)
        if key not in _datasets:
            _datasets[key] = open_task(task, bench)
        return _datasets[key]

    return opened
