"""The cache folder of a dataset: `.cache` in its own folder, else a folder in the user's cache."""

import os
import sys
import tempfile
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path

from css_gen.progress import Reporter
from css_gen.storage.atomic import NO_ROOM
from css_gen.storage.locking import held

_noted: set[Path] = set()
"""Dataset folders that this process has already reported as not writable."""


def places(root: Path) -> tuple[Path, Path]:
    """The two folders that may hold the cache of a dataset: `.cache` in its own folder, and one in the user's cache."""
    key = sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return root / ".cache", _user_cache() / "css-bench" / f"{root.resolve().name}-{key}"


def find(root: Path, relative: str) -> Path | None:
    """The file of that name in the first of the places that has it."""
    return next((place / relative for place in places(root) if (place / relative).is_file()), None)


def writable_place(root: Path, reporter: Reporter | None = None) -> Path | None:
    """Create and return the first of `places` that is writable; None if neither is.

    Args:
        reporter: told once per process if the dataset's own folder is not writable.
    """
    own, users = places(root)
    if _is_writable(own, parents=False):
        return own
    chosen = users if _is_writable(users, parents=True) else None
    if reporter is not None and root not in _noted:
        _noted.add(root)
        where = (
            f"in {chosen}" if chosen else "in memory, for this run alone (set XDG_CACHE_HOME to a folder to keep them)"
        )
        reporter.message(f"{root} cannot be written to: decoded images are kept {where}")
    return chosen


def locked(path: Path) -> AbstractContextManager[None]:
    """Hold the lock of a file while the block runs, waiting for it; see `css_gen.storage.locking`."""
    return held(path, timeout=-1)


def _is_writable(folder: Path, *, parents: bool) -> bool:
    try:
        folder.mkdir(parents=parents, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError as error:
        # A full disk can be written to once there is room: what is written then says so.
        return error.errno in NO_ROOM


def _user_cache() -> Path:
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(named)
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local)
    home = Path(os.path.expanduser("~"))  # noqa: PTH111  Path.home() raises where there is no home
    return home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
