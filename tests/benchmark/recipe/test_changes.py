"""`--set KEY=VALUE`: what is accepted, and what is said of what is not."""

import pytest

from benchmark.errors import UsageError
from benchmark.recipe.changes import override
from benchmark.recipe.presets import preset
from benchmark.recipe.schema import Recipe


def test_override_changes_that_key_alone() -> None:
    before = preset("quick")
    after = override(before, ["training.learning_rate=1e-5", "training.group_size=7"])
    assert (after.training.learning_rate, after.training.group_size) == (1e-5, 7)
    assert (
        after.training.model_copy(update={"learning_rate": before.training.learning_rate, "group_size": "batch"})
        == before.training
    )
    assert (after.data, after.model, after.evaluation) == (before.data, before.model, before.evaluation)


@pytest.mark.parametrize("key", Recipe.keys())
def test_every_key_that_is_offered_is_a_key(key: str) -> None:
    recipe = preset("quick")
    assert override(recipe, [f"{key}={recipe.value(key)}"]) == recipe


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("training.steps", r"--set training\.steps: expected KEY=VALUE"),
        ("training.step=3", r"unknown key 'training\.step': did you mean training\.steps"),
        ("steps=3", r"unknown key 'steps': did you mean training\.steps"),
        ("training.steps=many", r"--set training\.steps=many: input should be a valid integer"),
        ("training.steps=1.5", r"--set training\.steps=1\.5: input should be a valid integer"),
        ("training.steps=0", r"--set training\.steps=0: input should be greater than or equal to 1"),
        ("training.learning_rate=nan", r"--set training\.learning_rate=nan: input should be a finite number"),
        ("training.schedule=step", r"--set training\.schedule=step: input should be 'cosine', 'constant' or 'steps'"),
        ("training.group_size=1", r"--set training\.group_size=1: "),
        ("training.group_size=129", r"training\.group_size is 129 and a batch has 128 queries"),
        ("data.image_size=", r"--set data\.image_size=: input should be a valid integer"),
        ("model.pretrained=a\nb", r"--set model\.pretrained=a"),
    ],
)
def test_bad_assignment_is_one_line_that_names_it(assignment: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        override(preset("quick"), [assignment])


@pytest.mark.parametrize(
    ("assignments", "expected"),
    [
        (["repeats=5"], r"repeats is 5, and there is only 1 different group of 128 in a batch of 128 .*at most 1"),
        (["repeats=5", "group_size=128"], "there is only 1 different group"),
        (["group_size=2", "repeats=128"], r"repeats is 128, and there are only 127 different groups of 2"),
        (["sources=2", "modifications=2", "group_size=3", "repeats=4"], "there are only 3 different groups of 3"),
        (["sources=1", "modifications=1"], "a query needs the target of another one"),
    ],
)
def test_combinations_that_cannot_be_trained_with_are_refused(assignments: list[str], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        override(preset("quick"), [f"training.{assignment}" for assignment in assignments])


@pytest.mark.parametrize(
    "assignments",
    [
        ["group_size=2", "repeats=127"],
        ["group_size=2", "repeats=all"],
        ["group_size=batch", "repeats=all"],
        ["sources=2", "modifications=2", "group_size=3", "repeats=3"],
        ["sources=65536", "modifications=1024", "group_size=33000000", "repeats=1000000"],
    ],
)
def test_combinations_at_the_edge_are_possible(assignments: list[str]) -> None:
    override(preset("quick"), [f"training.{assignment}" for assignment in assignments])


def test_validation_needs_a_held_out_part() -> None:
    with pytest.raises(UsageError, match=r"raise evaluation\.held_out above 0"):
        override(preset("quick"), ["evaluation.split=validation", "evaluation.held_out=0"])


def test_a_memory_and_mirrored_batches_exclude_each_other() -> None:
    changes = ["training.memory=8", "training.mirror=true"]
    with pytest.raises(UsageError, match=r"^training\.memory=8 cannot be used with training\.mirror=true"):
        override(preset("quick"), changes)
    assert override(preset("quick"), [*changes, "training.group_size=2"]).training.remembered == 0
