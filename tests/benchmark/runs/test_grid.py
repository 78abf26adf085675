import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import models
from benchmark import tasks as datasets
from benchmark.device import make_accelerator
from benchmark.errors import BenchmarkError, UsageError
from benchmark.recipe.config import override
from benchmark.records.store import read_stored
from benchmark.runs import single_run
from benchmark.runs.grid import Finished, grid, run_all
from benchmark.runs.single_run import Bench, Run
from benchmark.scoring.evaluation import evaluate
from benchmark.training.checkpoint import Checkpoint


def runs(bench: Bench, *wanted: Run) -> list[Finished]:
    return list(run_all(wanted or (Run("tirg", "css", 0),), bench))


def reproducible(finished: Finished) -> dict[str, object]:
    assert finished.record is not None, finished.traceback
    return finished.record.reproducible()


def test_same_seed_gives_the_same_record_and_another_seed_another(bench: Bench, tmp_path: Path) -> None:
    elsewhere = replace(bench, leaderboards=tmp_path / "again", runs=tmp_path / "again-runs")
    (first,), (second,) = runs(bench), runs(elsewhere)
    assert reproducible(first) == reproducible(second)
    (other,) = runs(bench, Run("tirg", "css", 1))
    assert reproducible(other)["training"]["final_loss"] != reproducible(first)["training"]["final_loss"]  # type: ignore[index]


def test_a_record_says_what_was_done(bench: Bench) -> None:
    (finished,) = runs(bench, Run("film", "css-2d3d", 4))
    stored = read_stored(bench.records / "css-2d3d" / "film" / f"{bench.config.preset}-s4.json")
    record = stored.record
    assert record == finished.record
    assert (record.composer.name, record.protocol, record.seed) == ("film", "css-2d3d", 4)
    assert record.configuration["training"] == bench.config.training.model_dump(mode="json")
    assert (record.training.steps, record.training.queries_seen) == (6, 36)
    assert record.training.peak_memory_mib > 50
    assert [point.step for point in record.curve if point.recall_at_1 is not None] == [4]
    assert [point.step for point in record.curve] == [1, 2, 3, 4, 5, 6]
    assert record.training.final_loss == record.curve[-1].loss
    dataset = datasets.info("css-2d3d").open(
        bench.places["css"], image_size=16, reporter=bench.reporter, skip_broken=False
    )
    assert (record.dataset.gallery, record.dataset.queries) == (len(dataset.test.gallery), len(dataset.test.queries))


def test_the_stored_model_gives_the_records_ranks(bench: Bench) -> None:
    (finished,) = runs(bench)
    assert finished.record is not None
    checkpoint = Checkpoint.read(Path(finished.record.checkpoint.path))  # type: ignore[union-attr]
    dataset = datasets.info("css").open(bench.places["css"], image_size=16, reporter=bench.reporter, skip_broken=False)
    outcomes = evaluate(
        checkpoint.network(), dataset.test, accelerator=make_accelerator("cpu", "fp32"), chunk=512
    ).outcomes
    path = bench.records / "css" / "tirg" / f"{bench.config.preset}-s0.json"
    np.testing.assert_array_equal(outcomes.ranks, read_stored(path).outcomes.ranks)


def test_what_has_a_record_of_the_same_recipe_is_skipped(bench: Bench) -> None:
    (first,) = runs(bench)
    (second,) = runs(bench)
    assert first.is_new
    assert not second.is_new
    assert second.record == first.record


def test_an_edited_record_is_made_anew(bench: Bench) -> None:
    (first,) = runs(bench)
    path = bench.records / "css" / "tirg" / f"{bench.config.preset}-s0.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 3'))
    (second,) = runs(bench)
    assert second.is_new
    assert reproducible(second) == reproducible(first)


def test_a_record_of_another_recipe_under_the_same_name_is_made_anew(bench: Bench) -> None:
    runs(bench)
    changed = override(bench.config, ["training.learning_rate=0.5"]).model_copy(update={"preset": bench.config.preset})
    (second,) = runs(replace(bench, config=changed))
    assert second.is_new


def test_one_that_fails_does_not_stop_the_rest(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = single_run.new_network

    def breaking(run: Run, *others: object, **options: object) -> object:
        if run.composer == "film":
            raise RuntimeError("a layer\nis missing")
        return real(run, *others, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(single_run, "new_network", breaking)
    first, second, third = runs(bench, *(Run(name, "css", 0) for name in ("concat", "film", "image_only")))
    assert first.record
    assert third.record
    assert second.record is None
    assert second.failure == "RuntimeError: a layer is missing"
    assert "breaking" in (second.traceback or "")


def test_validation_runs_never_reach_a_leaderboard(bench: Bench) -> None:
    chosen = override(bench.config, ["evaluation.split=validation"])
    (finished,) = runs(replace(bench, config=chosen))
    assert finished.record is not None
    dataset = datasets.info("css").open(bench.places["css"], image_size=16, reporter=bench.reporter, skip_broken=False)
    assert 0 < finished.record.dataset.queries < len(dataset.train.queries)
    assert finished.record.dataset.gallery == len(dataset.train.gallery)
    assert not bench.leaderboards.exists()


def test_validation_without_a_held_out_part_is_refused(bench: Bench) -> None:
    chosen = override(bench.config, ["evaluation.split=validation", "evaluation.held_out=0"])
    (finished,) = runs(replace(bench, config=chosen))
    assert "raise evaluation.held_out" in (finished.failure or "")


def test_a_run_that_somebody_else_is_at_is_left_to_them(bench: Bench) -> None:
    folder = single_run.run_folder(Run("tirg", "css", 0), bench)
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
    assert "another tirg-bench is at work" in (finished.failure or "")


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
    runs(replace(bench, config=override(bench.config, ["evaluation.split=validation"])))


def test_unknown_composer_offers_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown composer 'tirgs': did you mean tirg"):
        grid(["tirgs"], ["css"], [0])


def test_unknown_image_encoder_is_named_before_any_run(bench: Bench) -> None:
    config = override(bench.config, ["model.image_encoder=resnet19"])
    with pytest.raises(UsageError, match=r"model\.image_encoder: .*resnet18"):
        runs(replace(bench, config=config))


def test_grid_goes_through_a_whole_board_before_the_next_seed() -> None:
    runs = grid(["tirg", "film"], ["css", "css-2d3d"], [0, 1])
    assert [(run.composer, run.dataset, run.seed) for run in runs[:5]] == [
        ("tirg", "css", 0), ("film", "css", 0), ("tirg", "css-2d3d", 0), ("film", "css-2d3d", 0), ("tirg", "css", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("protocol", datasets.names())
@pytest.mark.parametrize("composer", models.names())
def test_every_composer_gets_a_record_on_every_protocol(composer: str, protocol: str, bench: Bench) -> None:
    short = override(bench.config, ["training.steps=1", "evaluation.every=0"])
    (finished,) = runs(replace(bench, config=short), Run(composer, protocol, 0))
    assert finished.failure is None
    assert finished.record is not None
    assert finished.record.parameters.total > 0
