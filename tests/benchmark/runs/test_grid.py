"""Many runs: their order, failures that do not stop the rest, and what is refused before any run."""

import errno
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import models
from benchmark import tasks as datasets
from benchmark.errors import BenchmarkError, UsageError
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.runs import single_run
from benchmark.runs.grid import plan
from benchmark.runs.single_run import Bench
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.progress import SilentRuns
from tests.benchmark.runs.finished_runs import runs, the_run


def test_grid_goes_through_a_whole_board_before_the_next_seed(bench: Bench) -> None:
    runs = plan(["tirg", "film"], ["css", "css-2d3d"], [0, 1], bench).runs
    assert [(run.composer, run.task, run.seed) for run in runs[:5]] == [
        ("tirg", "css", 0), ("film", "css", 0), ("tirg", "css-2d3d", 0), ("film", "css-2d3d", 0), ("tirg", "css", 1),
    ]  # fmt: skip


def composers_and_tasks() -> list[tuple[str, str]]:
    """Every composer on a map and on pooled features, which is all it knows of a task, and one on every task."""
    pairs = [(composer, task) for composer in models.names() for task in ("css", "css-pooled")]
    return [*pairs, *(("tirg", task) for task in datasets.names() if ("tirg", task) not in pairs)]


@pytest.mark.parametrize(("composer", "task"), composers_and_tasks())
def test_every_composer_and_every_task_gets_a_record(composer: str, task: str, bench: Bench) -> None:
    short = override(bench.base, ["training.steps=1"])
    (finished,) = runs(replace(bench, base=short), (composer, task, 0))
    assert finished.failure is None
    assert finished.record is not None
    assert finished.record.parameters.total > 0


def test_one_that_fails_does_not_stop_the_rest(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = single_run.new_network

    def breaking(run: Run, *others: object, **options: object) -> object:
        if run.composer == "film":
            raise RuntimeError("a layer\nis missing")
        return real(run, *others, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(single_run, "new_network", breaking)
    first, second, third = runs(bench, *((name, "css", 0) for name in ("concat", "film", "image_only")))
    assert first.record
    assert third.record
    assert second.record is None
    assert second.failure == "RuntimeError: a layer is missing"
    assert "breaking" in (second.traceback or "")


def test_a_full_disk_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "runs/model.safetensors")

    monkeypatch.setattr(Checkpoint, "write", full)
    (finished,) = runs(bench)
    assert finished.failure == "runs/model.safetensors: No space left on device"


def test_a_run_that_somebody_else_is_at_is_left_to_them(bench: Bench) -> None:
    folder = single_run.run_folder(the_run(bench), bench.runs)
    code = (
        "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True);"
        "sys.stdin.read()"
    )
    folder.mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder / ".lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        (finished,) = runs(bench)
        other.communicate("")
    assert "another tirg-bench process is using" in (finished.failure or "")


def test_a_folder_without_locks_is_used_with_a_note(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    said: list[str] = []
    monkeypatch.setattr(SilentRuns, "message", lambda _, text: said.append(text))
    monkeypatch.setattr("filelock.FileLock.acquire", none)
    (finished,) = runs(bench)
    assert finished.record is not None, finished.failure
    assert any("has no locks" in text for text in said)


@pytest.mark.parametrize("option", ["--out", "--runs"])
def test_a_folder_that_cannot_be_written_is_named_before_any_run(option: str, bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    there = tmp_path / "file" / "below"
    broken = replace(bench, leaderboards=there) if option == "--out" else replace(bench, runs=there)
    with pytest.raises(BenchmarkError, match=f"cannot be written to .* choose another folder with {option}"):
        runs(broken)


def test_tables_that_cannot_be_written_are_named_before_any_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records' folder is writable, the one of the tables is not: whoever runs the tests as root needs the trick."""
    real = Path.touch

    def touch(path: Path, *arguments: object, **options: object) -> None:
        if path.parent == bench.leaderboards:
            raise PermissionError(13, "Permission denied")
        real(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "touch", touch)
    with pytest.raises(BenchmarkError, match=r"leaderboards cannot be written to \(Permission denied\).* with --out"):
        runs(bench)
    runs(replace(bench, base=override(bench.base, ["evaluation.split=validation"])))


@pytest.mark.parametrize(
    ("composer", "task", "change", "expected"),
    [
        ("tirgs", "css", "training.steps=1", "unknown composer 'tirgs': did you mean tirg"),
        ("tirg", "cs", "training.steps=1", "unknown dataset 'cs': did you mean css"),
        ("tirg", "css", "training.optimiser=adam", "unknown optimiser 'adam': did you mean adamw"),
        ("tirg", "css", "model.image_encoder=resnet19", r"model\.image_encoder: .*resnet18"),
    ],
)
def test_unknown_names_are_refused_before_any_data_is_read(
    composer: str, task: str, change: str, expected: str, bench: Bench, tmp_path: Path
) -> None:
    asked = replace(bench, base=override(bench.base, [change]), places={"css": tmp_path / "nowhere"})
    with pytest.raises(UsageError, match=expected):
        plan([composer], [task], [0], asked)


def test_more_pixels_than_were_rendered_are_worth_a_warning(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(SilentRuns, "message", lambda _, text: said.append(text))
    plan(["tirg"], ["css"], [0], replace(bench, base=override(bench.base, ["data.image_size=32"])))
    assert not any("rendered with" in text for text in said)
    larger = replace(bench, base=override(bench.base, ["data.image_size=64", "training.steps=1"]))
    (finished,) = runs(larger)
    assert finished.record is not None, finished.failure
    assert f"css: data.image_size is 64, but {bench.places['css']} was rendered with 32 pixels" in "".join(said)
