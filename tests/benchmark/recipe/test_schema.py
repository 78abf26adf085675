"""The two laws of a recipe's hash: a new key with a neutral default changes none, and an inert key never counts."""

import math
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError, create_model

from benchmark.recipe.hashing import hash_of
from benchmark.recipe.schema import RECIPE_VERSION, Recipe

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "data.image_size": st.integers(8, 1024),
    "model.image_encoder": st.sampled_from(["small_resnet", "resnet18"]),
    "model.pretrained": st.sampled_from(["", "torchvision", "weights.pth"]),
    "model.text_encoder": st.sampled_from(["word_lstm", "sentence_file", "open_clip/ViT-B-32", "another"]),
    "model.text_weights": st.sampled_from(["", "sentences.npz"]),
    "model.text_width": st.integers(1, 8192),
    "model.state_width": st.integers(1, 8192),
    "model.embedding_width": st.integers(1, 8192),
    "model.dropout": st.floats(0, 0.9),
    "training.steps": st.integers(1, 10_000_000),
    "training.sources": st.integers(2, 8),
    "training.modifications": st.integers(1, 4),
    "training.loss": st.sampled_from(["sample_similarity", "random_triplets", "another"]),
    "training.optimiser": st.sampled_from(["adamw", "sgd", "muon", "another"]),
    "training.learning_rate": st.floats(1e-9, 100),
    "training.muon_lr": st.floats(1e-9, 100),
    "training.scale_factor": st.floats(0, 1000),
    "training.encoder_factor": st.floats(0, 1),
    "training.weight_decay": st.floats(0, 1),
    "training.momentum": st.floats(0, 0.99),
    "training.schedule": st.sampled_from(["cosine", "constant", "steps"]),
    "training.warmup": st.floats(0, 0.9),
    "training.decay": st.floats(0.01, 1),
    "training.decay_every": st.integers(1, 10**6),
    "training.group_size": st.sampled_from(["batch", 2, 3, 4]),
    "training.repeats": st.sampled_from(["all", 1, 2, 3]),
    "training.symmetric": st.booleans(),
    "training.auxiliary": st.floats(0, 1000),
    "training.memory": st.integers(0, 9),
    "training.memory_start": st.floats(0, 1),
    "training.precision": st.sampled_from(["fp32", "bf16"]),
    "training.shift": st.integers(0, 64),
    "training.brightness": st.floats(0, 0.9),
    "training.mirror": st.booleans(),
    "training.mined_texts": st.booleans(),
    "training.exchange_channels": st.booleans(),
    "training.read_shapes": st.floats(0, 1000),
    "evaluation.split": st.sampled_from(["test", "validation"]),
    "evaluation.held_out": st.floats(0, 0.9),
    "evaluation.held_out_combinations": st.integers(0, 12),
}


def built(values: dict[str, Any], kind: type[Recipe] = Recipe) -> Recipe:
    """The recipe of flat values; a combination that is refused is not what is tested here."""
    nested: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        part, _, name = key.partition(".")
        nested.setdefault(part, {})[name] = value
    try:
        return kind.model_validate(nested)
    except ValidationError:
        assume(False)
        raise


@st.composite
def some_values(draw: st.DrawFn) -> dict[str, Any]:
    """Some keys, the others at their defaults, as recipes are."""
    keys = draw(st.sets(st.sampled_from(list(VALUES))))
    return {key: draw(VALUES[key]) for key in sorted(keys)}


@cache
def extended(part: str, default: Any) -> type[Recipe]:
    """The schema with one more key in that part, as a later version would have it."""
    old: Any = Recipe.model_fields[part].annotation
    new = create_model("Extended", __base__=old, new_key=(type(default), Field(default=default)))
    return create_model("ExtendedRecipe", __base__=Recipe, **{part: (new, new())})  # type: ignore[call-overload,no-any-return]


def test_every_key_is_tested_here_and_has_a_default() -> None:
    assert set(Recipe.keys()) == set(VALUES)
    assert Recipe().content == {"recipe_version": RECIPE_VERSION}


@pytest.mark.parametrize("default", [0.0, False, "name"])
@pytest.mark.parametrize("part", list(Recipe.model_fields))
@settings(max_examples=25)
@given(values=some_values())
def test_a_new_key_at_its_default_changes_no_hash(part: str, default: Any, values: dict[str, Any]) -> None:
    later = built(values, extended(part, default))
    assert f"{part}.new_key" in later.keys()  # noqa: SIM118  not a dict
    assert later.hash == built(values).hash


@given(values=some_values())
def test_a_new_key_with_another_value_changes_the_hash(values: dict[str, Any]) -> None:
    kind = extended("training", 0)
    assert built(values | {"training.new_key": 1}, kind).hash != built(values).hash


def inert_by_hand(key: str, recipe: Recipe) -> bool:
    """Which keys are ignored, written down a second time, from what training does with them."""
    training = recipe.training
    batch = training.sources * training.modifications
    match key:
        case "model.text_weights":
            return recipe.model.text_encoder == "word_lstm"
        case "model.state_width":
            return recipe.model.text_encoder in ("sentence_file", "open_clip/ViT-B-32")
        case "training.muon_lr":
            return training.optimiser in ("adamw", "sgd")
        case "training.momentum":
            return training.optimiser in ("adamw", "muon")
        case "training.decay" | "training.decay_every":
            return training.schedule in ("cosine", "constant")
        case "training.group_size":
            return training.loss == "random_triplets"
        case "training.repeats":
            is_whole = training.group_size in ("batch", batch)
            return training.loss == "random_triplets" or (training.loss == "sample_similarity" and is_whole)
        case "training.symmetric":
            return training.loss == "random_triplets"
        case "training.memory" | "training.memory_start":
            has_none = training.loss != "sample_similarity" or training.group_size not in ("batch", batch)
            return has_none or (key == "training.memory_start" and training.memory == 0)
        case "evaluation.held_out_combinations":
            return recipe.evaluation.split == "test"
        case _:
            return False


def means_the_same(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes that differ in one key of the paper's loss draw the same groups: equal K and equal M."""

    def groups(recipe: Recipe) -> tuple[int, int] | None:
        training = recipe.training
        batch = training.sources * training.modifications
        size = batch if training.group_size == "batch" else training.group_size
        if training.loss != "sample_similarity":
            return None
        if size == batch:
            return size, 1
        return size, batch - 1 if training.repeats == "all" else training.repeats

    drawn = {"group_size", "repeats"}
    others = [recipe.model_dump(exclude={"training": drawn}) for recipe in (one, other)]
    return others[0] == others[1] and groups(one) is not None and groups(one) == groups(other)


@pytest.mark.parametrize("key", list(VALUES))
@settings(max_examples=30)
@given(data=st.data(), values=some_values())
def test_a_key_counts_if_and_only_if_it_has_an_effect(key: str, data: st.DataObject, values: dict[str, Any]) -> None:
    recipe = built(values)
    changed = built(values | {key: data.draw(VALUES[key])})
    assume(changed.value(key) != recipe.value(key))
    if means_the_same(recipe, changed):
        assert changed.hash == recipe.hash
    elif inert_by_hand(key, recipe):
        assert changed.hash == recipe.hash
        assert key not in recipe.content
    else:
        assert changed.hash != recipe.hash


@given(values=some_values())
def test_content_gives_the_recipe_back(values: dict[str, Any]) -> None:
    recipe = built(values)
    again = Recipe.from_content(recipe.content)
    assert again.hash == recipe.hash == hash_of(recipe.content)
    assert all(again.value(key) == recipe.hashed_value(key) for key in recipe.content if "." in key)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"group_size": 8}, {"group_size": "batch"}),
        ({"group_size": 8, "repeats": 1}, {"group_size": "batch", "repeats": "all"}),
        ({"group_size": 2, "repeats": 7}, {"group_size": 2, "repeats": "all"}),
        ({"group_size": 3, "repeats": 7}, {"group_size": 3, "repeats": "all"}),
    ],
)
def test_the_same_groups_are_one_recipe(one: dict[str, Any], other: dict[str, Any]) -> None:
    """In a batch of 8; a loss of which nothing is known may read the values as they were given."""
    recipes = [
        built({f"training.{key}": value for key, value in {"sources": 4, "modifications": 2, **values}.items()})
        for values in (one, other)
    ]
    assert recipes[0].hash == recipes[1].hash
    assert recipes[0].training.groups == recipes[1].training.groups
    unknown = [recipe.model_dump() for recipe in recipes]
    for values in unknown:
        values["training"]["loss"] = "another"
    assert len({Recipe.model_validate(values).hash for values in unknown}) == 2


def test_equal_numbers_have_equal_hashes_however_they_are_written() -> None:
    plain = built({"model.dropout": 0, "training.scale_factor": 30})
    assert plain.hash == built({"model.dropout": -0.0, "training.scale_factor": "30.0"}).hash
    assert math.copysign(1, built({"model.dropout": -0.0}).model.dropout) == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"recipe_version": 1}, "its recipe is of version 1, this is version"),
        ({}, "its recipe is of version None"),
        ({"recipe_version": RECIPE_VERSION, "training.fame": 1}, "fame"),
        ({"recipe_version": RECIPE_VERSION, "training.steps": 0}, "greater than or equal to 1"),
    ],
)
def test_content_of_another_version_is_refused(content: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Recipe.from_content(content)


def test_recipe_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().training.steps = 3  # type: ignore[misc]
