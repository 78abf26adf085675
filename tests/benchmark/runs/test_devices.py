"""Runs that several processes make together, from the command line: records, interruptions, and what is refused."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from benchmark.cli.main import main
from benchmark.recipe.runtime import Runtime
from benchmark.runs import single_run
from benchmark.runs.grid import Finished, plan, run_all
from benchmark.runs.single_run import CHECKPOINT_NAME, Bench
from benchmark.scoring.processes import Processes
from benchmark.training.checkpoint import Checkpoint
from tests.benchmark.tiny import TINY

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(css_root: Path, tmp_path: Path) -> Invoke:
    def run(*options: str) -> Result:
        places = [f"--data=css={css_root}", f"--out={tmp_path / 'boards'}", f"--runs={tmp_path / 'runs'}"]
        return CliRunner().invoke(
            main, ["run", "--composer=tirg", "--dataset=css", "--device=cpu", "--no-fresh", *places, *TINY, *options]
        )

    return run


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--devices=2", "--jobs=2"], "--devices 2 makes one run at a time, here: leave --jobs and --executor out"),
        (["--devices=2", "--executor=ray"], "--devices 2 makes one run at a time, here: leave --jobs and --executor"),
        (["--devices=3"], "a batch on css has 2 source images, which 3 processes cannot share equally; choose another"),
        (["--devices=2", "--compile"], "--devices 2: a network that processes share is not compiled"),
        (["--devices=0"], "0 is not in the range 1<=x<=64"),
    ],
)
def test_what_cannot_be_shared_is_refused(invoke: Invoke, options: list[str], expected: str) -> None:
    result = invoke(*options)
    assert result.exit_code == 2
    assert expected in " ".join(result.output.split())


def test_gpus_that_are_not_there_are_refused(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert "--devices 2: torch sees 1 GPU here" in invoke("--devices=2", "--device=cuda").output
    assert (
        "--device cuda:0: --devices 2 uses the first 2 GPUs; use cuda"
        in invoke("--devices=2", "--device=cuda:0").output
    )


def test_a_submission_has_one_device() -> None:
    result = CliRunner().invoke(main, ["submit", "a.py", "--author=A", "--url=https://example.org", "--devices=2"])
    assert result.exit_code == 2
    assert "a submission is trained on one device" in result.output


def make(bench: Bench, devices: int, where: Path) -> Finished:
    runtime = Runtime(threads=1, validate_every=4, checkpoint_seconds=0, batch_size=16, devices=devices)
    here = replace(bench, runtime=runtime, leaderboards=where / "boards", runs=where / "runs")
    (finished,) = run_all(plan(["val"], ["css"], [0], here), here)
    return finished


@pytest.mark.slow
def test_two_processes_make_the_record_of_one(bench: Bench, tmp_path: Path) -> None:
    one, two = (make(bench, devices, tmp_path / str(devices)).record for devices in (1, 2))
    assert one
    assert two
    assert two.environment.runtime.devices == 2
    assert two.recipe_hash == one.recipe_hash
    assert two.training.final_loss == pytest.approx(one.training.final_loss, rel=1e-3)
    assert [point.step for point in two.curve] == [point.step for point in one.curve]
    assert two.metrics.recall[1] == pytest.approx(one.metrics.recall[1], abs=1)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["by the person", "by the end of the other process"])
def test_an_interrupted_run_resumes(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    expected = make(bench, 2, tmp_path / "whole").record
    real_reported, real_together = single_run.reported, single_run.together
    others: list[Any] = []

    @contextmanager
    def together(*arguments: Any) -> Iterator[Processes]:
        import multiprocessing

        with real_together(*arguments) as processes:
            others.extend(multiprocessing.active_children())
            yield processes

    @contextmanager
    def interrupting(*arguments: Any) -> Iterator[Any]:
        with real_reported(*arguments) as show:

            def interrupt(progress: Any) -> None:
                show(progress)
                if progress.step == 4 and how == "by the person":
                    raise KeyboardInterrupt
                if progress.step == 4:
                    os.kill(others[0].pid, signal.SIGKILL)

            yield interrupt

    monkeypatch.setattr(single_run, "together", together)
    monkeypatch.setattr(single_run, "reported", interrupting)
    if how == "by the person":
        with pytest.raises(KeyboardInterrupt):
            make(bench, 2, tmp_path / "cut")
    else:
        failure = make(bench, 2, tmp_path / "cut").failure
        assert failure
        assert "one of the 2 processes of this run ended early (exit code -9); run the same command again" in failure
    assert not others[0].is_alive()
    monkeypatch.undo()
    assert expected
    (folder,) = (tmp_path / "cut" / "runs").glob("css/val/*")
    done = Checkpoint.read(folder / CHECKPOINT_NAME).steps
    assert 0 < done < 6
    again = make(bench, 2, tmp_path / "cut").record
    assert again
    assert again.weights_sha256 == expected.weights_sha256
