"""Runs that are made two at a time are the runs that are made one after the other."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.recipe.changes import override
from benchmark.runs.grid import plan, run_all
from benchmark.runs.side_by_side import run_side_by_side
from benchmark.runs.single_run import Bench


@pytest.mark.slow
def test_two_at_a_time_make_the_same_records_and_skip_those_that_are_there(bench: Bench, tmp_path: Path) -> None:
    base = override(bench.base, ["training.steps=2"])
    alone = replace(bench, base=base, runtime=bench.runtime.model_copy(update={"threads": 1}))
    two = replace(
        alone,
        runtime=alone.runtime.model_copy(update={"jobs": 2}),
        leaderboards=tmp_path / "two",
        runs=tmp_path / "two-runs",
    )
    composers = ["concat", "image_only"]
    expected = {one.run: one.record for one in run_all(plan(composers, ["css"], [0], alone), alone)}
    for is_new in (True, False):
        found = {one.run: one for one in run_side_by_side(plan(composers, ["css"], [0], two), two)}
        assert found.keys() == expected.keys()
        for run, one in found.items():
            record = expected[run]
            assert one.failure is None
            assert one.is_new is is_new
            assert one.record is not None
            assert record is not None
            assert one.record.metrics == record.metrics
            assert one.record.environment.runtime.jobs == 2
            assert record.environment.runtime.jobs == 1
