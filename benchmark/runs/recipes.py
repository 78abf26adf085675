"""Recipes as a task has them: presets with the task's own changes, and what a recipe is called there."""

from collections.abc import Sequence

from benchmark import tasks
from benchmark.recipe.changes import override
from benchmark.recipe.label import label
from benchmark.recipe.presets import Changes, preset, variants
from benchmark.recipe.schema import Recipe
from benchmark.recipe.weights_file import pinned


def recipe_on(task: str, name: str, *, pretrained: str | None = None, assignments: Sequence[str] = ()) -> Recipe:
    """A preset as the task has it, then with the changes for pretrained weights, then with the user's. Files of weights
    get the digest of their content.

    Raises:
        UsageError: the preset, a key or a value is unknown, or the recipe cannot be trained with.
    """
    weights = (f"model.pretrained={pretrained}", *_pretrained_changes(task)) if pretrained else ()
    return pinned(override(preset(name, _changes(task)), (*weights, *assignments)))


def label_on(task: str, recipe: Recipe) -> str:
    """Name a recipe as the task does: "paper" is the task's own variant of it. See `recipe.label`."""
    return label(recipe, variants(_changes(task)))


def _changes(task: str) -> Changes:
    found = tasks.find(task)
    return found.recipe_changes if found else {}


def _pretrained_changes(task: str) -> tuple[str, ...]:
    found = tasks.find(task)
    return found.pretrained_changes if found else ()
