"""The code of a composer: what was submitted, else its file in models/."""

import inspect
from dataclasses import dataclass
from pathlib import Path

from models.errors import RegistryError
from models.registry import get

_LONGEST = 100_000
"""In bytes, of a file that a page shows."""


@dataclass(frozen=True)
class SourceFile:
    """A file of Python; `code` is None where it is too long, or no text."""

    name: str
    code: str | None


def source_files(composer: str, submissions: Path) -> tuple[SourceFile, ...]:
    """The files of `<submissions>/<composer>/` if there is such a folder, else the file that registers the composer;
    none for a composer that is in neither place. Links are not followed."""
    folder = submissions / composer
    if folder.is_dir():
        files = sorted(path for path in folder.glob("*.py") if path.is_file() and not path.is_symlink())
        return tuple(_read(path, path.name) for path in files)
    try:
        file = inspect.getsourcefile(get(composer))
    except RegistryError:
        return ()
    return (_read(Path(file), f"models/composers/{Path(file).name}"),) if file else ()


def _read(path: Path, name: str) -> SourceFile:
    try:
        code = path.read_text(encoding="utf-8") if path.stat().st_size <= _LONGEST else None
    except (OSError, UnicodeDecodeError):
        code = None
    return SourceFile(name, code)
