import pytest
from pydantic import ValidationError

from benchmark.errors import UsageError
from benchmark.recipe import config
from benchmark.recipe.config import override, preset


@pytest.mark.parametrize("name", config.preset_names())
def test_preset_has_its_own_name_and_a_line_about_it(name: str) -> None:
    assert preset(name).preset == name
    assert config.preset_about(name)


def test_paper_preset_is_the_papers() -> None:
    training = preset("paper").training
    assert (training.batch, training.modifications, training.steps) == (32, 2, 160_000)
    assert (training.optimiser, training.learning_rate, training.momentum) == ("sgd", 0.01, 0.9)
    assert (training.group_size, training.repeats) == (2, "all")


def test_override_changes_that_key_alone() -> None:
    before = preset("quick")
    after = override(before, ["training.learning_rate=1e-5", "training.group_size=7"])
    assert (after.training.learning_rate, after.training.group_size) == (1e-5, 7)
    assert (
        after.training.model_copy(update={"learning_rate": before.training.learning_rate, "group_size": "batch"})
        == before.training
    )
    assert (after.data, after.model, after.evaluation) == (before.data, before.model, before.evaluation)


def test_changed_recipe_has_another_name_and_hash_and_an_unchanged_one_has_not() -> None:
    before = preset("quick")
    changed = override(before, ["training.steps=7"])
    assert changed.hash != before.hash
    assert changed.preset == f"quick+{changed.hash[:8]}"
    assert override(before, [f"training.steps={before.training.steps}"]) == before


def test_hash_ignores_the_presets_name() -> None:
    before = preset("quick")
    assert before.model_copy(update={"preset": "other"}).hash == before.hash


@pytest.mark.parametrize("key", config.keys())
def test_every_key_that_is_offered_is_a_key(key: str) -> None:
    part, name = key.split(".")
    value = getattr(getattr(preset("quick"), part), name)
    assert override(preset("quick"), [f"{key}={value}"]) == preset("quick")


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
        ("training.optimiser=adam", r"--set training\.optimiser=adam: input should be 'adamw', 'sgd' or 'muon'"),
        ("training.compile=perhaps", r"--set training\.compile=perhaps: input should be a valid boolean"),
        ("training.group_size=1", r"--set training\.group_size=1: "),
        ("training.group_size=129", r"training\.group_size is 129 and a batch has 128 queries"),
        ("data.image_size=", r"--set data\.image_size=: input should be a valid integer"),
    ],
)
def test_bad_assignment_is_one_line_that_names_it(assignment: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected) as caught:
        override(preset("quick"), [assignment])
    assert "\n" not in str(caught.value)


def test_unknown_preset_offers_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown preset 'quik': did you mean quick"):
        preset("quik")


def test_name_that_is_near_nothing_gets_the_whole_list() -> None:
    with pytest.raises(UsageError, match="there are cpu-long, paper, quick, standard"):
        preset("zzz")


def test_recipe_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        preset("quick").training.steps = 3  # type: ignore[misc]
