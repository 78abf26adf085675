"""A run's place: every part of its identity is in it."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.recipe.identity import Run, RunIdentity, RunName
from benchmark.recipe.presets import preset

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
