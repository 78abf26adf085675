"""Run composers on tasks, and find the records."""

from pathlib import Path

from benchmark.recipe.identity import Run
from benchmark.runs.grid import Finished, plan, run_all
from benchmark.runs.single_run import Bench

Wanted = tuple[str, str, int]
"""Composer, task and seed."""


def runs(bench: Bench, *wanted: Wanted) -> list[Finished]:
    return [
        finished
        for composer, task, seed in wanted or (("tirg", "css", 0),)
        for finished in run_all(plan([composer], [task], [seed], bench), bench)
    ]


def the_run(bench: Bench) -> Run:
    (run,) = plan(["tirg"], ["css"], [0], bench).runs
    return run


def the_record(bench: Bench) -> Path:
    path = the_run(bench).identity.find(bench.records)
    assert path is not None
    return path


def reproducible(finished: Finished) -> dict[str, object]:
    assert finished.record is not None, finished.traceback
    return finished.record.reproducible()
