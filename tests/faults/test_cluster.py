"""A machine of a Ray cluster is killed in rendering and in training; bytes and records are those of one machine.

The cluster is of two raylets on this machine. `make test-faults` renders 20,000 images and trains four runs of `quick`.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.commands import Process, Started
from tests.faults.undisturbed import TRAIN, Contents, Measured, Undisturbed

ray: Any = pytest.importorskip("ray", reason="Ray is not installed: pip install 'css-bench[ray]'")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray leaves files and sockets of its own open
]

IS_LARGE = "FAULTS" in os.environ
RENDER = ("css-gen", "render", "--seed", 3, *(("--n", 20_000) if IS_LARGE else ("--n", 1_500, "--size", 32)))
QUICK = (
    "tirg-bench", "run", "--composer", "tirg", "--composer", "concat", "--dataset", "css", "--threads", 1,
    "--preset", "quick", "--checkpoint-seconds", 2,
)  # fmt: skip
RUNS = (*(QUICK if IS_LARGE else TRAIN), "--seeds", "0,1")


def test_a_machine_is_killed_in_rendering_and_in_training(cluster: Any, tmp_path: Path, contents: Contents) -> None:
    def here(name: str) -> tuple[object, ...]:
        return (*RUNS, "--data", f"css={tmp_path / name}/css", "--out", tmp_path / name / "boards",
                "--runs", tmp_path / name / "runs")  # fmt: skip

    def finish(*words: object) -> None:
        process = Started(*words, folder=tmp_path)
        assert process.wait() == 0, process.output

    def with_a_loss(begun: Callable[[], bool], *words: object) -> None:
        """Run a command on the cluster; kill its second machine when the work has begun."""
        machine = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        process = Started(*words, "--executor", "ray", "--address", cluster.address, folder=tmp_path)
        _wait_until(begun, process)
        cluster.remove_node(machine, allow_graceful=False)
        assert process.wait() == 0, process.output

    alone, shared = tmp_path / "alone", tmp_path / "shared"
    finish(*RENDER, "--out", alone / "css")
    with_a_loss(lambda: len([*shared.glob("css/*/*.parquet")]) > 1, *RENDER, "--out", shared / "css")
    expected = Undisturbed(None, Measured(alone / "css", 0, 0), Measured(alone, 0, 0), contents)  # type: ignore[arg-type]
    assert not expected.in_data(shared / "css")

    finish(*here("alone"))
    with_a_loss(lambda: len([*shared.glob("runs/**/training.safetensors")]) > 1, *here("shared"), "--jobs", 2)
    assert len([*shared.glob("boards/records/*/*/*.json")]) == 4
    assert not expected.in_run(shared)


def _wait_until(begun: Callable[[], bool], process: Process) -> None:
    while not begun():
        assert process.wait(0.02) is None, process.output
