"""One run: the same seed gives the same record, and the record says what was done."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark import tasks as datasets
from benchmark.device import make_accelerator
from benchmark.recipe.changes import override
from benchmark.recipe.runtime import Runtime
from benchmark.records.store import read_stored
from benchmark.runs import single_run
from benchmark.runs.single_run import Bench
from benchmark.scoring.evaluation import evaluate
from benchmark.training.checkpoint import Checkpoint
from tests.benchmark.runs.finished_runs import reproducible, runs, the_record


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


def test_validation_runs_never_reach_a_leaderboard(bench: Bench) -> None:
    chosen = override(bench.base, ["evaluation.split=validation"])
    (finished,) = runs(replace(bench, base=chosen))
    assert finished.record is not None
    dataset = datasets.get("css").open(bench.places["css"], image_size=16, reporter=bench.reporter, skip_broken=False)
    assert 0 < finished.record.dataset.queries < len(dataset.train.queries)
    assert finished.record.dataset.gallery == len(dataset.train.gallery)
    assert not bench.leaderboards.exists()


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
