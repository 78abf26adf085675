"""Name a recipe: the preset that it equals, or the nearest preset and the keys that differ."""

import re
from collections.abc import Mapping

from pydantic import JsonValue

from benchmark.recipe import presets
from benchmark.recipe.schema import Recipe
from benchmark.recipe.weights_file import shortened

_MOST_KEYS = 6
_LONGEST = 200


def label(recipe: Recipe, variants: Mapping[str, Recipe] | None = None) -> str:
    """Return the name of the preset with the same hash; without one, the nearest preset and the keys that differ.

    The nearest is the one with the fewest changed keys, of several the first. A long list of changes is replaced by
    their number and the first digits of the hash.

    Args:
        variants: the presets by name, as the run's task has them (`presets.variants`); None for the plain ones.

    >>> from benchmark.recipe.changes import override
    >>> label(override(presets.preset("quick"), ["training.steps=100"]))
    'quick, training.steps=100'
    """
    variants = presets.PRESETS if variants is None else variants
    changed = {name: changed_keys(recipe, variant) for name, variant in variants.items()}
    nearest = min(changed, key=lambda name: len(changed[name]))
    keys = changed[nearest]
    if not keys:
        return nearest
    words = [nearest, *(f"{key}={written(recipe.hashed_value(key))}" for key in keys)]
    if len(keys) <= _MOST_KEYS and len(text := ", ".join(words)) <= _LONGEST:
        return text
    return f"{nearest}, {len(keys)} key{'' if len(keys) == 1 else 's'} changed ({recipe.hash[:8]})"


def slug(name: str) -> str:
    """A label as part of a file's name: the preset, with "-changed" after it if something was.

    >>> slug("quick, training.steps=100")
    'quick-changed'
    """
    preset, changes, _ = name.partition(",")
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '-', preset)}{'-changed' if changes else ''}"


def changed_keys(recipe: Recipe, other: Recipe) -> tuple[str, ...]:
    """The keys in which a recipe differs from another one; those that have no effect in it are left out."""
    content, others = recipe.content, other.content
    return tuple(
        key for key in recipe.keys()  # noqa: SIM118  not a dict
        if content.get(key) != others.get(key) and not recipe.is_inert(key)
    )  # fmt: skip


def written(value: JsonValue) -> str:
    """A value as `--set` reads it; of a file of weights the name and the first digits of the digest.

    >>> written(30.0), written(0.005), written("batch")
    ('30', '0.005', 'batch')
    """
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return shortened(str(value))
