"""Jobs of SLURM: one array, a result or a reason for each, and no more of them at a time than asked for.

The jobs import this file, so it imports nothing heavy.
"""

import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmark.errors import BenchmarkError, UsageError
from benchmark.runs.slurm import LOCAL, SlurmExecutor

submitit_leaves_files_open = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


def lost(task: Any, why: str) -> Any:
    return "lost", task, why


SBATCH = """
import os, re, subprocess, sys
script = open(sys.argv[-1]).read()
open(os.environ["FAKE_SLURM_LOG"], "w").write(script)
first, last = re.search(r"--array=(\\d+)-(\\d+)", script).groups()
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
one = {"SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}
for number in range(int(first), int(last) + 1):
    slot = {"SLURM_JOB_ID": "42", "SLURM_ARRAY_JOB_ID": "42", "SLURM_ARRAY_TASK_ID": str(number)}
    subprocess.Popen(["bash", sys.argv[-1]], env=os.environ | one | slot, **quiet)
print("Submitted batch job 42")
"""
SRUN = """
import os, sys
command = sys.argv[sys.argv.index(sys.executable):]
os.execv(command[0], command)
"""


@pytest.fixture
def fake_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands of SLURM's names that run the jobs of an array here. Returns the script that sbatch will have got."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, body in {"sbatch": SBATCH, "srun": SRUN, "sacct": "print('JobID|State')", "scancel": ""}.items():
        (folder / name).write_text(f"#!{sys.executable}\n{body}")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM_LOG", str(tmp_path / "submitted.sh"))
    return tmp_path / "submitted.sh"


def double_or_exit(task: int, step: Callable[[int], None]) -> int:  # noqa: ARG001
    if task == 3:
        sys.exit(0)
    if task == 4:
        raise ValueError("four is refused")
    return 2 * task


@pytest.mark.slow
@submitit_leaves_files_open
def test_one_array_of_slurm(fake_slurm: Path, tmp_path: Path) -> None:
    parameters: dict[str, str | int] = {"partition": "gpu", "timeout_min": 600}
    jobs = SlurmExecutor(tmp_path / "jobs", 2, lost, cpus=3, gpus=1, parameters=parameters)
    found = dict(jobs(double_or_exit, [1, 2], on_progress=lambda _: None))
    assert found == {1: 2, 2: 4}
    wanted = ("--array=0-1%2", "--partition=gpu", "--time=600", "--cpus-per-task=3", "--gpus-per-node=1")
    assert [option for option in wanted if option not in fake_slurm.read_text()] == []


@pytest.mark.slow
@submitit_leaves_files_open
def test_a_job_that_ends_without_a_result_is_named(tmp_path: Path) -> None:
    """submitit calls even `sys.exit(0)` an error, and its local cluster takes no notice of a limit on an array."""
    jobs = SlurmExecutor(tmp_path / "jobs", 3, lost, cluster=LOCAL)
    found: dict[int, Any] = dict(jobs(double_or_exit, range(5), on_progress=lambda _: None))
    assert {task: found[task] for task in range(3)} == {0: 0, 1: 2, 2: 4}
    for task, said in ((3, "ended without a result"), (4, "four is refused")):
        what, which, why = found[task]
        assert (what, which) == ("lost", task)
        assert said in why


def hold_a_place(folder: str, task: int, step: Callable[[int], None]) -> int:  # noqa: ARG001
    for place in range(2):
        path = Path(folder) / str(place)
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        sum(range(3_000_000))
        path.unlink()
        return task
    raise RuntimeError("a third job at a time")


@pytest.mark.slow
@submitit_leaves_files_open
def test_no_more_jobs_at_a_time_than_asked_for(tmp_path: Path) -> None:
    (tmp_path / "places").mkdir()
    jobs = SlurmExecutor(tmp_path / "jobs", 2, lost, cluster=LOCAL)
    found = dict(jobs(partial(hold_a_place, str(tmp_path / "places")), range(6), on_progress=lambda _: None))
    assert found == {task: task for task in range(6)}


def test_without_slurm(tmp_path: Path) -> None:
    if shutil.which("srun"):
        pytest.skip("this machine has SLURM")
    with pytest.raises(BenchmarkError, match=r"--executor slurm: .*run this where sbatch is"):
        list(SlurmExecutor(tmp_path, 1, lost)(double_or_exit, [1], on_progress=lambda _: None))


@pytest.mark.usefixtures("fake_slurm")
@pytest.mark.parametrize("parameters", [{"particion": "gpu"}, {"timeout_min": "soon"}], ids=str)
def test_parameters_that_submitit_does_not_know(tmp_path: Path, parameters: dict[str, str | int]) -> None:
    with pytest.raises(UsageError, match=rf"--slurm: .*{next(iter(parameters))}"):
        list(SlurmExecutor(tmp_path / "jobs", 1, lost, parameters=parameters)(double_or_exit, [1], on_progress=print))
