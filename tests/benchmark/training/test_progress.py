"""What a person sees while a run goes on."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmark.training import progress
from benchmark.training.progress import Curves, Progress, RunTerminal


def at(step: int, *, recall: float | None = 45.67, steps: int = 2_000) -> Progress:
    return Progress(
        step=step,
        steps=steps,
        loss=1.23456 + step,
        learning_rate=1e-3,
        queries_per_second=251.4,
        recall=recall,
        seconds_left=3_725.4,
    )


def test_a_line_says_step_speed_loss_recall_and_time_left() -> None:
    line = "step 120/2000, 251 queries/s, loss 121.235, validation R@1 45.7, 1:02:05 left"
    assert str(at(120)) == line
    assert "R@1" not in str(at(120, recall=None))
    assert str(at(2_000)).endswith("validation R@1 45.7, scoring")


@pytest.fixture
def terminal(request: pytest.FixtureRequest) -> tuple[RunTerminal, io.StringIO]:
    reporter, shown = RunTerminal(), io.StringIO()
    reporter._console = Console(file=shown, width=80, force_terminal=request.param, color_system=None)
    return reporter, shown


@pytest.mark.parametrize("terminal", [True], indirect=True)
def test_on_a_terminal_of_80_columns_nothing_of_it_is_cut_off(terminal: tuple[RunTerminal, io.StringIO]) -> None:
    reporter, shown = terminal
    with reporter.training("[13/20] attribute_as_operator on css-2d3d, seed 12", 2_000) as report:
        report(at(120))
    text = shown.getvalue()
    assert "[13/20] attribute_as_operator on css-2d3d, seed 12" in text
    for part in str(at(120)).split(", "):
        assert part in text
    assert "6%" in text


@pytest.mark.parametrize("terminal", [False], indirect=True)
def test_elsewhere_there_is_a_line_now_and_then(
    terminal: tuple[RunTerminal, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    reporter, shown = terminal
    clock = iter([0.0, 10.0, 16.0, 20.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with reporter.training("tirg", 2_000) as report:
        for step in (10, 20, 30, 40):
            report(at(step))
    shown_at_once = " ".join(shown.getvalue().split())
    assert shown_at_once == f"tirg: {at(20)} tirg: {at(40)}"


def test_the_curves_of_a_resumed_run_are_those_of_a_whole_one(tmp_path: Path) -> None:
    """The first process logs up to step 50 and is killed; its last checkpoint is of step 30."""
    for first, last, done in ((10, 50, 0), (40, 70, 30)):
        curves = Curves(tmp_path, from_step=done)
        for step in range(first, last + 1, 10):
            curves.add(at(step, recall=None if step < 30 else 1.0 + done))
        curves.close()
    logged = EventAccumulator(str(tmp_path))
    logged.Reload()
    assert set(logged.Tags()["scalars"]) == {"loss", "learning_rate", "queries_per_second", "validation_recall_at_1"}
    assert [event.step for event in logged.Scalars("loss")] == [10, 20, 30, 40, 50, 60, 70]
    recalls = [(event.step, event.value) for event in logged.Scalars("validation_recall_at_1")]
    assert recalls == [(30, 1.0), (40, 31.0), (50, 31.0), (60, 31.0), (70, 31.0)]
