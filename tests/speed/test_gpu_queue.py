"""What waits for a GPU can be run unattended: every line is a job that there is, none loses what it has done, and every
job runs where there is no GPU."""

import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
QUEUE = (ROOT / "speed" / "GPU_QUEUE.md").read_text()
RECORD = "leaderboards/records/css/tirg/standard-0-s0-0.json"
SPEED = str(ROOT / "speed")


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, at work in an empty folder instead of this repository."""
    monkeypatch.syspath_prepend(SPEED)
    module = importlib.import_module("gpu")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "WHEELS", tmp_path / ".whl")
    return module


def brought(out: Path) -> set[str]:
    """The files in the archives, which have to be small enough to come back."""
    names = set()
    for path in out.glob("[!.]*.tar.gz"):
        assert path.stat().st_size < 16 * 2**20
        with tarfile.open(path) as archive:
            names |= {member.name for member in archive.getmembers() if member.isfile()}
    return names


def writing(path: str, then: str = "") -> list[str]:
    """A command that makes a record, says so, and then keeps running."""
    code = f"import pathlib; p = pathlib.Path({path!r}); p.parent.mkdir(parents=True, exist_ok=True); p.write_text('1')"
    return ["-c", f"{code}; print('made', flush=True)\n{then}"]


def with_job(gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, commands: Sequence[list[str]], *options: str) -> int:
    """The exit code of the script for a job of these commands."""
    monkeypatch.setattr(gpu, "environment", lambda _: dict(os.environ))
    monkeypatch.setattr(gpu, "JOBS", {"board": lambda _: commands})
    monkeypatch.setattr(sys, "argv", ["gpu.py", "board", "--out", str(gpu.ROOT / "out"), *options])
    return int(gpu.main())


def test_every_line_of_the_queue_names_a_job_and_every_job_is_in_the_queue(gpu: ModuleType) -> None:
    assert set(re.findall(r"gpu\.sh (\w+)", QUEUE)) - {"carry"} == set(gpu.JOBS)


def test_the_first_open_line_is_one_command_for_the_first_board() -> None:
    commands = re.findall(r"^\| \d+ \| `([^`]+)`", QUEUE, flags=re.MULTILINE)
    assert commands[0] == "bash speed/gpu.sh board --minutes 9"


def test_an_unknown_job_is_refused_with_the_list_of_jobs() -> None:
    done = subprocess.run(
        ["bash", "speed/gpu.sh", "bored"], cwd=ROOT, env={**os.environ, "PYTHON": sys.executable}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert re.search(r"invalid choice: '?bored'? .*board.*profile", done.stderr)


def test_the_archive_holds_what_is_new_and_nothing_that_is_half_written(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = gpu.ROOT / "leaderboards/records/css/film/standard-0-s0-0.json"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("landed before")
    half = writing("leaderboards/records/css/tirg/.standard-0-s0-0.json.7.partial")
    assert with_job(gpu, monkeypatch, [writing(RECORD), half, writing("runs/css/tirg/model.safetensors")]) == 0
    assert brought(gpu.ROOT / "out") == {RECORD, "runs/gpu/board.log"}


def test_a_command_that_fails_stops_neither_the_next_nor_the_archive(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert with_job(gpu, monkeypatch, [["-c", "raise SystemExit(3)"], writing(RECORD)]) == 1
    assert brought(gpu.ROOT / "out") == {RECORD, "runs/gpu/board.log"}
    said = capfd.readouterr().out
    assert "exit code 3 of: -c" in said
    assert "1 failures" in said
    assert (gpu.ROOT / "runs/gpu/board.log").read_text() == said


class OnRecord(Thread):
    """In place of a timer: acts as soon as the record is there; the one that would kill never does."""

    def __init__(self, seconds: float, function: Callable[[int, int], None], args: tuple[int, int]) -> None:
        super().__init__(daemon=True)
        self.seconds, self.function, self.args, self.record = seconds, function, args, Path(RECORD)

    def run(self) -> None:
        if self.args[1] == signal.SIGINT:
            while not self.record.exists():
                pass
            self.function(*self.args)

    def cancel(self) -> None:
        pass


def test_a_command_that_outlasts_the_time_is_interrupted_and_brings_back_what_is_done(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As by Ctrl-C, which also reaches a process that it started."""
    monkeypatch.chdir(gpu.ROOT)
    monkeypatch.setattr(gpu, "Timer", OnRecord)
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import signal; signal.pause()'])"
    assert with_job(gpu, monkeypatch, [writing(RECORD, child)]) == 1
    assert brought(gpu.ROOT / "out") == {RECORD, "runs/gpu/board.log"}
    assert "KeyboardInterrupt" in capfd.readouterr().out


def test_nothing_is_begun_when_the_time_is_over(gpu: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_job(gpu, monkeypatch, [writing(RECORD)], "--minutes=0") == 1
    assert brought(gpu.ROOT / "out") == {"runs/gpu/board.log"}


def test_a_job_that_is_killed_outright_has_brought_back_what_was_done(tmp_path: Path) -> None:
    out = tmp_path / "out"
    waits = (
        "import os, tarfile, pathlib, signal\n"
        f"path = pathlib.Path({str(out / 'board.tar.gz')!r})\n"
        f"while not (path.exists() and {RECORD!r} in tarfile.open(path).getnames()): print('more', flush=True)\n"
        "os.kill(os.getppid(), signal.SIGKILL)"
    )
    driver = (
        f"import os, pathlib, sys; sys.path.insert(0, {SPEED!r}); import gpu\n"
        f"gpu.ROOT = pathlib.Path({str(tmp_path)!r})\n"
        f"gpu.Allocation('board', pathlib.Path({str(out)!r}), 5).run({writing(RECORD, waits)!r}, dict(os.environ))"
    )
    assert subprocess.run([sys.executable, "-c", driver], check=False, capture_output=True).returncode == -9
    assert brought(out) == {RECORD, "runs/gpu/board.log"}


def test_a_command_that_plans_by_the_time_is_told_how_much_is_left(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    says = ["-c", "import sys; print('told', sys.argv[1])", gpu.MINUTES_LEFT]
    assert with_job(gpu, monkeypatch, [says], "--minutes=7") == 0
    (told,) = re.findall(r"^told (.*)$", capfd.readouterr().out, flags=re.MULTILINE)
    assert 6 < float(told) <= 7


def test_a_machine_that_lacks_a_package_is_told_so_before_anything_runs(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "IMPORTED", f"{gpu.IMPORTED.split(',')[0]}, a_package_that_is_not_there")
    with pytest.raises(SystemExit, match=r"lacks a package: run `bash speed/gpu\.sh carry`"):
        gpu.environment(tmp_path)
    assert "a_package_that_is_not_there" in capfd.readouterr().err


def test_every_package_that_the_project_needs_is_looked_for(gpu: ModuleType) -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    named = {re.match(r"[\w-]+", requirement)[0] for requirement in wanted}  # type: ignore[index]
    assert {"PIL" if name == "pillow" else name for name in named} <= set(gpu.IMPORTED.split(", "))


TINY = "--device cpu --images 800 --set training.steps=2 --set training.sources=2 --set training.modifications=2 "
TINY += "--set data.image_size=32"


def run(job: str, root: Path) -> subprocess.CompletedProcess[str]:
    """A job in a copy of the repository; its archive and the datasets are in the folder around it."""
    name, *options = job.split()
    folders = ["--out", str(root.parent / "out"), "--work", str(root.parent / "work"), "--minutes", "60"]
    done = subprocess.run(
        ["bash", "speed/gpu.sh", name, *TINY.split(), *folders, *options],
        cwd=root,
        env={**os.environ, "PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    return done


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the code, without records."""
    root = tmp_path / "here"
    for package in ("css_gen", "models", "benchmark", "speed"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__", "results"))
    return root


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "wanted"),
    [
        ("profile --steps 2", "speed/results/profile-standard-cpu.json"),
        ("tune --attempt training.learning_rate=2e-3,training.optimiser=muon", "runs/records/css/tirg/"),
        ("paper", "leaderboards/records/css/tirg/"),
    ],
)
def test_every_job_runs_without_a_gpu(root: Path, job: str, wanted: str) -> None:
    run(job, root)
    assert any(name.startswith(wanted) for name in brought(root.parent / "out"))


@pytest.mark.slow
def test_speed_runs_without_a_gpu(root: Path) -> None:
    assert "ours_standard: " in run("speed --seconds-each 3 --scored 200 --images 1200", root).stdout
    assert "speed/results/train-cpu.json" in brought(root.parent / "out")


@pytest.mark.slow
def test_a_board_goes_on_from_what_has_landed(root: Path) -> None:
    run("board", root)
    records = {name for name in brought(root.parent / "out") if name.endswith(".json")}
    assert {tuple(Path(name).parts[2:4]) for name in records} >= {("css", "tirg"), ("css-pooled", "image_only")}
    missing = next(root.glob("leaderboards/records/css-2d3d/film/*-s1-*.json"))
    missing.unlink()
    again = run("board", root)
    assert again.stdout.count("has a record") == len(records) - 1
    (made,) = {name for name in brought(root.parent / "out") if name.endswith(".json")}
    assert made == missing.relative_to(root).as_posix()
