"""A run that was interrupted is resumed by the code that began it; other code starts over and says so."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.recipe.schema import Recipe
from benchmark.records.store import RunRecord
from benchmark.runs import single_run
from benchmark.runs.grid import plan, run_all
from benchmark.runs.single_run import CHECKPOINT_NAME, Bench, run_folder
from benchmark.training.checkpoint import UNKNOWN_CODE, Checkpoint
from benchmark.training.loop import steps_done
from benchmark.training.progress import SilentRuns


class Heard(SilentRuns):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


def interrupted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Train, and fail before the record is written; the path of the checkpoint."""
    with monkeypatch.context() as patch:
        patch.setattr(single_run, "save_record", None)
        (failed,) = run_all(plan(["tirg"], ["css"], [0], bench), bench)
    assert failed.record is None
    return run_folder(failed.run, bench.runs) / CHECKPOINT_NAME


def finished(bench: Bench) -> RunRecord:
    (one,) = run_all(plan(["tirg"], ["css"], [0], bench), bench)
    assert one.record is not None, one.traceback
    return one.record


@pytest.mark.parametrize("changed", ["shared", "composer", "nothing"])
def test_only_a_checkpoint_of_the_same_code_is_resumed(
    changed: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    bench = replace(bench, reporter=heard)
    path = interrupted(bench, monkeypatch)
    checkpoint = Checkpoint.read(path)
    assert checkpoint.code.shared
    assert checkpoint.code.composer
    other = checkpoint.code if changed == "nothing" else checkpoint.code._replace(**{changed: "0" * 64})
    replace(checkpoint, code=other).write(path)
    steps = checkpoint.steps
    heard.messages.clear()
    record = finished(bench)
    said = [message for message in heard.messages if CHECKPOINT_NAME in message]
    assert len(said) == 1
    assert (f"resumes after step {steps}" in said[0]) is (changed == "nothing")
    assert ("starts over" in said[0] and "was made by other code" in said[0]) is (changed != "nothing")
    assert record.training.steps == steps


def test_a_checkpoint_of_unknown_code_is_of_other_code(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard()
    bench = replace(bench, reporter=heard)
    path = interrupted(bench, monkeypatch)
    replace(Checkpoint.read(path), code=UNKNOWN_CODE).write(path)
    finished(bench)
    assert any("starts over" in message for message in heard.messages)


@pytest.mark.parametrize(
    ("change", "steps"), [("training.momentum=0.5", 4), ("training.group_size=6", 4), ("training.learning_rate=1", 0)]
)
def test_a_value_without_effect_is_no_other_run(change: str, steps: int, tiny_config: Recipe, tmp_path: Path) -> None:
    """The checkpoint holds what is hashed of a recipe; the run to be resumed holds what was asked for."""
    plain = Run("css", "tirg", tiny_config, 0, "0" * 64, True)
    Checkpoint(plain, {}, 4, 1.0, {}).write(tmp_path / CHECKPOINT_NAME)
    asked = replace(plain, recipe=override(tiny_config, [change]))
    assert asked != plain
    assert steps_done(tmp_path / CHECKPOINT_NAME, asked, UNKNOWN_CODE) == (steps, False)
