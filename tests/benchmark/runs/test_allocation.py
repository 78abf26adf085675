"""What a limit of time allows: the order of runs, what is started, and when nothing is any more."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.datasets.rendered_css import Css
from benchmark.datasets.splits import Dataset
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.recipe.presets import PRESETS
from benchmark.records.environment import device_name
from benchmark.records.store import RunRecord, save_record
from benchmark.runs import allocation, grid
from benchmark.runs.allocation import by_priority, next_run, run_within
from benchmark.runs.grid import Finished, Plan
from benchmark.runs.single_run import Bench
from benchmark.training.progress import SilentRuns
from tests.benchmark.made_up import make_outcomes, make_record

TASKS = ("css", "css-2d3d", "css-pooled")
COMPOSERS = ("concat", "film", "tirg")


def a_run(task: str, composer: str, seed: int) -> Run:
    return Run(task, composer, PRESETS["quick"], seed, "0123456789abcdef", task != "css-pooled")


def board(tasks: Sequence[str] = TASKS, seeds: int = 3) -> list[Run]:
    return [a_run(task, composer, seed) for seed in range(seeds) for task in tasks for composer in COMPOSERS]


def test_tirg_comes_first_on_each_board_then_the_next_seed_and_pooled_tasks_come_last() -> None:
    ordered = [(run.task, run.composer, run.seed) for run in by_priority(board(seeds=2))]
    first_seed = [(task, composer, 0) for task in TASKS[:2] for composer in ("tirg", "concat", "film")]
    assert ordered[:6] == first_seed
    assert ordered[6:12] == [(task, composer, 1) for task, composer, _ in first_seed]
    assert [task for task, _, _ in ordered[12:]] == ["css-pooled"] * 6
    assert set(ordered) == {(run.task, run.composer, run.seed) for run in board(seeds=2)}


@dataclass
class Diary:
    """What a simulated allocation did: each run with the seconds that were left, and how the time was used."""

    started: list[tuple[Run, float]] = field(default_factory=list)
    seconds: list[dict[Run, float]] = field(default_factory=list)
    left: float = 0.0


def simulate(runs: list[Run], recorded: set[Run], took: dict[Run, float], limit: float) -> Diary:
    """Take the planner's advice until there is none; `took` says how long each run really takes."""
    diary, done = Diary(left=limit), set(recorded)
    measured = {run: took[run] for run in recorded}
    while run := next_run(runs, done, measured, diary.left):
        diary.started.append((run, diary.left))
        diary.seconds.append(dict(measured))
        done.add(run)
        measured[run] = took[run]
        diary.left -= took[run]
        assert len(diary.started) <= len(runs)
    diary.seconds.append(dict(measured))
    return diary


def fits(run: Run, measured: dict[Run, float], left: float) -> bool:
    """Written a second time: a tenth more than the longest of its composer, or of all."""
    of_composer = [measured[each] for each in measured if each.composer == run.composer]
    longest = max(of_composer) if of_composer else max([*measured.values(), 0])
    return left > 0 and longest * 1.1 <= left


@given(data=st.data(), limit=st.floats(-1, 300))
def test_no_run_is_made_twice_or_without_time_and_none_that_fits_is_passed_over(
    data: st.DataObject, limit: float
) -> None:
    runs = list(by_priority(board(seeds=2)))
    recorded = set(data.draw(st.lists(st.sampled_from(runs))))
    took = {run: data.draw(st.floats(0.5, 100)) for run in runs}
    diary = simulate(runs, recorded, took, limit)
    made = [run for run, _ in diary.started]
    assert len(set(made)) == len(made)
    assert not set(made) & recorded
    for place, (run, left) in enumerate(diary.started):
        measured = diary.seconds[place]
        assert fits(run, measured, left)
        earlier = [each for each in runs[: runs.index(run)] if each not in recorded and each not in made[:place]]
        assert not any(fits(each, measured, left) for each in earlier)
    missing = [run for run in runs if run not in recorded and run not in made]
    assert not any(fits(run, diary.seconds[-1], diary.left) for run in missing)


@given(data=st.data(), limit=st.floats(1, 300))
def test_what_is_as_fast_as_measured_ends_in_time(data: st.DataObject, limit: float) -> None:
    """A tenth of difference between runs of one composer is within the slack."""
    runs = list(by_priority(board(seeds=2)))
    pace = {composer: data.draw(st.floats(0.5, 100)) for composer in COMPOSERS}
    took = {run: pace[run.composer] * data.draw(st.floats(1, 1.1)) for run in runs}
    recorded = {run for run in runs if run.task == "css" and run.seed == 0}
    assert simulate(runs, recorded, took, limit).left >= -1e-9


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """Runs in place of real ones, of 185.2 s by a clock of their own; FiLM fails after a second."""
    made: list[tuple[str, str, int]] = []

    def fake(run: Run, dataset: Dataset, its: Bench, title: str) -> RunRecord:
        del dataset, title
        made.append((run.task, run.composer, run.seed))
        if run.composer == "film":
            Clock.now += 1
            raise RuntimeError("no FiLM today")
        Clock.now += 185.2
        outcomes = make_outcomes()
        record = make_record(
            outcomes, composer=run.composer, protocol=run.task, recipe=run.recipe, seed=run.seed,
            device=device_name("cpu"),
        )  # fmt: skip
        save_record(record, outcomes, its.records)
        return record

    def prepare(run: Run, dataset: Dataset, its: Bench) -> None:
        del run, dataset, its
        Clock.now += Clock.preparation

    monkeypatch.setattr(Clock, "now", 0.0)
    monkeypatch.setattr(Clock, "preparation", 0.0)
    monkeypatch.setattr(allocation, "prepare", prepare)
    monkeypatch.setattr(grid, "make_record", fake)
    return made


class Clock:
    now = preparation = 0.0

    @classmethod
    def read(cls) -> float:
        return cls.now


def allocate(bench: Bench, seconds: float, **changes: Any) -> list[Finished]:
    planned = Plan(tuple(board(("css",), 2)), {"css": None})  # type: ignore[dict-item]
    return list(run_within(planned, replace(bench, **changes), seconds, clock=Clock.read))


def test_an_allocation_ends_before_a_run_that_does_not_fit_and_the_next_one_makes_it(
    bench: Bench, made: list[tuple[str, str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(SilentRuns, "message", lambda _, text: said.append(text))
    finished = allocate(bench, 600)
    assert made == [("css", "tirg", 0), ("css", "concat", 0), ("css", "film", 0), ("css", "tirg", 1)]
    assert [one.failure for one in finished] == [None, None, "RuntimeError: no FiLM today", None]
    assert said[-1] == (
        "2 of 6 runs do not fit into the 43 s that are left; the same command makes them, concat on css, seed 1 first"
    )
    made.clear()
    again = allocate(bench, 450)
    assert made == [("css", "film", 0), ("css", "concat", 1), ("css", "film", 1)]
    assert [one.is_new for one in again] == [False, False, False, True, True, True]


def test_without_any_record_one_run_is_made_however_little_time_there_is(
    bench: Bench, made: list[tuple[str, str, int]]
) -> None:
    allocate(bench, 0.5)
    assert made == [("css", "tirg", 0)]


def test_the_pace_of_another_device_says_nothing(
    bench: Bench, made: list[tuple[str, str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    allocate(bench, 0.5)
    made.clear()
    monkeypatch.setattr("benchmark.runs.allocation.device_name", lambda _: "Another GPU")
    allocate(bench, 0.5)
    assert made == [("css", "concat", 0)]


def test_with_no_time_nothing_is_made(bench: Bench, made: list[tuple[str, str, int]]) -> None:
    assert allocate(bench, 0) == []
    assert made == []


def test_the_time_to_prepare_a_dataset_is_not_taken_for_that_of_a_run(
    bench: Bench, made: list[tuple[str, str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 100 seconds of preparation two runs of 185.2 seconds fit into 500: 214.8 are left for the second."""
    monkeypatch.setattr(Clock, "preparation", 100.0)
    allocate(bench, 500)
    assert made == [("css", "tirg", 0), ("css", "concat", 0)]


def test_datasets_and_fresh_test_sets_are_prepared_before_the_first_run(css: Css, bench: Bench) -> None:
    asked: list[int] = []
    fresh: Any = SimpleNamespace(of=lambda dataset, *, image_size, reporter: asked.append(image_size))  # noqa: ARG005
    run = replace(a_run("css", "tirg", 0), recipe=override(PRESETS["quick"], ["data.image_size=16"]))
    allocation.prepare(run, css, replace(bench, fresh=fresh))
    assert asked == [16]
    assert {"train", "test"} <= set(vars(css))
