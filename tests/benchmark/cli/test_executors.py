"""The options of `tirg-bench run` that say where runs are made."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark.runs import side_by_side
from benchmark.runs.grid import Finished, Plan
from benchmark.runs.single_run import Bench
from benchmark.runs.slurm import SlurmExecutor
from benchmark.tasks.css import Css
from benchmark.training.progress import SilentRuns
from css_gen.ray_executor import RayExecutor
from tests.benchmark.cli.invoking import TirgBench
from tests.benchmark.tiny import TINY

RUN = ["run", "--composer=concat", "--composer=tirg", "--dataset=css"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--address=auto"], "--executor ray"),
        (["--slurm=partition=gpu"], "--executor slurm"),
        (["--gpu-share=0.5"], "--gpu-share"),
        (["--gpu-share=0.5", "--executor=slurm"], "whole GPUs"),
        (["--gpu-share=1", "--executor=ray", "--device=cpu"], "--device cpu"),
        (["--executor=ray", "--device=cuda:1"], "--device cuda:1"),
        (["--executor=ray", "--minutes=5"], "--minutes"),
        (["--executor=slurm", "--slurm=partition"], "KEY=VALUE"),
        (["--executor=ray", "--gpu-share=0"], "--gpu-share"),
        (["--executor=spark"], "spark"),
    ],
    ids=" ".join,
)
def test_what_does_not_go_together(tirg_bench: TirgBench, options: list[str], said: str) -> None:
    result = tirg_bench(*RUN, *options)
    assert result.exit_code == 2, result.output
    assert said in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `run_side_by_side` is asked for; it makes nothing."""
    found: dict[str, Any] = {}

    def instead(planned: Plan, bench: Bench, files: Any, *, executor: Any) -> Iterator[Finished]:
        found.update(runs=len(planned.runs), bench=bench, files=files, executor=executor)
        yield from (Finished(run, None, "not made") for run in planned.runs)

    monkeypatch.setattr(side_by_side, "run_side_by_side", instead)
    return found


@pytest.mark.parametrize(
    ("options", "device", "executor"),
    [
        (["--executor=ray", "--jobs=2"], "cpu", RayExecutor(None, 2, cpus=3)),
        (["--executor=ray", "--address=auto", "--gpu-share=0.25"], "cuda", RayExecutor("auto", 1, cpus=3, gpus=0.25)),
        (
            ["--executor=slurm", "--gpu-share=1", "--slurm=partition=gpu", "--slurm=timeout_min=600"],
            "cuda",
            SlurmExecutor(
                Path("runs/slurm"), 1, print, cpus=3, gpus=1, parameters={"partition": "gpu", "timeout_min": 600}
            ),
        ),
    ],
    ids=["ray", "ray on GPUs", "slurm on GPUs"],
)
def test_the_executor_that_is_made(
    tirg_bench: TirgBench, css_root: Path, asked: dict[str, Any], options: list[str], device: str, executor: Any
) -> None:
    """GPUs are the cluster's: this machine need not have one."""
    result = tirg_bench(*RUN, f"--data=css={css_root}", "--threads=3", *options, *TINY)
    assert result.exit_code == 1, result.output
    assert "not made" in result.output
    assert asked["runs"] == 2
    made = asked["executor"]
    assert type(made) is type(executor)
    assert vars(made) | {"lost": None} == vars(executor) | {"lost": None}
    assert asked["bench"].device == device
    assert asked["bench"].runtime.threads == 3


def test_a_lost_run_is_a_failure_of_that_run(tirg_bench: TirgBench, css_root: Path, asked: dict[str, Any]) -> None:
    tirg_bench(*RUN, f"--data=css={css_root}", "--executor=ray", *TINY)
    failed = asked["executor"].lost(("[1/2] tirg", "the run"), "Ray lost its worker")
    assert failed == Finished("the run", None, "Ray lost its worker; run the same command again to resume")  # type: ignore[arg-type]


def test_fresh_test_sets_are_where_all_machines_see_them(
    tirg_bench: TirgBench, css_root: Path, css: Css, asked: dict[str, Any]
) -> None:
    tirg_bench(*RUN, f"--data=css={css_root}", "--executor=ray", *TINY)
    bench = asked["bench"]
    assert bench.fresh is not None
    folder = bench.fresh.render(css, SilentRuns())
    assert folder is not None
    assert folder.parent == Path("runs")
