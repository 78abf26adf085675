"""What recipes are called: a function of the hash alone."""

import pytest
from hypothesis import given

from benchmark.errors import UsageError
from benchmark.recipe import presets
from benchmark.recipe.changes import override
from benchmark.recipe.label import changed_keys, label, slug
from benchmark.recipe.presets import PRESETS, preset, variants
from benchmark.recipe.schema import Recipe
from tests.benchmark.recipe.test_schema import built, some_values

TASKS_CHANGES = {"paper": ("training.sources=32", "training.modifications=1")}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_called_by_its_name_and_has_a_line_about_it(name: str) -> None:
    assert label(preset(name)) == name
    assert presets.preset_about(name)


def test_presets_have_hashes_of_their_own() -> None:
    assert len({recipe.hash for recipe in PRESETS.values()}) == len(PRESETS)


def test_changes_that_cancel_give_the_preset_back() -> None:
    changed = override(preset("quick"), ["training.steps=7"])
    assert label(changed) == "quick, training.steps=7"
    assert label(override(changed, ["training.steps=385"])) == "quick"
    assert label(override(preset("quick"), ["training.steps=6000"])) == "cpu-long"


def test_an_inert_change_is_not_shown() -> None:
    assert label(override(preset("quick"), ["training.momentum=0.5"])) == "quick"
    changed = override(preset("quick"), ["training.optimiser=sgd", "training.momentum=0.5", "training.muon_lr=1"])
    assert label(changed) == "quick, training.optimiser=sgd, training.momentum=0.5"


def test_the_nearest_preset_comes_first() -> None:
    assert label(override(preset("cpu-long"), ["training.shift=2"])) == "cpu-long, training.shift=2"
    assert label(override(preset("paper"), ["training.precision=bf16"])) == "paper, training.precision=bf16"


def test_a_long_list_is_counted() -> None:
    changes = [f"model.{name}=9" for name in ("text_width", "state_width", "embedding_width")]
    changes += ["training.steps=9", "training.sources=9", "training.modifications=9", "training.shift=9"]
    changed = override(preset("quick"), changes)
    assert label(changed) == f"quick, 7 keys changed ({changed.hash[:8]})"
    far = override(preset("quick"), [f"model.pretrained={'x' * 500}"])
    assert label(far) == f"quick, 1 key changed ({far.hash[:8]})"


def test_a_tasks_variant_has_the_presets_name() -> None:
    of_task = variants(TASKS_CHANGES)
    assert label(preset("paper", TASKS_CHANGES), of_task) == "paper"
    assert label(preset("paper"), of_task) == "paper, training.sources=16, training.modifications=2"
    assert label(preset("quick"), of_task) == "quick"


@given(values=some_values())
def test_recipes_of_one_hash_have_one_name(values: dict[str, object]) -> None:
    recipe = built(values)
    again = Recipe.from_content(recipe.content)
    assert label(again) == label(recipe)
    assert changed_keys(recipe, again) == ()
    assert slug(label(recipe)).removesuffix("-changed") in PRESETS
    assert len(label(recipe)) <= 300
    assert "\n" not in label(recipe)


def test_unknown_preset_offers_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown preset 'quik': did you mean quick"):
        preset("quik")


def test_name_that_is_near_nothing_gets_the_whole_list() -> None:
    names = "cpu-long, cpu-long-mined, cpu-long-shapes, paper, quick, standard, standard-mined"
    with pytest.raises(UsageError, match=f"there are {names}"):
        preset("zzz")


def test_paper_preset_is_the_papers() -> None:
    training = preset("paper").training
    assert (training.batch, training.modifications, training.steps) == (32, 2, 160_000)
    assert (training.optimiser, training.learning_rate, training.momentum) == ("sgd", 0.01, 0.9)
    assert training.loss == "random_triplets"
