"""The hash of a recipe, and marks on its keys: which of them count, and as which value."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue

if TYPE_CHECKING:
    from benchmark.recipe.schema import Recipe

PINNED_FILE: Final = re.compile(r"(?P<path>.+)@sha256:(?P<digest>[0-9a-f]{64})")
"""A file of weights with the SHA-256 of its content, see `weights_file`."""

TAGGED_FILE: Final = re.compile(r"(?P<tag>[A-Za-z0-9_-]+)=(?P<path>.+)")
"""A file of weights after the tag of published weights that it was trained like: images are normalised as for those."""


@dataclass(frozen=True)
class InertWhen:
    """Marks a key that has no effect on the result while a condition on the recipe holds; it is then not hashed.

    A condition names the values under which the key is known to be ignored, not those under which it is used: a
    registered optimiser or loss of which nothing is known here may use every key.
    """

    condition: "Callable[[Recipe], bool]"


@dataclass(frozen=True)
class WrittenAs:
    """Gives the value of a key that is hashed: one of several that mean the same on a recipe."""

    value: "Callable[[Recipe], JsonValue]"


def hashed_group_size(recipe: "Recipe") -> JsonValue:
    """`training.group_size` as it is hashed: "batch" if that is what the number means."""
    training = recipe.training
    is_whole = training.loss == "sample_similarity" and training.has_one_group
    return "batch" if is_whole else training.group_size


def hashed_repeats(recipe: "Recipe") -> JsonValue:
    """`training.repeats` as it is hashed: "all" if that is what the number means."""
    training = recipe.training
    is_all = training.loss == "sample_similarity" and training.groups == training.batch - 1
    return "all" if is_all else training.repeats


def hash_of(content: dict[str, JsonValue]) -> str:
    """The hash of a recipe's content: SHA-256 of its JSON with sorted keys. Of a file of weights the digest counts and
    its tag, and not its path.

    Raises:
        ValueError: the content holds NaN or infinity.
    """
    hashed = {key: _without_path(value) for key, value in content.items()}
    text = json.dumps(hashed, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _without_path(value: JsonValue) -> JsonValue:
    found = PINNED_FILE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    tagged = TAGGED_FILE.fullmatch(found["path"])
    return f"{tagged['tag']}=sha256:{found['digest']}" if tagged else f"sha256:{found['digest']}"
