"""Runs within a limit of time: which run to make next, and when to stop."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from time import monotonic

from benchmark.datasets.splits import Dataset
from benchmark.recipe.identity import Run
from benchmark.records.environment import device_name
from benchmark.runs.grid import Finished, Plan, finish, run_all
from benchmark.runs.single_run import Bench, parts_of

FIRST = "tirg"
"""The composer of each board that is trained first, because the others are compared with it."""

SLACK = 1.1
"""How much longer than the longest run of its composer a run is expected to take."""


def by_priority(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Order runs, the most wanted first: tasks on the feature map before those on the pooled vector, a seed of every
    board before the next seed, TIRG before the other composers; tasks and composers otherwise as they come.
    """
    tasks = list(dict.fromkeys(run.task for run in runs))
    return tuple(
        sorted(runs, key=lambda run: (not run.spatial, run.seed, tasks.index(run.task), run.composer != FIRST))
    )


def expected_seconds(run: Run, seconds: Mapping[Run, float]) -> float:
    """How long a run should take at most, by those that were measured: the longest one of its composer, or of all if
    its composer has none. 0 if nothing was measured.
    """
    own = [took for other, took in seconds.items() if other.composer == run.composer]
    return SLACK * max(own or seconds.values(), default=0.0)


def next_run(runs: Sequence[Run], done: Collection[Run], seconds: Mapping[Run, float], left: float) -> Run | None:
    """The first run that is not done and is expected to end in time; None if there is none.

    A run that is expected to take too long is left for another allocation, and a shorter one further down takes the
    rest of the time.

    Args:
        runs: the most wanted first.
        done: those with a record, and those that failed.
        seconds: how long runs took.
        left: seconds that are left.
    """
    if left <= 0:
        return None
    missing = (run for run in runs if run not in done)
    return next((run for run in missing if expected_seconds(run, seconds) <= left), None)


def prepare(run: Run, dataset: Dataset, bench: Bench) -> None:
    """Read the splits of a run's task, decode their images, and render its fresh test set, all of which are kept.

    What is wrong with them is reported by the run itself.
    """
    with suppress(Exception):
        parts_of(dataset, run.recipe)
        if bench.fresh is not None:
            bench.fresh.of(dataset, image_size=run.recipe.data.image_size, reporter=bench.reporter)


def run_within(
    planned: Plan, bench: Bench, seconds: float, *, clock: Callable[[], float] = monotonic
) -> Iterator[Finished]:
    """Make the runs that have no record yet, by priority, as long as they are expected to end in time.

    Records of the same kind of device say how long a run takes. Without any, the first run is made in any case. What
    the runs of a task share is prepared before the first of them, so that no run seems to take longer than the others.
    A run that takes longer than expected is not stopped. One that fails does not stop the rest.

    Args:
        seconds: from now on.
        clock: seconds from any moment on.
    """
    end = clock() + seconds
    runs, device = by_priority(planned.runs), device_name(bench.device)
    recorded = () if bench.replace else tuple(run for run in runs if run.identity.find(bench.records))
    done: set[Run] = set()
    took: dict[Run, float] = {}

    def note(finished: Finished) -> Finished:
        done.add(finished.run)
        if finished.record and finished.record.environment.device == device:
            took[finished.run] = finished.record.training.wall_seconds
        return finished

    yield from map(note, run_all(replace(planned, runs=recorded), bench))
    prepared: set[str] = set()
    while run := next_run(runs, done, took, end - clock()):
        if run.task not in prepared:
            prepared.add(run.task)
            prepare(run, planned.datasets[run.task], bench)
        left = end - clock()
        title = f"[{len(done) + 1}/{len(runs)}, {left:.0f} s left] {run}"
        begun = clock()
        finished = note(finish(run, partial(planned.datasets.__getitem__, run.task), bench, title))
        if run in took:  # a record's seconds are without its fresh test set
            took[run] = max(took[run], clock() - begun)
        yield finished
    if missing := [run for run in runs if run not in done]:
        bench.reporter.message(
            f"{len(missing)} of {len(runs)} runs do not fit into the {max(0.0, end - clock()):.0f} s that are left; "
            f"the same command makes them, {missing[0]} first"
        )
