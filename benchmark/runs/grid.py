"""A grid of runs: what is there is skipped, what was interrupted goes on, what fails does not stop the rest."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from filelock import FileLock, Timeout

import models
from benchmark import tasks as datasets
from benchmark.recipe.config import unknown
from benchmark.datasets.splits import Dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.records.finished_run import recipe_of
from benchmark.records.store import RunRecord, StoredRecord, configuration_hash, read_stored, record_path
from benchmark.runs.single_run import Bench, Run, make_record, run_folder
from benchmark.training.parts import require_parts


@dataclass(frozen=True)
class Finished:
    """What became of a run: its record, which may be from before, or why there is none."""

    run: Run
    record: RunRecord | None
    failure: str | None = None
    traceback: str | None = None
    is_new: bool = True


def grid(composers: Sequence[str], dataset_names: Sequence[str], seeds: Sequence[int]) -> list[Run]:
    """Every combination, seed by seed, so that a whole board stands early.

    Raises:
        UsageError: a composer or dataset is unknown; the message offers the nearest.
    """
    for composer in composers:
        if composer not in models.names():
            raise UsageError(unknown("composer", composer, models.names()))
    for name in dataset_names:
        datasets.info(name)
    return [Run(composer, name, seed) for seed, name, composer in product(seeds, dataset_names, composers)]


def run_all(runs: Sequence[Run], bench: Bench) -> Iterator[Finished]:
    """Make each run that has no valid record of the same configuration yet. One that fails does not stop the rest.

    Raises:
        BenchmarkError: before any run, if a dataset cannot be opened, a folder cannot be written to, or the image
            encoder or its pretrained weights cannot be had.
    """
    require_writable(bench)
    for config in {bench.recipe(run.dataset) for run in runs}:
        require_parts(config)
    opened: dict[str, Dataset] = {}
    for run in runs:
        if run.dataset not in opened:
            place = datasets.locate(run.dataset, bench.places)
            opened[run.dataset] = datasets.info(run.dataset).open(
                place,
                image_size=bench.recipe(run.dataset).data.image_size,
                reporter=bench.reporter,
                skip_broken=bench.skip_broken,
            )
    for number, run in enumerate(runs, start=1):
        yield _finish(run, opened[run.dataset], bench, f"[{number}/{len(runs)}] {run}")


def _finish(run: Run, dataset: Dataset, bench: Bench, title: str) -> Finished:
    if stored := valid_record(run, dataset, bench, bench.records):
        record = stored.record
        bench.reporter.message(f"{title}: has a record, R@1 {record.metrics.recall[1]:.1f}")
        return Finished(run, record, is_new=False)
    folder = run_folder(run, bench)
    try:
        with held(folder):
            record = make_record(run, dataset, bench, title)
    except Exception as error:
        what = str(error) if isinstance(error, BenchmarkError) else f"{type(error).__name__}: {error}"
        failure = " ".join(what.split())
        bench.reporter.message(f"{title}: FAILED, {failure}")
        return Finished(run, None, failure, traceback.format_exc())
    return Finished(run, record)


def valid_record(run: Run, dataset: Dataset, bench: Bench, records: Path) -> StoredRecord | None:
    """The record of this very run under `records`, if it is there and agrees with itself."""
    config = bench.recipe(run.dataset)
    path = record_path(records, protocol=run.dataset, composer=run.composer, preset=config.preset, seed=run.seed)
    if not path.exists():
        return None
    try:
        stored = read_stored(path)
    except BenchmarkError as error:
        bench.reporter.message(f"{error}; it is made anew")
        return None
    wanted = configuration_hash(
        recipe_of(config),
        protocol=run.dataset,
        composer=run.composer,
        dataset_fingerprint=dataset.fingerprint,
    )
    return stored if stored.record.configuration_hash == wanted else None


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep others from making the same run at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise BenchmarkError(f"another tirg-bench is at work in {folder}; wait for it, or use --runs") from None


def require_writable(bench: Bench) -> None:
    """Raises BenchmarkError if records, tables or runs cannot be written."""
    tables = [(bench.leaderboards, "--out")] if bench.is_on_leaderboard else []
    for folder, option in (*tables, (bench.records, "--out"), (bench.runs, "--runs")):
        probe = folder / ".writable"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink(missing_ok=True)
        except OSError as error:
            why = error.strerror or "it is no folder"
            raise BenchmarkError(
                f"{folder} cannot be written to ({why}); choose another folder with {option}"
            ) from None
