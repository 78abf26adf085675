"""A run with a record is skipped; no record is replaced without a flag."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.recipe.changes import override
from benchmark.records import equal_versions
from benchmark.records.store import RunRecord, read_stored
from benchmark.runs import single_run
from benchmark.runs.grid import plan, run_all
from benchmark.runs.single_run import MODEL_NAME, Bench, model_place
from benchmark.search.stored_models import find_model
from benchmark.training.checkpoint import model_tensors
from benchmark.training.progress import SilentRuns
from css_gen.render import render
from css_gen.storage.configuration import Configuration
from models.network import Network
from tests.benchmark.made_up import version_that_equals
from tests.benchmark.runs.finished_runs import reproducible, runs, the_record


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
    with monkeypatch.context() as patch:
        patch.setattr(equal_versions, "FILE", bench.runs / "equal_versions.json")
        equal_versions.add([version_that_equals("f" * 64, first.record.environment.code_version)])
        runs(bench)
    assert said[-1].endswith(f": has a record, R@1 {first.record.metrics.recall[1]:.1f}")
    (third,) = runs(replace(bench, replace=True))
    assert third.is_new
    monkeypatch.setattr("benchmark.runs.grid.composer_sha256", lambda composer: "f" * 64)  # noqa: ARG005
    runs(bench)
    assert "has a record of another version of the composer" in said[-1]


def test_runs_of_other_recipes_and_other_data_leave_each_other_alone(bench: Bench, tmp_path: Path) -> None:
    runs(bench)
    before = {path: path.read_bytes() for path in bench.records.rglob("*.*") if path.is_file()}
    models_before = {path: path.read_bytes() for path in bench.runs.rglob("model.safetensors")}
    runs(replace(bench, base=override(bench.base, ["training.learning_rate=0.5"])))
    render(tmp_path / "other", Configuration(images=60, size=16, seed=9), jobs=1)
    runs(replace(bench, places={"css": tmp_path / "other"}))
    assert len(list(bench.records.rglob("*.json"))) == 3
    assert len(list(bench.runs.rglob("model.safetensors"))) == 3
    assert all(path.read_bytes() == content for path, content in (before | models_before).items())


def finished(bench: Bench) -> RunRecord:
    (one,) = run_all(plan(["tirg"], ["css"], [0], bench), bench)
    assert one.record is not None, one.traceback
    return one.record


def is_there(record: RunRecord) -> bool:
    assert record.checkpoint is not None
    return hashlib.sha256(Path(record.checkpoint.path).read_bytes()).hexdigest() == record.checkpoint.sha256


def test_a_run_with_another_result_leaves_the_model_of_the_first(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = finished(bench)
    same = finished(replace(bench, leaderboards=tmp_path / "same"))
    assert same.checkpoint == first.checkpoint

    def changed(network: Network) -> object:
        return {name: value + 1 for name, value in model_tensors(network).items()}

    monkeypatch.setattr(single_run, "model_tensors", changed)
    other = finished(replace(bench, leaderboards=tmp_path / "other"))
    assert first.checkpoint is not None
    assert other.checkpoint is not None
    assert other.checkpoint.path != first.checkpoint.path
    assert is_there(first)
    assert is_there(other)
    assert find_model(bench.runs, "tirg", "css", None, 0) == Path(other.checkpoint.path)


def test_a_model_is_replaced_only_where_its_record_may_be(tmp_path: Path) -> None:
    usual = tmp_path / MODEL_NAME
    assert model_place(tmp_path, b"one", replace=False) == usual
    usual.write_bytes(b"one")
    assert model_place(tmp_path, b"one", replace=False) == usual
    assert model_place(tmp_path, b"two", replace=True) == usual
    assert (
        model_place(tmp_path, b"two", replace=False).name
        == f"model-{hashlib.sha256(b'two').hexdigest()[:8]}.safetensors"
    )
