"""A run's identity, of which every part is in its place, and its runtime, which is no part of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.errors import UsageError
from benchmark.recipe.identity import Run, RunIdentity, RunName
from benchmark.recipe.presets import preset
from benchmark.recipe.runtime import Runtime, split_assignments

IDENTITY = RunIdentity("css", "tirg", "0123456789abcdef", 3, "fedcba9876543210")


def test_the_place_names_all_five() -> None:
    assert IDENTITY.place("quick") == Path("css/tirg/quick-01234567-s3-fedcba98")
    assert IDENTITY.place("quick, training.steps=9").name == "quick-changed-01234567-s3-fedcba98"


@pytest.mark.parametrize(
    "change", [{"task": "css-2d3d"}, {"composer": "film"}, {"recipe": "1" * 64}, {"seed": 4}, {"fingerprint": "2" * 64}]
)
def test_another_run_has_another_place_and_is_not_found(change: dict[str, object], tmp_path: Path) -> None:
    other = replace(IDENTITY, **change)  # type: ignore[arg-type]
    assert other.place("quick") != IDENTITY.place("quick")
    path = tmp_path / f"{IDENTITY.place('quick')}.json"
    path.parent.mkdir(parents=True)
    path.touch()
    assert IDENTITY.find(tmp_path) == path
    assert other.find(tmp_path) is None


def test_a_record_is_found_whatever_its_recipe_was_called(tmp_path: Path) -> None:
    path = tmp_path / f"{IDENTITY.place('an-old-name, training.steps=9')}.json"
    path.parent.mkdir(parents=True)
    path.touch()
    assert IDENTITY.find(tmp_path) == path


@pytest.mark.parametrize("name", ["", "quick-s0", "events.out", "model", "quick-abc-sx-def"])
def test_other_names_are_not_names_of_runs(name: str) -> None:
    assert RunName.parse(name) is None


def test_the_parts_of_a_name() -> None:
    assert RunName.parse("cpu-long-changed-01234567-s12-fedcba98") == ("cpu-long-changed", "01234567", "12", "fedcba98")


def test_a_run_comes_back_from_json() -> None:
    run = Run("css", "tirg", preset("standard"), 7, "f" * 64, True)
    again = Run.from_json(run.to_json())
    assert again.identity == run.identity
    assert again == run


def test_old_spellings_are_taken_for_the_runtime() -> None:
    recipe, runtime = split_assignments(
        ("evaluation.every=2", "training.steps=9", "evaluation.chunk = 16", "training.compile=true")
    )
    assert recipe == ("training.steps=9",)
    assert runtime == {"validate_every": 2, "batch_size": 16, "compile": True}


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("evaluation.every=often", "--set evaluation.every=often: this is the option --validate-every now"),
        ("evaluation.chunk=0", "this is the option --batch-size now"),
        ("training.compile=perhaps", "this is the option --compile now"),
    ],
)
def test_a_bad_value_names_the_option(assignment: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        split_assignments((assignment,))


@pytest.mark.parametrize(("steps", "expected"), [(550, 110), (6_000, 1_200), (4, 1), (1, 1)])
def test_by_default_a_run_is_validated_five_times(steps: int, expected: int) -> None:
    assert Runtime().validation_interval(steps) == expected


@pytest.mark.parametrize("asked", [0, 7])
def test_an_interval_that_was_asked_for_is_kept(asked: int) -> None:
    assert Runtime(validate_every=asked).validation_interval(550) == asked
