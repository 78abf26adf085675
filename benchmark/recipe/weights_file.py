"""Files of weights that a recipe names: `PATH@sha256:DIGEST`, so that another content is another recipe.
A tag may come first, `TAG=PATH@sha256:DIGEST`: that of published weights which the file was trained like.

The path is where this machine finds the file. Only the digest is hashed: the file may be moved, and a recipe's hash
needs no file.
"""

import hashlib
from pathlib import Path
from typing import Final

from benchmark.errors import BenchmarkError
from benchmark.recipe.hashing import PINNED_FILE, TAGGED_FILE
from benchmark.recipe.schema import Recipe

_KEYS: Final = ("model.pretrained", "model.text_weights")
_NAMES: Final = ("", "torchvision")
"""Values that name no file."""


def pinned(recipe: Recipe) -> Recipe:
    """The same recipe, with the digest of each file of weights behind its path.

    A file that cannot be read is left as it is: whoever opens it says so.
    """
    values = recipe.model_dump()
    for key in _KEYS:
        value = str(recipe.value(key))
        is_file = value not in _NAMES and not PINNED_FILE.fullmatch(value) and _file_in(value).is_file()
        if is_file and not recipe.is_inert(key):
            part, _, name = key.partition(".")
            try:
                values[part][name] = f"{value}@sha256:{_digest(_file_in(value))}"
            except OSError:
                continue
    return Recipe.model_validate(values)


def path_of(value: str) -> str:
    """The path (after a tag, if there is one) or the name in a key's value, without the digest.

    >>> path_of("weights.pth"), path_of("weights.pth@sha256:" + 64 * "0")
    ('weights.pth', 'weights.pth')
    """
    found = PINNED_FILE.fullmatch(value)
    return found["path"] if found else value


def require_same_files(recipe: Recipe) -> None:
    """Check that the files of weights that are there have the content that the recipe was made with.

    Raises:
        BenchmarkError: one has another.
    """
    for key in _KEYS:
        found = PINNED_FILE.fullmatch(str(recipe.value(key)))
        if found is None or recipe.is_inert(key) or not (path := _file_in(found["path"])).is_file():
            continue
        if (digest := _digest(path)) != found["digest"]:
            raise BenchmarkError(
                f"{key}: {path} is not the file of this recipe: its SHA-256 is {digest[:8]}..., expected "
                f"{found['digest'][:8]}...; restore the file, or name it without @sha256 for another recipe"
            )


def shortened(value: str) -> str:
    """The value as it is shown: a file's name, without its folder on this machine, and the digest's first digits.

    >>> shortened("/data/weights.pth@sha256:" + 64 * "0")
    'weights.pth@sha256:00000000'
    """
    found = PINNED_FILE.fullmatch(value)
    if found is None:
        return value
    tagged = TAGGED_FILE.fullmatch(found["path"])
    tag = f"{tagged['tag']}=" if tagged else ""
    return f"{tag}{_file_in(found['path']).name}@sha256:{found['digest'][:8]}"


def _file_in(value: str) -> Path:
    """The file in `PATH` or `TAG=PATH`."""
    tagged = TAGGED_FILE.fullmatch(value)
    return Path(tagged["path"]) if tagged else Path(value)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
