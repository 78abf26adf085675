"""A grid of runs: those with a record are skipped, interrupted ones resume, and a failure does not stop the rest."""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import models
from benchmark import tasks as datasets
from benchmark.datasets.splits import Dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.recipe.identity import Run
from benchmark.records.code_version import code_version, composer_sha256
from benchmark.records.store import RunRecord, StoredRecord
from benchmark.runs.earlier import earlier_record, held, outdated
from benchmark.runs.single_run import CHECKPOINT_NAME, MODEL_NAME, Bench, make_record, run_folder
from benchmark.training.parts import require_parts
from models.parts import unknown
from models.registry import get


@dataclass(frozen=True)
class Plan:
    """Runs in their order, and the open datasets by the name of the task."""

    runs: tuple[Run, ...]
    datasets: Mapping[str, Dataset]


@dataclass(frozen=True)
class Finished:
    """The outcome of a run: its record, which may be from before, or why there is none."""

    run: Run
    record: RunRecord | None
    failure: str | None = None
    traceback: str | None = None
    is_new: bool = True


def require_known(composers: Sequence[str], tasks: Sequence[str], bench: Bench) -> None:
    """See that everything that has a name exists, and that folders can be written to, before any data is read.

    Raises:
        UsageError: a composer, a task or a part of a recipe is unknown; the message offers the nearest.
        BenchmarkError: a folder cannot be written to, or pretrained weights cannot be read.
    """
    for composer in composers:
        if composer not in models.names():
            raise UsageError(unknown("composer", composer, models.names()))
        composer_sha256(get(composer))  # before training, because the file may be edited meanwhile
    for task in tasks:
        code_version(datasets.get(task).name)  # the same of the shared code
    for recipe in {bench.recipe(task) for task in tasks}:
        require_parts(recipe)
    require_writable(bench)


def plan(composers: Sequence[str], tasks: Sequence[str], seeds: Sequence[int], bench: Bench) -> Plan:
    """Open the datasets and list every combination, seed by seed, so that a whole board is there early.

    Raises:
        UsageError: as `require_known`.
        BenchmarkError: as `require_known`, or a dataset cannot be opened.
    """
    require_known(composers, tasks, bench)
    opened = {task: open_task(task, bench) for task in tasks}
    runs = (
        Run(task, composer, bench.recipe(task), seed, opened[task].fingerprint, opened[task].spatial)
        for seed, task, composer in product(seeds, tasks, composers)
    )
    return Plan(tuple(runs), opened)


def open_task(task: str, bench: Bench) -> Dataset:
    """Open the dataset of a task; say so if the recipe asks for more pixels than were rendered.

    Raises:
        BenchmarkError: it cannot be opened.
    """
    place, size = datasets.locate(task, bench.places), bench.recipe(task).data.image_size
    opener = datasets.get(task).open
    dataset = opener(place, image_size=size, reporter=bench.reporter, skip_broken=bench.skip_broken)
    rendered = (dataset.rendering or {}).get("size", size)
    if size > rendered:
        bench.reporter.message(
            f"{task}: data.image_size is {size}, but {place} was rendered with {rendered} pixels; images are enlarged, "
            f"which adds no detail (`css-gen render --size {size}` renders larger ones)"
        )
    return dataset


def run_all(planned: Plan, bench: Bench, describe: Callable[[Run], str] = str) -> Iterator[Finished]:
    """Make each run that has no record yet. One that fails does not stop the rest.

    A damaged record is a failure, and one that was made by other code is kept and reported: `bench.replace` makes both
    again. Nothing else is ever replaced.

    Args:
        describe: how messages name a run.
    """
    for number, run in enumerate(planned.runs, start=1):
        opened = partial(planned.datasets.__getitem__, run.task)
        yield finish(run, opened, bench, f"[{number}/{len(planned.runs)}] {describe(run)}")


def finish(run: Run, opened: Callable[[], Dataset], bench: Bench, title: str) -> Finished:
    """Make one run, unless it has a record. Its failure is returned.

    Args:
        opened: gives the dataset; called only if the run is made.
        title: what messages name it by.
    """
    try:
        if stored := _still_good(run, bench, title):
            _forget_checkpoint(run_folder(run, bench.runs))
            return Finished(run, stored.record, is_new=False)
        with held(run_folder(run, bench.runs), bench.reporter.message):
            return Finished(run, make_record(run, opened(), bench, title))
    except Exception as error:
        failure = " ".join(failure_of(error).split())
        bench.reporter.message(f"{title}: FAILED, {failure}")
        return Finished(run, None, failure, traceback.format_exc())


def _forget_checkpoint(folder: Path) -> None:
    """Remove the checkpoint of a finished run, whose process was killed after it had written the record."""
    if (folder / CHECKPOINT_NAME).exists() and (folder / MODEL_NAME).exists():
        with suppress(BenchmarkError, OSError), held(folder):
            (folder / CHECKPOINT_NAME).unlink(missing_ok=True)


def _still_good(run: Run, bench: Bench, title: str) -> StoredRecord | None:
    """The record of this very run, unless it is to be made again."""
    try:
        stored = earlier_record(run.identity, bench.records)
    except BenchmarkError as error:
        if not bench.replace:
            raise BenchmarkError(f"{error}; --replace makes it again") from None
        bench.reporter.message(f"{title}: replaces a record ({error})")
        return None
    if stored is None:
        return None
    what = outdated(stored.record, composer_sha256(get(run.composer)))
    if what and bench.replace:
        bench.reporter.message(f"{title}: replaces a record of {what}")
        return None
    of = f" of {what}; --replace makes it again" if what else ""
    bench.reporter.message(f"{title}: has a record{of}, R@1 {stored.record.metrics.recall[1]:.1f}")
    return stored


def failure_of(error: Exception) -> str:
    """Describe an error in one line for the user; an error of the operating system with its file."""
    if isinstance(error, BenchmarkError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"


def require_writable(bench: Bench) -> None:
    """Raises BenchmarkError if records, tables or runs cannot be written."""
    tables: list[tuple[Path, str]] = [(bench.leaderboards, "--out")] if bench.is_on_leaderboard else []
    for folder, option in (*tables, (bench.records, "--out"), (bench.runs, "--runs")):
        probe = folder / ".writable"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink(missing_ok=True)
        except OSError as error:
            why = error.strerror or "not a folder"
            raise BenchmarkError(
                f"{folder} cannot be written to ({why}); choose another folder with {option}"
            ) from None
