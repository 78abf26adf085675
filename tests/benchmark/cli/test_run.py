import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import click
import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor

import models
from benchmark import tasks as datasets
from benchmark.cli.main import main
from benchmark.errors import BenchmarkError
from benchmark.recipe.identity import Run
from benchmark.recipe.presets import preset_names
from benchmark.recipe.schema import Recipe
from benchmark.runs import grid as runner
from benchmark.training.checkpoint import Checkpoint
from css_gen.storage.configuration import Configuration
from models.registry import get
from tests.benchmark.tiny import TINY

TirgBench = Callable[..., Result]


@pytest.fixture
def tirg_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TirgBench:
    """Run `tirg-bench` with the given arguments in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


COVERED = {"ablate", "run", "list", "leaderboard", "data", "compare", "search", "verify", "new", "check", "submit"}
"""All but the first three are in files of their own: test_cli_data, ..., submissions/test_cli_submission."""


def test_every_command_has_help_and_a_test() -> None:
    assert isinstance(main, click.Group)
    assert set(main.commands) == COVERED
    for command in main.commands.values():
        assert command.help
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{command.name} {parameter.name}"


def test_list_names_everything(tirg_bench: TirgBench) -> None:
    result = tirg_bench("list")
    assert result.exit_code == 0
    for name in (*models.names(), *datasets.names(), *preset_names()):
        assert name in result.stdout


def test_run_leaves_records_tables_and_curves(tirg_bench: TirgBench, css_root: Path) -> None:
    arguments = ["run", "--composer=tirg", "--composer=concat", "--dataset=css", "--seeds=2", f"--data=css={css_root}"]
    result = tirg_bench(*arguments, *TINY)
    assert result.exit_code == 0, result.output
    records = sorted(Path("leaderboards/records").rglob("*.json"))
    assert [record.parent.name for record in records] == ["concat", "concat", "tirg", "tirg"]
    assert sorted(record.stem.split("-")[-2] for record in records) == ["s0", "s0", "s1", "s1"]
    page = Path("leaderboards/css.md").read_text()
    assert "TIRG" in page
    assert len(Path("leaderboards/css.csv").read_text().splitlines()) >= 3
    assert "TIRG" in result.stdout
    assert "the tables are in leaderboards" in result.stdout
    assert len(list(Path("runs/css/tirg").rglob("events.*"))) == 2
    assert len(list(Path("runs").rglob("model.safetensors"))) == 4
    again = tirg_bench(*arguments, *TINY)
    assert again.exit_code == 0
    assert again.stderr.count("has a record") == 4
    assert Path("leaderboards/css.md").read_text() == page


def test_run_all_is_every_composer_on_every_dataset(
    tirg_bench: TirgBench, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Run] = []
    monkeypatch.setattr(runner, "run_all", lambda planned, _: asked.extend(planned.runs) or ())
    given = [f"--data={name}={root}" for name, root in places.items()]
    assert tirg_bench("run", "--all", "--seed=5", *given).exit_code == 0
    assert {(run.composer, run.task, run.seed) for run in asked} == {
        (composer, dataset, 5) for composer in models.names() for dataset in datasets.names()
    }


def test_absent_css_is_rendered_first(tirg_bench: TirgBench, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.tasks import css

    monkeypatch.setattr(css, "_IMAGES", 60)
    monkeypatch.setattr(css, "Configuration", lambda images: Configuration(images=images, size=16))
    result = tirg_bench("run", "--composer=image_only", "--dataset=css", *TINY)
    assert result.exit_code == 0, result.output
    assert "holds no CSS dataset yet: rendering 60 images" in result.stderr
    assert Path("data/css/manifest.json").exists()


def test_leaderboard_writes_the_tables_from_the_records(tirg_bench: TirgBench, css_root: Path) -> None:
    assert tirg_bench("run", "--composer=film", "--dataset=css", f"--data=css={css_root}", *TINY).exit_code == 0
    page = Path("leaderboards/css.md")
    before = page.read_text()
    page.unlink()
    result = tirg_bench("leaderboard")
    assert result.exit_code == 0
    assert page.read_text() == before
    assert "FiLM" in result.stdout


def test_an_edited_record_is_named_and_left_out(tirg_bench: TirgBench, css_root: Path) -> None:
    arguments = ["run", "--composer=film", "--composer=concat", "--dataset=css", f"--data=css={css_root}", *TINY]
    assert tirg_bench(*arguments).exit_code == 0
    (record,) = Path("leaderboards/records/css/film").glob("*.json")
    record.write_text(record.read_text().replace('"seed": 0', '"seed": 1'))
    result = tirg_bench("leaderboard")
    assert result.exit_code == 1
    assert f"left out: {record}" in result.stderr
    assert "FiLM" not in result.stdout
    assert "Concat" in result.stdout


def test_a_failure_is_on_the_final_table_and_the_code_is_1(
    tirg_bench: TirgBench, css_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = runner.make_record

    def failing(run: Run, *others: object) -> object:
        if run.composer == "film":
            raise BenchmarkError("the loss of step 2 is not finite")
        return real(run, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "make_record", failing)
    arguments = ["run", "--composer=film", "--composer=concat", "--dataset=css", f"--data=css={css_root}", *TINY]
    result = tirg_bench(*arguments)
    assert result.exit_code == 1
    assert "Concat" in result.stdout
    assert "film on css, seed 0" in result.stdout
    assert "film on css, seed 0: the loss of step 2 is not finite" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in tirg_bench(*arguments, "--debug").stderr


class Breaking(models.Composer):
    """Raises what it was told to, or multiplies by what it was told to, in its third step."""

    what: ClassVar[Exception | float]

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        self.steps = 0

    def forward(self, image: Tensor, text: models.TextFeatures) -> Tensor:
        self.steps += 1
        if self.steps < 3:
            return image + text.pooled.sum()
        if isinstance(self.what, Exception):
            raise self.what
        return image * self.what


FAULTS: dict[str, tuple[Exception | float, str]] = {
    "diverging": (
        math.nan,
        "the loss of step 3 is not finite: training of diverging on css, seed 0 stopped; ",
    ),
    "greedy": (
        torch.OutOfMemoryError("CUDA out of memory"),
        "out of memory at step 3 of greedy on css, seed 0: lower training",
    ),
    "faulty": (IndexError("no such cell"), "IndexError: no such cell"),
}


def test_run_all_with_faulty_composers_finishes_the_others(
    tirg_bench: TirgBench, css_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = models.names()
    monkeypatch.setattr("models.registry._composers", {name: get(name) for name in sound})
    for name, (what, _) in FAULTS.items():
        info = models.ComposerInfo(name=name, title=name, paper="Nobody", year=2026, url="https://example.org")
        models.register(type(name, (Breaking,), {"info": info, "what": what}))
    arguments = ["run", "--all", "--dataset=css", f"--data=css={css_root}", *TINY, "--set=training.steps=4"]
    result = tirg_bench(*arguments, "--checkpoint-seconds=0")
    assert result.exit_code == 1
    assert {path.parent.name for path in Path("leaderboards/records").rglob("*.json")} == set(sound)
    table = " ".join(result.stdout.split())
    for name, (_, failure) in FAULTS.items():
        assert f"failed: {name} on css, seed 0: {failure}" in result.stderr
        assert f"{name} on css, seed 0 failed: {failure}" in table
        assert name not in Path("leaderboards/css.md").read_text()
    assert "Traceback" not in result.stderr
    (kept,) = Path("runs/css/diverging").rglob("training.safetensors")
    assert Checkpoint.read(kept).steps == 2
    again = tirg_bench(*arguments)
    assert again.exit_code == 1
    assert again.stderr.count("has a record") == len(sound)


def lose_shard(root: Path) -> None:
    next((root / "test").glob("images-*")).unlink()


def make_newer(root: Path) -> None:
    path = root / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))


@pytest.mark.parametrize(("damage", "expected"), [(lose_shard, "is missing"), (make_newer, "format version 99")])
def test_a_dataset_that_is_corrupt_or_of_another_version_is_named(
    damage: Callable[[Path], None], expected: str, tirg_bench: TirgBench, tiny_copy: Path
) -> None:
    damage(tiny_copy)
    result = tirg_bench("run", "--composer=concat", "--dataset=css", f"--data=css={tiny_copy}", *TINY)
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("tirg-bench: ")
    assert expected in last
    assert str(tiny_copy) in last
    assert "Traceback" not in result.stderr
    assert not list(Path("leaderboards").rglob("*.parquet"))


def test_without_a_command_there_is_help_and_code_2(tirg_bench: TirgBench) -> None:
    result = tirg_bench()
    assert result.exit_code == 2
    assert "Commands:" in result.stderr
    assert "\n  tirg-bench list " in result.stderr


def test_list_says_what_can_be_set_and_where_data_is_absent(tirg_bench: TirgBench) -> None:
    text = " ".join(tirg_bench("list").stdout.split())
    for key in Recipe.keys():  # noqa: SIM118  not a dict
        assert key in text
    assert "training.steps 550 6000 2000 160000" in text
    assert "data/css (absent: `run` makes it)" in text


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["run"], 2, "say what to run: either --all, or --composer NAME"),
        (["run", "--all", "--composer=tirg"], 2, "say what to run"),
        (["run", "--composer=trig"], 2, "unknown composer 'trig': did you mean tirg"),
        (["run", "--composer=tirg", "--dataset=cs"], 2, "unknown dataset 'cs': did you mean css"),
        (["run", "--composer=tirg", "--preset=quik"], 2, "unknown preset 'quik': did you mean quick"),
        (["run", "--composer=tirg", "--set=training.step=3"], 2, "did you mean training.steps"),
        (["run", "--composer=tirg", "--set=training.steps=many"], 2, "--set training.steps=many: input should be"),
        (["run", "--composer=tirg", "--seed=-1"], 2, "'--seed'"),
        (["run", "--composer=tirg", "--seeds=0"], 2, "'--seeds'"),
        (["run", "--composer=tirg", "--seeds=1,1"], 2, "'--seeds'"),
        (["run", "--composer=tirg", "--seeds=a"], 2, "'--seeds'"),
        (["run", "--composer=tirg", "--seeds=²"], 2, "'²' is neither a number of seeds nor a list"),
        (["run", "--composer=tirg", "--seeds=٣"], 2, "is neither a number of seeds nor a list"),
        (["run", "--composer=tirg", "--seeds=1000000000"], 2, "expected at most 1,000 seeds"),
        (["run", "--composer=tirg", "--seeds=99999999999999999999"], 2, "neither a number of seeds nor a list"),
        (["run", "--composer=tirg", "--seeds=0,4294967296"], 2, "expected seeds of at most 4294967295"),
        (["run", "--composer=tirg", "--seed=4294967296"], 2, "'--seed'"),
        (["run", "--composer=tirg", "--threads=0"], 2, "'--threads'"),
        (["run", "--composer=tirg", "--batch-size=0"], 2, "'--batch-size'"),
        (["run", "--composer=tirg", "--validate-every=-1"], 2, "'--validate-every'"),
        (["run", "--composer=tirg", "--set=training.repeats=5"], 2, "there is only 1 different group of 128"),
        (["run", "--composer=tirg", "--set=training.optimiser=adam", "--data=css=x"], 2, "did you mean 'adamw'?"),
        (["run", "--composer=mine.py"], 2, "a local file is not part of the leaderboards; name a folder"),
        (["run", "--composer=mine.py", "--out=elsewhere"], 2, "mine.py: expected a Python file"),
        (["run", "--composer=tirg", "--seeds=2", "--seed=1"], 2, "--seed and --seeds exclude each other"),
        (["run", "--composer=tirg", "--data=css"], 2, "is not NAME=PATH"),
        (["run", "--composer=tirg", "--data=cs=x"], 2, "--data: unknown dataset 'cs': did you mean css"),
        (["run", "--composer=tirg", "--device=gpu"], 2, "--device gpu: expected cpu, cuda, or cuda:N"),
        (["run", "--composer=tirg", "--data=css=missing"], 1, "missing does not exist"),
        (["run", "--composer=tirg", "--pretrained=no/such.pth", "--data=css=x"], 1, "no/such.pth"),
        (["run", "--composer=tirg", "--out=/proc/nowhere"], 1, "/proc/nowhere cannot be written to"),
        (["leaderboard"], 1, "there are no records yet"),
        (["rum"], 2, "unknown command 'rum': did you mean run? (see"),
        (["run", "--composers=tirg"], 2, "No such option '--composers'"),
    ],
)
def test_bad_input_ends_in_one_line(arguments: list[str], code: int, expected: str, tirg_bench: TirgBench) -> None:
    result = tirg_bench(*arguments)
    assert result.exit_code == code, result.output
    assert expected in result.stderr
    assert result.stderr.startswith("tirg-bench: error: ")
    assert result.stderr.count("\n") == 1
    assert not list(Path().rglob("*.parquet"))


def test_an_unexpected_error_has_a_traceback_with_debug_alone(
    tirg_bench: TirgBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "names", lambda: 1 / 0)
    assert "unexpected ZeroDivisionError" in tirg_bench("list").stderr
    assert "Traceback" not in tirg_bench("list").stderr
    assert "Traceback" in tirg_bench("list", "--debug").stderr


def test_interrupted_says_how_to_resume(tirg_bench: TirgBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(models, "names", stop)
    result = tirg_bench("list")
    assert result.exit_code == 130
    assert "interrupted; run the same command again to resume" in result.stderr
