"""Folders that fill up, are read-only, refuse fsync or locks, change under a command, or serve two at a time."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from tests.css_gen.test_disks import mounted, remount
from tests.faults.commands import KILLED, Fault, Started
from tests.faults.conftest import times
from tests.faults.undisturbed import Undisturbed, rendering, training

REFUSALS: dict[str, Fault] = {
    "no fsync": {"refused": {"fsync": "EINVAL"}},
    "no locks": {"refused": {"flock": "ENOSYS"}},
    "neither": {"refused": {"fsync": "ENOTSUP", "flock": "ENOLCK"}},
}


@pytest.mark.parametrize("how", ["a full disk", pytest.param("a limit on files", marks=pytest.mark.slow)])
def test_training_without_room(how: str, undisturbed: Undisturbed, tmp_path: Path) -> None:
    """Room for a random part of what a run writes. Only root can mount a small disk; anybody can be limited."""
    sizes = [path.stat().st_size for path in (undisturbed.run.root / "runs").rglob("*") if path.is_file()]
    rng, server = np.random.default_rng(25), undisturbed.server
    for number in range(times(1, share=0.1)):
        place = undisturbed.place(tmp_path / f"{number}")
        (place / "disk").mkdir()
        words = training(place, "disk")
        if how == "a full disk":
            with mounted(place / "disk", f"size={rng.integers(4_096, sum(sizes))}"):
                code, output = server.run(*words)
                remount(place / "disk", "size=100m")
                again = server.run(*words)
                shutil.copytree(place / "disk", place, dirs_exist_ok=True)
        else:
            code, output = server.run(*words, fault={"limit": int(rng.integers(1, max(sizes)))})
            again = server.run(*words)
            shutil.copytree(place / "disk", place, dirs_exist_ok=True)
        assert code == 1, output
        assert "Traceback" not in output
        assert "unexpected" not in output, output
        assert again[0] == 0, again[1]
        assert not undisturbed.in_run(place)


def test_training_into_a_read_only_folder(undisturbed: Undisturbed, tmp_path: Path) -> None:
    place = undisturbed.place(tmp_path)
    (place / "disk").mkdir()
    with mounted(place / "disk", "ro,size=100m"):
        code, output = undisturbed.server.run(*training(place, "disk"))
        assert code == 1
        assert "cannot be written to (Read-only file system)" in output.splitlines()[-1]
        remount(place / "disk", "rw,size=100m")
        code, output = undisturbed.server.run(*training(place, "disk"))
        assert code == 0, output
        shutil.copytree(place / "disk", place, dirs_exist_ok=True)
    assert not undisturbed.in_run(place)


@pytest.mark.parametrize(
    "what", [pytest.param(what, marks=[pytest.mark.slow] * (what != "neither")) for what in REFUSALS]
)
def test_file_systems_that_offer_less(what: str, undisturbed: Undisturbed, tmp_path: Path) -> None:
    """Rendering, training and tables there are killed once, and end as elsewhere."""
    fault = REFUSALS[what] | {"below": str(tmp_path)}
    for words, event in ((rendering(tmp_path / "css"), 50), (training(tmp_path), 60)):
        killed = fault | {"signal": int(signal.SIGKILL), "event": event}
        assert undisturbed.server.run(*words, fault=killed)[0] == KILLED
        code, output = undisturbed.server.run(*words, fault=fault)
        assert code == 0, output
        assert ("no locks" in output) == ("flock" in fault["refused"])
    assert not undisturbed.in_run(tmp_path)


def test_data_that_the_disk_loses(undisturbed: Undisturbed, tmp_path: Path) -> None:
    words = rendering(tmp_path / "css")
    code, output = undisturbed.server.run(*words, fault={"refused": {"fsync": "EIO"}})
    assert (code, "the disk cannot be read or written" in output) == (1, True), output
    assert undisturbed.server.run(*words)[0] == 0
    assert not undisturbed.in_data(tmp_path / "css")


def halted(words: tuple[object, ...], fault: Fault, folder: Path) -> Started:
    """Start a command that halts itself at the moment of the fault, and wait until it has."""
    process = Started(*words, fault=fault | {"signal": int(signal.SIGSTOP), "below": str(folder)}, folder=folder)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    return process


@pytest.mark.slow
def test_a_second_process_is_held_off(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """The first one is halted in the middle of its work; the second one says so, and leaves everything alone."""
    place, server = undisturbed.place(tmp_path), undisturbed.server
    for words, fault, line in (
        (rendering(tmp_path / "new"), {"event": 50}, "another css-gen process is using"),
        (training(place), {"name": "torch.optim.AdamW.step", "call": 9}, "another tirg-bench process is using"),
    ):
        first = halted(words, fault, tmp_path)
        code, output = server.run(*words)
        assert (code, line in output) == (1, True), output
        os.kill(first.pid, signal.SIGCONT)
        assert first.wait() == 0, first.output
        assert server.run(*words)[0] == 0
    assert not undisturbed.in_data(tmp_path / "new")
    assert not undisturbed.in_run(place)


@pytest.mark.slow
def test_two_processes_where_there_are_no_locks(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """Both work at the same time, at worst one fails, and the same command once more ends well."""
    rng, no_locks, server = np.random.default_rng(26), REFUSALS["no locks"], undisturbed.server
    for number in range(times(1, share=0.05)):
        place = undisturbed.place(tmp_path / f"{number}")
        commands = (rendering(place / "new"), undisturbed.data.events), (training(place), undisturbed.run.events)
        for words, events in commands:
            first = halted(words, no_locks | {"event": int(rng.integers(1, events))}, place)
            outcomes = [server.run(*words, fault=no_locks)]
            os.kill(first.pid, signal.SIGCONT)
            outcomes.append((first.wait() or 0, first.output))
            assert {code for code, _ in outcomes} <= {0, 1}
            assert "Traceback" not in outcomes[0][1] + outcomes[1][1]
            code, output = server.run(*words)
            assert code == 0, output
        for note in place.glob("css/.cache/*/*.progress.json"):
            note.unlink()  # of whoever decoded more slowly; nobody reads it once the pixels are there
        assert not undisturbed.in_data(place / "new")
        assert not undisturbed.in_run(place)


def damage(root: Path, whole: Path, rng: np.random.Generator, how: str) -> Fault:
    """Draw a shard of a dataset, and a place in it; `whole` holds the same dataset."""
    name = f"{('train', 'test')[rng.integers(2)]}/images-0000{rng.integers(4)}-of-00004.parquet"
    content = (whole / name).read_bytes()
    if how == "cut":
        place = int(rng.integers(len(content)))
    else:  # a bit of an image: they are most of the file
        first, last = content.index(b"IDAT") + 4, content.rindex(b"IDAT") + 4
        place = 8 * int(rng.integers(first, last)) + int(rng.integers(8))
    return {how: [str(root / name), place], "below": str(root.parent)}


@pytest.mark.parametrize("how", ["cut", pytest.param("flipped", marks=pytest.mark.slow)])
def test_a_shard_that_is_damaged_while_it_is_rendered(how: str, undisturbed: Undisturbed, tmp_path: Path) -> None:
    """`render` looks at the sizes of finished files, `verify` at their content."""
    rng, server, events = np.random.default_rng(23), undisturbed.server, undisturbed.data.events
    for number in range(times(1, share=0.1)):
        root = tmp_path / f"{number}/css"
        # The last 16 events write the card and the manifest, so every shard is there.
        fault = damage(root, undisturbed.data.root, rng, how) | {"event": int(rng.integers(events - 16, events - 3))}
        code, output = server.run(*rendering(root), fault=fault)
        assert code == 0, output
        assert undisturbed.contents(root) != undisturbed.contents(undisturbed.data.root), "the fault was not injected"
        assert server.run("css-gen", "verify", root, "--jobs", 1)[0] == 1
        mending = rendering(root) if how == "cut" else ("css-gen", "verify", root, "--repair", "--jobs", 1)
        code, output = server.run(*mending)
        assert code == 0, output
        assert not undisturbed.in_data(root)


@pytest.mark.parametrize("how", [pytest.param("cut", marks=pytest.mark.slow), "flipped"])
def test_a_shard_that_is_damaged_while_it_is_trained_on(how: str, undisturbed: Undisturbed, tmp_path: Path) -> None:
    """The run had read the shard before, and its record is right, or it ends in one line that says what to do."""
    rng, refused = np.random.default_rng(24), 0
    for number in range(times(2, share=0.1)):
        place = undisturbed.place(tmp_path / f"{number}")
        fault = damage(place / "css", undisturbed.data.root, rng, how) | {"event": int(rng.integers(1, 12))}
        code, output = undisturbed.server.run(*training(place), fault=fault)
        assert code in (0, 1), output
        refused += code
        assert not code or "css-gen verify" in output.splitlines()[-1], output
        assert "Traceback" not in output
        code, output = undisturbed.server.run("css-gen", "verify", place / "css", "--repair", "--jobs", 1)
        assert code == 0, output
        code, output = undisturbed.server.run(*training(place))
        assert code == 0, output
        assert not undisturbed.in_run(place)
    assert refused
