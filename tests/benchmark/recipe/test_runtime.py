"""Settings that are recorded and never hashed."""

import pytest

from benchmark.errors import UsageError
from benchmark.recipe.runtime import Runtime, split_assignments


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
