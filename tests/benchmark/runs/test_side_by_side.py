"""Runs that are made two at a time, on Ray or as jobs of SLURM are the runs that are made one after the other."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.recipe.changes import override
from benchmark.runs.grid import Finished, plan, run_all
from benchmark.runs.side_by_side import run_side_by_side
from benchmark.runs.single_run import Bench
from benchmark.runs.slurm import DEBUG, SlurmExecutor
from css_gen.pool import Executor
from css_gen.ray_executor import RayExecutor

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install 'css-bench[ray]'"
)
submitit_leaves_files_open = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
COMPOSERS = ["concat", "image_only"]


def lost(task: Any, why: str) -> Any:
    return "lost", task, why


@pytest.fixture
def here(bench: Bench) -> Bench:
    base = override(bench.base, ["training.steps=2"])
    return replace(bench, base=base, runtime=bench.runtime.model_copy(update={"threads": 1}))


@pytest.fixture
def elsewhere(here: Bench, tmp_path: Path) -> Bench:
    return replace(here, leaderboards=tmp_path / "elsewhere", runs=tmp_path / "elsewhere-runs")


def run(bench: Bench, executor: Executor) -> dict[str, Finished]:
    made = run_side_by_side(plan(COMPOSERS, ["css"], [0], bench), bench, executor=executor)
    return {one.run.composer: one for one in made}


def assert_same_records(found: dict[str, Finished], here: Bench, *, is_new: bool) -> None:
    expected = {one.run.composer: one for one in run_all(plan(COMPOSERS, ["css"], [0], here), here)}
    assert found.keys() == expected.keys() == set(COMPOSERS)
    for composer, one in found.items():
        record, other = one.record, expected[composer].record
        assert one.failure is None
        assert record is not None
        assert other is not None
        assert one.is_new is is_new
        assert record.metrics == other.metrics
        assert record.weights_sha256 == other.weights_sha256
        assert record.identity == other.identity
        assert record.environment.runtime == other.environment.runtime


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


@submitit_leaves_files_open
def test_jobs_of_submitit_make_the_same_records(here: Bench, elsewhere: Bench, tmp_path: Path) -> None:
    jobs = SlurmExecutor(tmp_path / "jobs", 2, lost, cluster=DEBUG)
    for is_new in (True, False):
        assert_same_records(run(elsewhere, jobs), here, is_new=is_new)


@submitit_leaves_files_open
def test_a_run_that_fails_elsewhere_stops_no_other(elsewhere: Bench, tmp_path: Path) -> None:
    broken = elsewhere.runs / "css" / "concat"
    broken.parent.mkdir(parents=True)
    broken.write_text("a file where a folder belongs")
    found = run(elsewhere, SlurmExecutor(tmp_path / "jobs", 2, lost, cluster=DEBUG))
    assert found["concat"].record is None
    assert str(broken) in str(found["concat"].failure)
    assert found["image_only"].record is not None


@needs_ray
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray leaves files and sockets of its own open
def test_ray_makes_the_same_records_when_a_machine_is_lost(here: Bench, elsewhere: Bench, cluster: Any) -> None:
    """Threads are those of the settings, not the one that Ray gives a worker."""
    two = here.runtime.model_copy(update={"threads": 2})
    here, elsewhere = replace(here, runtime=two), replace(elsewhere, runtime=two)
    second = cluster.add_node(num_cpus=2, resources={"second": 1})
    cluster.wait_for_nodes()
    planned = plan(COMPOSERS, ["css"], [0], elsewhere)
    on_ray = RayExecutor(cluster.address, cpus=1, lost=lost)
    made = run_side_by_side(planned, elsewhere, executor=on_ray)
    found = [next(made)]
    cluster.remove_node(second, allow_graceful=False)
    found += made
    assert_same_records({one.run.composer: one for one in found}, here, is_new=True)
