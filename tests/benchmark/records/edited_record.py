"""Edit a stored record, with or without its checksum."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.recipe.presets import PRESETS

STEM = f"quick-{PRESETS['quick'].hash[:8]}-s0-01234567"

SEED_1 = f"quick-{PRESETS['quick'].hash[:8]}-s1-01234567"


def reseal(path: Path, values: dict[str, Any]) -> None:
    """What somebody does who edits a record and knows about the checksum."""
    without = {key: value for key, value in values.items() if key != "sha256"}
    canonical = json.dumps(without, sort_keys=True, separators=(",", ":")).encode()
    path.write_text(json.dumps(without | {"sha256": hashlib.sha256(canonical).hexdigest()}))


def leaves(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    children = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else None
    if children is None:
        yield path, values
    else:
        for key, value in children:
            yield from leaves(value, (*path, key))


def changed(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "0"
        case _:
            return 1


def with_leaf(values: Any, path: tuple[Any, ...], leaf: Any) -> Any:
    copy = json.loads(json.dumps(values))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = leaf
    return copy
