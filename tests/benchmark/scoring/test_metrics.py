"""Scores over all queries and by slice, against counting."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from benchmark.records.store import read_stored, save_record
from benchmark.scoring import metrics as module
from benchmark.scoring.metrics import Scores, metric, metrics_of, slice_masks
from benchmark.scoring.recall import Outcomes, chance_recall, recall_at_k
from benchmark.tasks.css import SLICES
from tests.benchmark.made_up import make_outcomes, make_record


def test_every_slice_is_scored_alone() -> None:
    outcomes = make_outcomes()
    metrics = metrics_of(outcomes)
    assert set(metrics.slices) == {"selection", "changed", "kind", "answers", "combination", "objects"}
    assert metrics.recall == recall_at_k(outcomes.ranks)
    for attribute, values in metrics.slices.items():
        assert set(values) == set(outcomes.attributes[attribute].tolist())
        assert sum(part.queries for part in values.values()) == len(outcomes)
        for value, part in values.items():
            rows = [row for row in range(len(outcomes)) if outcomes.attributes[attribute][row] == value]
            assert part.queries == len(rows)
            assert part.recall == recall_at_k([outcomes.ranks[row] for row in rows])
            assert part.chance == chance_recall([1] * len(rows), 199)


def test_slices_are_in_the_order_of_the_task_and_others_after_them() -> None:
    columns = {
        "zeal": np.array(["b", "a", "a"]),
        "age": np.array(["10", "9", "none"]),
        "kind": np.array(["swap", "make-size", "add"]),
    }
    masks = slice_masks(columns, {name: each.values for name, each in SLICES.items()})
    assert [*masks] == ["kind", "age", "zeal"]
    assert [*masks["kind"]] == ["add", "make-size", "swap"]
    assert masks["kind"]["swap"].tolist() == [True, False, False]
    assert [*masks["zeal"]] == ["a", "b"]
    assert [*masks["age"]] == ["9", "10", "none"]
    assert [*slice_masks(columns)] == ["age", "kind", "zeal"]


@pytest.fixture
def reciprocal_rank() -> Iterator[None]:
    """A metric of somebody's, for one test."""

    @metric
    def _reciprocal(outcomes: Outcomes) -> Scores:
        return {"mrr": float((1 / outcomes.ranks).mean())}

    yield
    module._metrics.remove(_reciprocal)


def test_a_new_metric_is_one_function_and_leaves_older_records_valid(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    outcomes = make_outcomes()
    old = save_record(make_record(outcomes, seed=0), outcomes, tmp_path / "records")
    request.getfixturevalue("reciprocal_rank")
    metrics = metrics_of(outcomes)
    assert metrics.scores["mrr"] == pytest.approx(sum(1 / rank for rank in outcomes.ranks.tolist()) / len(outcomes))
    assert all("mrr" in part.scores for values in metrics.slices.values() for part in values.values())
    new = save_record(make_record(outcomes, seed=1), outcomes, tmp_path / "records")
    assert "mrr" not in read_stored(old).record.metrics.scores
    assert read_stored(new).record.metrics.scores["mrr"] == metrics.scores["mrr"]


def test_scores_without_recall_are_refused() -> None:
    values = metrics_of(make_outcomes()).model_dump()
    del values["scores"]["recall@10"]
    with pytest.raises(ValidationError, match="no recall@10 among the scores"):
        module.Metrics.model_validate(values)
