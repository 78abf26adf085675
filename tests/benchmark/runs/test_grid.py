import errno
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import models
from benchmark import tasks as datasets
from benchmark.device import make_accelerator
from benchmark.errors import BenchmarkError, UsageError
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.recipe.runtime import Runtime
from benchmark.records.store import read_stored
from benchmark.runs import single_run
from benchmark.runs.grid import Finished, plan, run_all
from benchmark.runs.single_run import Bench
from benchmark.scoring.evaluation import evaluate
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.progress import SilentRuns
from css_gen.render import render
from css_gen.storage.configuration import Configuration

Wanted = tuple[str, str, int]
"""Composer, task and seed."""


def runs(bench: Bench, *wanted: Wanted) -> list[Finished]:
    return [
        finished
        for composer, task, seed in wanted or (("tirg", "css", 0),)
        for finished in run_all(plan([composer], [task], [seed], bench), bench)
    ]


def the_run(bench: Bench) -> Run:
    (run,) = plan(["tirg"], ["css"], [0], bench).runs
    return run


def the_record(bench: Bench) -> Path:
    path = the_run(bench).identity.find(bench.records)
    assert path is not None
    return path


def reproducible(finished: Finished) -> dict[str, object]:
    assert finished.record is not None, finished.traceback
    return finished.record.reproducible()


def test_same_seed_gives_the_same_record_and_another_seed_another(bench: Bench, tmp_path: Path) -> None:
    elsewhere = replace(bench, leaderboards=tmp_path / "again", runs=tmp_path / "again-runs")
    (first,), (second,) = runs(bench), runs(elsewhere)
    assert reproducible(first) == reproducible(second)
    (other,) = runs(bench, ("tirg", "css", 1))
    assert reproducible(other)["training"]["final_loss"] != reproducible(first)["training"]["final_loss"]  # type: ignore[index]


def test_a_record_says_what_was_done(bench: Bench) -> None:
    (finished,) = runs(bench, ("film", "css-2d3d", 4))
    (path,) = (bench.records / "css-2d3d" / "film").glob("*.json")
    record = read_stored(path).record
    assert record == finished.record
    assert (record.composer.name, record.protocol, record.seed) == ("film", "css-2d3d", 4)
    assert record.configuration == bench.base.content
    assert record.environment.runtime == bench.runtime
    assert record.preset.startswith("quick, ")
    assert (record.training.steps, record.training.queries_seen) == (6, 36)
    assert record.training.peak_memory_mib > 50
    assert [point.step for point in record.curve if point.recall_at_1 is not None] == [4]
    assert [point.step for point in record.curve] == [1, 2, 3, 4, 5, 6]
    assert record.training.final_loss == record.curve[-1].loss
    dataset = datasets.get("css-2d3d").open(
        bench.places["css"], image_size=16, reporter=bench.reporter, skip_broken=False
    )
    assert (record.dataset.gallery, record.dataset.queries) == (len(dataset.test.gallery), len(dataset.test.queries))


def test_the_stored_model_gives_the_records_ranks(bench: Bench) -> None:
    (finished,) = runs(bench)
    assert finished.record is not None
    checkpoint = Checkpoint.read(Path(finished.record.checkpoint.path))  # type: ignore[union-attr]
    dataset = datasets.get("css").open(bench.places["css"], image_size=16, reporter=bench.reporter, skip_broken=False)
    outcomes = evaluate(
        checkpoint.network(), dataset.test, accelerator=make_accelerator("cpu", "fp32"), batch_size=512
    ).outcomes
    np.testing.assert_array_equal(outcomes.ranks, read_stored(the_record(bench)).outcomes.ranks)


def test_what_has_a_record_of_the_same_recipe_is_skipped(bench: Bench) -> None:
    (first,) = runs(bench)
    (second,) = runs(bench)
    assert first.is_new
    assert not second.is_new
    assert second.record == first.record


def test_a_damaged_record_is_made_again_with_the_flag_alone(bench: Bench) -> None:
    (first,) = runs(bench)
    path = the_record(bench)
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 3'))
    damaged = path.read_bytes()
    (second,) = runs(bench)
    assert (second.record, second.is_new) == (None, True)
    assert "was edited" in (second.failure or "")
    assert "--replace makes it again" in (second.failure or "")
    assert path.read_bytes() == damaged
    (third,) = runs(replace(bench, replace=True))
    assert third.is_new
    assert reproducible(third) == reproducible(first)
    assert read_stored(path).record == third.record


def test_a_record_of_other_code_is_kept_with_a_word_and_made_again_with_the_flag(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = runs(bench)
    said: list[str] = []
    monkeypatch.setattr(SilentRuns, "message", lambda _, text: said.append(text))
    monkeypatch.setattr("benchmark.runs.earlier.code_version", lambda task: "f" * 64)  # noqa: ARG005
    (second,) = runs(bench)
    assert (second.record, second.is_new) == (first.record, False)
    assert "has a record of other code" in said[-1]
    assert "--replace makes it again" in said[-1]
    (third,) = runs(replace(bench, replace=True))
    assert third.is_new
    monkeypatch.setattr("benchmark.runs.grid.composer_sha256", lambda composer: "f" * 64)  # noqa: ARG005
    runs(bench)
    assert "has a record of another version of the composer" in said[-1]


def test_runs_of_other_recipes_and_other_data_leave_each_other_alone(bench: Bench, tmp_path: Path) -> None:
    runs(bench)
    before = {path: path.read_bytes() for path in bench.leaderboards.rglob("*.*") if path.is_file()}
    models_before = {path: path.read_bytes() for path in bench.runs.rglob("model.safetensors")}
    runs(replace(bench, base=override(bench.base, ["training.learning_rate=0.5"])))
    render(tmp_path / "other", Configuration(images=60, size=16, seed=9), jobs=1)
    runs(replace(bench, places={"css": tmp_path / "other"}))
    assert len(list(bench.records.rglob("*.json"))) == 3
    assert len(list(bench.runs.rglob("model.safetensors"))) == 3
    assert all(path.read_bytes() == content for path, content in (before | models_before).items())


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


def test_validation_runs_never_reach_a_leaderboard(bench: Bench) -> None:
    chosen = override(bench.base, ["evaluation.split=validation"])
    (finished,) = runs(replace(bench, base=chosen))
    assert finished.record is not None
    dataset = datasets.get("css").open(bench.places["css"], image_size=16, reporter=bench.reporter, skip_broken=False)
    assert 0 < finished.record.dataset.queries < len(dataset.train.queries)
    assert finished.record.dataset.gallery == len(dataset.train.gallery)
    assert not bench.leaderboards.exists()


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
        ("tirg", "css", "training.optimiser=adam", "no optimiser is called 'adam'; did you mean 'adamw'"),
        ("tirg", "css", "model.image_encoder=resnet19", r"model\.image_encoder: .*resnet18"),
    ],
)
def test_unknown_names_are_refused_before_any_data_is_read(
    composer: str, task: str, change: str, expected: str, bench: Bench, tmp_path: Path
) -> None:
    asked = replace(bench, base=override(bench.base, [change]), places={"css": tmp_path / "nowhere"})
    with pytest.raises(UsageError, match=expected):
        plan([composer], [task], [0], asked)


def test_grid_goes_through_a_whole_board_before_the_next_seed(bench: Bench) -> None:
    runs = plan(["tirg", "film"], ["css", "css-2d3d"], [0, 1], bench).runs
    assert [(run.composer, run.task, run.seed) for run in runs[:5]] == [
        ("tirg", "css", 0), ("film", "css", 0), ("tirg", "css-2d3d", 0), ("film", "css-2d3d", 0), ("tirg", "css", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("protocol", datasets.names())
@pytest.mark.parametrize("composer", models.names())
def test_every_composer_gets_a_record_on_every_protocol(composer: str, protocol: str, bench: Bench) -> None:
    short = override(bench.base, ["training.steps=1"])
    (finished,) = runs(replace(bench, base=short), (composer, protocol, 0))
    assert finished.failure is None
    assert finished.record is not None
    assert finished.record.parameters.total > 0


@pytest.mark.parametrize(
    ("key", "others"),
    [
        ("momentum=0.1", ["optimiser=adamw"]),
        ("momentum=0.1", ["optimiser=muon"]),
        ("muon_lr=0.5", ["optimiser=adamw"]),
        ("muon_lr=0.5", ["optimiser=sgd"]),
        ("decay=0.5", ["schedule=cosine"]),
        ("decay=0.5", ["schedule=constant"]),
        ("decay_every=1", ["schedule=cosine"]),
        ("repeats=all", ["group_size=batch"]),
        ("repeats=all", ["group_size=6"]),
    ],
)
def test_a_key_that_is_not_hashed_trains_the_same_weights(
    key: str, others: list[str], bench: Bench, tmp_path: Path
) -> None:
    plain = override(bench.base, ["training.steps=3", *(f"training.{other}" for other in others)])
    changed = override(plain, [f"training.{key}"])
    assert changed != plain
    assert changed.hash == plain.hash
    one, other = (
        runs(replace(bench, base=recipe, leaderboards=tmp_path / str(number), runs=tmp_path / f"runs{number}"))[0]
        for number, recipe in enumerate((plain, changed))
    )
    assert reproducible(one) == reproducible(other)


def test_the_runtime_sets_the_threads_and_gives_them_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = single_run.evaluate

    def counting(*arguments: object, **options: object) -> object:
        seen.append(torch.get_num_threads())
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(single_run, "evaluate", counting)
    before = torch.get_num_threads()
    (finished,) = runs(replace(bench, runtime=Runtime(threads=before + 1, validate_every=0)))
    assert seen == [before + 1]
    assert torch.get_num_threads() == before
    assert finished.record is not None
    assert finished.record.environment.runtime.threads == before + 1


def test_a_full_disk_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "runs/model.safetensors")

    monkeypatch.setattr(Checkpoint, "write", full)
    (finished,) = runs(bench)
    assert finished.failure == "runs/model.safetensors: No space left on device"


def test_more_pixels_than_were_rendered_are_worth_a_warning(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(SilentRuns, "message", lambda _, text: said.append(text))
    plan(["tirg"], ["css"], [0], replace(bench, base=override(bench.base, ["data.image_size=32"])))
    assert not any("rendered with" in text for text in said)
    larger = replace(bench, base=override(bench.base, ["data.image_size=64", "training.steps=1"]))
    (finished,) = runs(larger)
    assert finished.record is not None, finished.failure
    assert f"css: data.image_size is 64, but {bench.places['css']} was rendered with 32 pixels" in "".join(said)


def test_a_folder_without_locks_is_used_with_a_note(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    said: list[str] = []
    monkeypatch.setattr(SilentRuns, "message", lambda _, text: said.append(text))
    monkeypatch.setattr("filelock.FileLock.acquire", none)
    (finished,) = runs(bench)
    assert finished.record is not None, finished.failure
    assert any("has no locks" in text for text in said)
