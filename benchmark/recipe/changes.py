"""`KEY=VALUE` changes of a recipe, as `--set` takes them."""

from collections.abc import Sequence

from pydantic import ValidationError

from benchmark.errors import UsageError
from benchmark.recipe.schema import Recipe
from models.parts import unknown


def override(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """The same recipe with changes such as "training.learning_rate=1e-3".

    Raises:
        UsageError: an assignment has no "=", its key does not exist, its value has the wrong type or range, or the
            changed recipe cannot be trained with.
    """
    values = recipe.model_dump()
    for assignment in assignments:
        key, name_of_part, name, value = _parsed(assignment)
        if key not in recipe.keys():  # noqa: SIM118  not a dict
            raise UsageError(f"--set {assignment}: {unknown('key', key, recipe.keys())}")
        values[name_of_part][name] = value
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "value_error":
            raise UsageError(first["msg"].removeprefix("Value error, ")) from None
        key = ".".join(str(step) for step in first["loc"][:2])
        raise UsageError(f"--set {key}={first['input']}: {first['msg'][0].lower()}{first['msg'][1:]}") from None


def _parsed(assignment: str) -> tuple[str, str, str, str]:
    key, equals, value = (part.strip() for part in assignment.partition("="))
    if not equals:
        raise UsageError(f"--set {assignment}: expected KEY=VALUE, for instance training.steps=100")
    part, _, name = key.partition(".")
    return key, part, name, value
