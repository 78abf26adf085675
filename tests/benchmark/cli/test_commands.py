"""Every command has help; bad input ends in one line; errors and interruptions say what to do."""

from pathlib import Path

import click
import pytest

import models
from benchmark import tasks as datasets
from benchmark.cli.main import main
from benchmark.recipe.presets import preset_names
from benchmark.recipe.schema import Recipe
from tests.benchmark.cli.invoking import TirgBench

COVERED = {
    *(
        "ablate",
        "check",
        "compare",
        "data",
        "embed",
        "explain",
        "leaderboard",
        "list",
        "new",
        "plot",
        "pull",
        "push",
        "queries",
        "rerank",
        "run",
        "scaling",
        "score",
        "search",
    ),
    *("serve", "submit", "verify"),
}
"""Commands that have tests of their own. Add a test with the name of a new command here."""


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


def test_without_a_command_there_is_help_and_code_2(tirg_bench: TirgBench) -> None:
    result = tirg_bench()
    assert result.exit_code == 2
    assert "Commands:" in result.stderr
    assert "\n  tirg-bench list " in result.stderr


def test_list_says_what_can_be_set_and_where_data_is_absent(tirg_bench: TirgBench) -> None:
    text = " ".join(tirg_bench("list").stdout.split())
    for key in Recipe.keys():  # noqa: SIM118  not a dict
        assert key in text
    assert "training.steps 385 6000 6000 6000 650 650 160k" in text
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
        (["run", "--composer=tirg", "--set=training.optimiser=adam", "--data=css=x"], 2, "did you mean adamw?"),
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
