"""Boards in several folders share one --runs: each record keeps the model that it was made from."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.records.store import RunRecord
from benchmark.runs import single_run
from benchmark.runs.grid import plan, run_all
from benchmark.runs.single_run import MODEL_NAME, Bench, model_place
from benchmark.search.stored_models import find_model
from benchmark.training.checkpoint import model_tensors
from models.network import Network


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
