"""Killed at any moment, again and again, rendering, training, evaluation and tables end as if nothing had happened."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.campaign import Moments, kill_until
from tests.faults.commands import KILLED, Fault, Process, Started, children
from tests.faults.conftest import times
from tests.faults.undisturbed import Undisturbed, rendering, training

CALLS = (
    ("torch.optim.AdamW.step", 12),
    ("benchmark.runs.single_run.evaluate", 6),
    ("benchmark.scoring.evaluation.rank_targets", 12),
    ("benchmark.leaderboard.files.load_records", 3),
    ("benchmark.leaderboard.files.write_atomically", 15),
)
"""Functions of training, evaluation and the writing of tables, and about how often a run calls each."""


def test_rendering(undisturbed: Undisturbed, tmp_path: Path) -> None:
    data = undisturbed.data
    kill_until(
        times(3),
        name="rendering, kill -9 of the process",
        start=lambda place, fault: undisturbed.server.start(*rendering(place / "css"), fault=fault),
        moments=Moments(data.events, data.seconds, data.largest),
        folder=tmp_path,
        compare=lambda place: undisturbed.in_data(place / "css"),
        seed=19,
    )


def test_force_over_a_rendering_that_was_killed(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """`--force` starts over in a folder whose rendering was killed, and is killed, too, at each of its first events."""
    root, server = tmp_path / "css", undisturbed.server
    below = {"signal": int(signal.SIGKILL), "below": str(tmp_path)}
    for event in range(1, 61, max(1, 60 // times(2, share=0.3))):
        assert server.run(*rendering(root), fault=below | {"event": 40})[0] == KILLED
        assert server.run(*rendering(root), "--force", fault=below | {"event": event})[0] == KILLED
        code, output = server.run(*rendering(root), "--force")
        assert code == 0, output
        assert not undisturbed.in_data(root)
        (root / "manifest.json").unlink()
        root.rename(tmp_path / f"finished {event}")


def test_training_evaluation_and_tables(undisturbed: Undisturbed, tmp_path: Path) -> None:
    run = undisturbed.run
    kill_until(
        times(2),
        name="training, evaluation and tables, kill -9 of the process",
        start=lambda place, fault: undisturbed.server.start(*training(place), fault=fault),
        moments=Moments(run.events, run.seconds, run.largest, CALLS),
        folder=tmp_path,
        compare=undisturbed.in_run,
        seed=19,
        prepare=undisturbed.place,
    )


def test_tables(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """They are a function of the records, so they are compared to the byte."""
    boards = undisturbed.run.root / "boards"

    def start(place: Path, fault: Fault) -> Process:
        return undisturbed.server.start("tirg-bench", "leaderboard", "--out", place, fault=fault)

    def visible(place: Path) -> dict[str, bytes]:
        files = undisturbed.contents(place).items()
        return {name: content for name, content in files if not Path(name).name.startswith(".")}

    def prepare(place: Path) -> None:
        shutil.copytree(boards / "records", place / "records")
        shutil.copy(boards / "datasets.json", place)

    expected = visible(boards)
    kill_until(
        times(2, share=0.3),
        name="tables, kill -9 of the process",
        start=start,
        moments=Moments(events=20, seconds=0.5, largest=max(map(len, expected.values())), calls=CALLS[-2:]),
        folder=tmp_path,
        compare=lambda place: "" if visible(place) == expected else "tables differ",
        seed=21,
        prepare=prepare,
    )


def strike_worker(process: Process) -> None:
    """Kill the first worker; the command itself, where there is none yet."""
    found = children(process.pid)
    os.kill(found[0] if found else process.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("strike", [Process.kill, strike_worker], ids=["the command", "a worker"])
@pytest.mark.parametrize("what", ["rendering", "training"])
def test_two_workers(what: str, strike: Callable[[Process], object], undisturbed: Undisturbed, tmp_path: Path) -> None:
    """Workers end with the command, and the command ends with one of its workers."""
    of = "parent" if strike is Process.kill else "worker"
    is_rendering = what == "rendering"

    def start(place: Path, fault: Fault) -> Process:
        words = rendering(place / "css", jobs=2) if is_rendering else (*training(place), "--jobs", 2)
        return Started(*words, fault=fault | {"of": of}, folder=tmp_path)

    def compare(place: Path) -> str:
        return undisturbed.in_data(place / "css") if is_rendering else undisturbed.in_run(place)

    (tmp_path / "whole").mkdir()
    prepare: Callable[[Path], object] = (lambda _: None) if is_rendering else undisturbed.place
    prepare(tmp_path / "whole")
    started = time.perf_counter()
    whole = start(tmp_path / "whole", {})
    assert whole.wait() == 0, whole.output
    assert not compare(tmp_path / "whole")
    events = (undisturbed.data if is_rendering else undisturbed.run).events // 2
    kill_until(
        times(1, share=0.1),
        name=f"{what} with two workers, kill -9 of {'the command' if of == 'parent' else 'a worker'}",
        start=start,
        moments=Moments(events, time.perf_counter() - started, largest=0),
        folder=tmp_path / "killed",
        compare=compare,
        seed=20,
        strike=strike,
        prepare=prepare,
    )
