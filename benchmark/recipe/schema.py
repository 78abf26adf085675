"""A recipe: every setting that changes the result of a run, with its default and when it has no effect.

Two recipes with the same hash are the same recipe. The hash is taken over what differs from the defaults, so a key that
is added later, with a default that leaves training as it was, changes the hash of no recipe. For the same reason a
default never changes: raise RECIPE_VERSION instead.
"""

from typing import Any, Final, Self, cast

from pydantic import BaseModel, JsonValue, model_validator

from benchmark.recipe.hashing import InertWhen, WrittenAs, hash_of
from benchmark.recipe.parts import DataRecipe, EvaluationRecipe, ModelRecipe, Part, TrainingRecipe

__all__ = ["RECIPE_VERSION", "DataRecipe", "EvaluationRecipe", "ModelRecipe", "Recipe", "TrainingRecipe"]

RECIPE_VERSION: Final = 2
"""Raise it when a recipe of which there are records would train or score differently than before: they then
run again."""


class Recipe(Part):
    """The whole recipe. Task, composer and seed are not part of it: a leaderboard compares those."""

    data: DataRecipe = DataRecipe()
    model: ModelRecipe = ModelRecipe()
    training: TrainingRecipe = TrainingRecipe()
    evaluation: EvaluationRecipe = EvaluationRecipe()

    @model_validator(mode="after")
    def _can_validate(self) -> Self:
        if self.evaluation.split == "validation" and self.evaluation.held_out == 0:
            raise ValueError("evaluation.split=validation needs a validation part: raise evaluation.held_out above 0")
        return self

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """All keys, for instance "training.steps"."""
        return tuple(f"{part}.{name}" for part in cls.model_fields for name in _fields(cls, part))

    @classmethod
    def default(cls, key: str) -> JsonValue:
        part, _, name = key.partition(".")
        return cast(JsonValue, _fields(cls, part)[name].default)

    def value(self, key: str) -> JsonValue:
        part, _, name = key.partition(".")
        return cast(JsonValue, getattr(getattr(self, part), name))

    def is_inert(self, key: str) -> bool:
        """Whether the key has no effect on the result as the other keys are."""
        part, _, name = key.partition(".")
        marks = _fields(type(self), part)[name].metadata
        return any(mark.condition(self) for mark in marks if isinstance(mark, InertWhen))

    def hashed_value(self, key: str) -> JsonValue:
        """The key's value as it is hashed: a group size that is the whole batch is "batch", however it was given."""
        part, _, name = key.partition(".")
        marks = _fields(type(self), part)[name].metadata
        found = [mark.value(self) for mark in marks if isinstance(mark, WrittenAs)]
        return found[0] if found else self.value(key)

    @property
    def content(self) -> dict[str, JsonValue]:
        """The part that is hashed and stored in records: the version, and each key that has an effect and is not at its
        default.

        >>> Recipe().content
        {'recipe_version': 2}
        """
        changed = {
            key: value
            for key in self.keys()
            if (value := self.hashed_value(key)) != self.default(key) and not self.is_inert(key)
        }
        return {"recipe_version": RECIPE_VERSION, **changed}

    @classmethod
    def from_content(cls, content: dict[str, JsonValue]) -> Self:
        """The recipe with that content.

        Raises:
            ValueError: it is of another version, or has a key or a value that this version does not have (pydantic's
                ValidationError is one).
        """
        version = content.get("recipe_version")
        if version != RECIPE_VERSION:
            raise ValueError(f"its recipe is of version {version}, this is version {RECIPE_VERSION}")
        nested: dict[str, dict[str, Any]] = {}
        for key, value in content.items():
            part, dot, name = key.partition(".")
            if dot:
                nested.setdefault(part, {})[name] = value
        return cls.model_validate(nested)

    @property
    def needs_scenes(self) -> str:
        """The first key, with its value, that needs the scenes of the training images; "" for none."""
        keys = ("training.mined_texts", "training.exchange_channels", "training.read_shapes")
        return next((f"{key}={str(value).lower()}" for key in keys if (value := self.value(key))), "")

    @property
    def hash(self) -> str:
        """64 hexadecimal digits, equal for equal recipes."""
        return hash_of(self.content)


def _fields(recipe: type[Recipe], part: str) -> dict[str, Any]:
    kind = recipe.model_fields[part].annotation
    assert isinstance(kind, type)
    assert issubclass(kind, BaseModel)
    return dict(kind.model_fields)
