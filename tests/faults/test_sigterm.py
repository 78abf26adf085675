"""SIGTERM, as a scheduler sends it before it kills: one line, exit code 143, a checkpoint; the same command resumes."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from benchmark.training.checkpoint import Checkpoint
from css_gen import termination
from tests.faults.commands import Started
from tests.faults.conftest import times
from tests.faults.undisturbed import Undisturbed, rendering, training

TERM = {"signal": int(signal.SIGTERM)}
LINE = "error: terminated; run the same command again to resume"


def without_checkpoints(place: Path) -> tuple[object, ...]:
    """The command with no checkpoint but the last one, so that any other is SIGTERM's."""
    return (*training(place), "--checkpoint-seconds", 10_000)


def test_a_rendering_ends_after_its_image(undisturbed: Undisturbed, tmp_path: Path) -> None:
    rng = np.random.default_rng(27)
    for number in range(times(2, share=0.2)):
        root = tmp_path / f"{number}"
        event = int(rng.integers(1, undisturbed.data.events))
        code, output = undisturbed.server.run(*rendering(root), fault=TERM | {"below": str(root), "event": event})
        assert code == 143, output
        assert output.splitlines()[-1] == f"css-gen: {LINE}"
        assert not list(root.rglob("*.partial"))
        code, output = undisturbed.server.run(*rendering(root))
        assert code == 0, output
        assert not undisturbed.in_data(root)


@pytest.mark.parametrize("step", [3, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 6))])
def test_a_training_writes_a_checkpoint(step: int, undisturbed: Undisturbed, tmp_path: Path) -> None:
    """Of the very step in which the signal came, which no other checkpoint is due at."""
    words = without_checkpoints(undisturbed.place(tmp_path))
    code, output = undisturbed.server.run(*words, fault=TERM | {"name": "torch.optim.AdamW.step", "call": step})
    assert code == 143, output
    assert output.splitlines()[-1] == f"tirg-bench: {LINE}"
    (checkpoint,) = tmp_path.glob("runs/**/training.safetensors")
    assert Checkpoint.read(checkpoint).steps == step
    assert not list(tmp_path.glob("boards/records/**/*.json"))
    code, output = undisturbed.server.run(*words)
    assert code == 0, output
    assert f"resumes after step {step}" in output
    assert not undisturbed.in_run(tmp_path)


def test_any_moment_of_a_run(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """Before training, in it, while a record or a table is written: 143, unless the command was done before."""
    rng = np.random.default_rng(28)
    for number in range(times(1, share=0.2)):
        place = undisturbed.place(tmp_path / f"{number}")
        words, event = without_checkpoints(place), int(rng.integers(1, undisturbed.run.events))
        code, output = undisturbed.server.run(*words, fault=TERM | {"below": str(place), "event": event})
        assert code in (0, 143), output
        assert "Traceback" not in output
        code, output = undisturbed.server.run(*words)
        assert code == 0, output
        assert not undisturbed.in_run(place)


@pytest.mark.slow
def test_the_whole_group_with_workers(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """As a batch system sends it: to the command and to all of its workers at once."""
    place, to_all = undisturbed.place(tmp_path), TERM | {"of": "worker", "to": "group"}
    for words, fault in (
        (rendering(place / "new", jobs=2), to_all | {"below": str(place / "new"), "event": 9}),
        ((*without_checkpoints(place), "--jobs", 2), to_all | {"name": "torch.optim.AdamW.step", "call": 3}),
    ):
        process = Started(*words, fault=fault, folder=tmp_path)
        assert process.wait() == 143, process.output
        assert process.output.splitlines()[-1].endswith(LINE)
        if words[0] == "tirg-bench":
            assert 3 in [Checkpoint.read(path).steps for path in place.glob("runs/**/training.safetensors")]
        process = Started(*words, folder=tmp_path)
        assert process.wait() == 0, process.output
    assert not undisturbed.in_data(place / "new")
    assert not undisturbed.in_run(place)


def send() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_the_signal_waits_only_where_it_is_asked_to() -> None:
    before, reached = signal.getsignal(signal.SIGTERM), []

    def twice() -> None:
        with termination.postponed():
            send()
            reached.append(termination.is_asked())
            send()
            reached.append("not this")

    def once() -> None:
        with termination.postponed():
            reached.append(termination.is_asked())
            send()
            reached.append("the end of the block")

    for block in (send, twice, once):
        with termination.handled(), pytest.raises(termination.Terminated):
            block()
        assert not termination.is_asked(), "what this process does next is not asked to end"
    assert reached == [True, False, "the end of the block"]
    assert signal.getsignal(signal.SIGTERM) is before
