"""The registry of tasks: names in any spelling, further tasks from outside, and all that a task's one file decides."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import models
from benchmark import tasks
from benchmark.cli.main import main
from benchmark.errors import BenchmarkError, UsageError
from benchmark.leaderboard import columns
from benchmark.leaderboard.boards import build
from benchmark.leaderboard.files import load_records, write_leaderboards
from benchmark.leaderboard.score_columns import Column
from benchmark.leaderboard.tables import print_table
from benchmark.recipe.changes import override
from benchmark.recipe.presets import preset as preset_of
from benchmark.recipe.presets import preset_names
from benchmark.records.store import save_record
from benchmark.tasks import Slice, Task, registry
from benchmark.training.progress import SilentRuns
from tests.benchmark.made_up import make_outcomes, make_record


def tirg_bench(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def spellings(name: str) -> list[str]:
    return [name, name.upper(), name.replace("-", "_"), name.replace("-", ""), f" {name} "]


@pytest.mark.parametrize("name", tasks.names())
def test_case_hyphens_and_underscores_never_matter(name: str) -> None:
    task = tasks.get(name)
    for known in (task.name, *task.spellings):
        for spelling in spellings(known):
            assert tasks.get(spelling) is task
            assert tasks.folder_of(spelling) == task.folder
    for spelling in spellings(task.folder):
        assert tasks.folder_of(spelling) == task.folder


@given(name=st.text(max_size=8))
def test_any_other_name_is_refused_with_names_that_exist(name: str) -> None:
    if tasks.find(name) is None:
        with pytest.raises(UsageError, match="unknown dataset") as caught:
            tasks.get(name)
        assert any(known in str(caught.value) for known in tasks.names())


@pytest.mark.parametrize("name", tasks.names())
def test_what_a_task_says_of_itself_is_what_its_dataset_does(name: str, places: dict[str, Path]) -> None:
    task = tasks.get(name)
    dataset = task.open(tasks.locate(name, places), image_size=16, reporter=SilentRuns(), skip_broken=False)
    assert (dataset.name, dataset.spatial) == (task.name, task.spatial)
    for split in (dataset.train, dataset.test):
        assert split.queries.attributes.keys() <= task.slices.keys()
    attributes = dataset.test.queries.attributes
    for attribute, each in task.slices.items():
        assert attribute in attributes
        if each.values:
            assert set(attributes[attribute].tolist()) <= set(each.values), "every value has its place in the tables"
    assert task.averaged_over is None or task.averaged_over in task.slices
    assert (task.check is None) == bool(task.check_command)
    assert task.is_rendered == (task.source_view is not None)
    for changed, changes in task.recipe_changes.items():
        assert changed in preset_names()
        override(preset_of(changed), changes)
    override(preset_of("quick"), task.pretrained_changes)
    assert {row.method for row in task.published} <= set(models.names())


def test_data_is_found_under_every_accepted_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tasks.locate("mit-states", {}) == Path("data/mitstates")
    Path("data/mit-states").mkdir(parents=True)
    assert tasks.locate("mitstates", {}) == Path("data/mit-states")
    Path("data/mitstates").mkdir()
    assert tasks.locate("mit_states", {}) == Path("data/mitstates")


def test_folders_are_given_under_any_name_and_the_last_counts() -> None:
    one, other = Path("one"), Path("other")
    assert tasks.by_folder([("mit-states", one), ("css-2d3d", other)]) == {"mitstates": one, "css": other}
    assert tasks.by_folder([("mit-states", one), ("mitstates", other)]) == {"mitstates": other}
    with pytest.raises(UsageError, match="--data: unknown dataset 'mit-sates': did you mean mit-states"):
        tasks.by_folder([("mit-sates", one)])


@pytest.mark.parametrize("name", ["mit-states", "mitstates", "MIT_States"])
def test_commands_take_every_spelling(
    name: str, places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.runs import grid

    monkeypatch.chdir(tmp_path)
    root = places["mitstates"]
    assert tirg_bench("data", "check", name, root).exit_code == 0
    assert tirg_bench("data", "cache", name, root, "--size", 16).exit_code == 0
    asked: list[Any] = []
    monkeypatch.setattr(grid, "run_all", lambda plan, bench: asked.extend((run, bench) for run in plan.runs) or ())
    result = tirg_bench("run", "--composer", "film", "--dataset", name, "--data", f"{name}={root}", "--preset", "quick")
    assert result.exit_code == 0, result.output
    ((run, bench),) = asked
    assert run.task == "mit-states"
    assert bench.places == {"mitstates": root}
    for composer in ("film", "tirg"):
        outcomes = make_outcomes(seed=len(composer))
        save_record(make_record(outcomes, composer=composer, protocol="mit-states"), outcomes, Path("boards/records"))
    result = tirg_bench("compare", "film", "tirg", "--dataset", name, "--out", "boards")
    assert result.exit_code == 0, result.output


def made_up_task(**changes: Any) -> Task:
    """A task of somebody else's, on the data of CSS."""
    css = tasks.get("css")
    values = {
        "name": "mine",
        "title": "My own task",
        "about": "a task that was made up",
        "folder": "my-data",
        "slices": {"objects": Slice("how crowded it is", ("8", "1"))},
        "published": (),
        "later": (),
    }
    return replace(css, **(values | changes))


@pytest.fixture
def without_entry_points() -> Iterator[None]:
    before = dict(registry._tasks)
    yield
    registry._tasks.clear()
    registry._tasks.update(before)
    registry._load_entry_points.cache_clear()


class Entry:
    """An entry point of a package that is not installed."""

    def __init__(self, value: Any) -> None:
        self.name, self.value, self._loaded = "mine", "somewhere:TASK", value

    def load(self) -> Any:
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


def install(monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda group: [Entry(value)] if group == "tirg_bench.tasks" else [])
    registry._load_entry_points.cache_clear()


@pytest.mark.usefixtures("without_entry_points")
def test_a_task_of_another_package_is_everywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, css_root: Path
) -> None:
    install(monkeypatch, made_up_task())
    monkeypatch.chdir(tmp_path)
    assert "mine" in tasks.names()
    assert "\n mine " in tirg_bench("list").stdout
    result = tirg_bench("data", "cache", "my_data", css_root, "--size", 16)
    assert result.exit_code == 0, result.output
    assert "mine: " in result.stdout
    outcomes = make_outcomes()
    save_record(make_record(outcomes, protocol="mine"), outcomes, tmp_path / "records")
    write_leaderboards(tmp_path / "records", tmp_path)
    page = (tmp_path / "mine.md").read_text()
    assert page.startswith("# My own task\n")
    heading = page.index("### R@1 by how crowded it is")
    table = page[heading:].splitlines()[2]
    assert [cell.strip() for cell in table.split("|")[2:-1]] == ["8", "1", "2", "3", "4", "5", "6", "7"]
    assert page.index("### R@1 by combination") > heading, "what the task does not list follows under its own name"


@pytest.mark.usefixtures("without_entry_points")
def test_a_file_that_registers_its_task_can_be_an_entry_point_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, registry.register(made_up_task()))
    assert tasks.names().count("mine") == 1
    with pytest.raises(BenchmarkError, match="the name 'mine' belongs to the task mine"):
        registry.register(made_up_task(title="Another"))


@pytest.mark.usefixtures("without_entry_points")
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            ImportError("no module named torchtext"),
            "entry point mine of tirg_bench.tasks: cannot be loaded .*torchtext",
        ),
        ("a string", "entry point mine of tirg_bench.tasks: expected a Task"),
    ],
)
def test_an_entry_point_that_gives_no_task_is_named(monkeypatch: pytest.MonkeyPatch, value: Any, said: str) -> None:
    install(monkeypatch, value)
    with pytest.raises(BenchmarkError, match=said):
        tasks.names()


@pytest.mark.usefixtures("without_entry_points")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "css"}, "the name 'css' belongs to the task css"),
        ({"name": "MIT_States"}, "the name 'MIT_States' belongs to the task mit-states"),
        ({"spellings": ("fashion_200k",)}, "the name 'fashion_200k' belongs to the task fashion200k"),
        ({"folder": "mit-states"}, "write its folder as mit-states does, 'mitstates'"),
    ],
)
def test_a_name_is_taken_once(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BenchmarkError, match=said):
        registry.register(made_up_task(**changes))


def test_a_column_is_one_entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = columns.columns
    added = Column(
        heading="Answered",
        on=("ranking", "terminal", "site"),
        text=lambda row: f"{row.scores['all'].scores['recall@50']:.0f} of 100",
        csv={"answered": lambda row: row.scores["all"].scores["recall@50"]},
    )
    monkeypatch.setattr(columns, "columns", lambda task: (*before(task), added))
    outcomes = make_outcomes()
    save_record(make_record(outcomes), outcomes, tmp_path / "records")
    write_leaderboards(tmp_path / "records", tmp_path)
    (row,) = build(load_records(tmp_path / "records")[0])[0].rows
    cell = f"{row.scores['all'].mean[50]:.0f} of 100"
    assert cell in (tmp_path / "css.md").read_text()
    with (tmp_path / "css.csv").open(newline="") as file:
        assert {float(line["answered"]) for line in csv.DictReader(file)} == {row.scores["all"].mean[50]}
    console = Console(width=120)
    with console.capture() as capture:
        console.print(print_table(build(load_records(tmp_path / "records")[0])))
    assert cell in capture.get()
