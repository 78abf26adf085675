"""The folders of Python and its packages on this machine that a submission's process may read: all but css_gen."""

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import benchmark
import css_gen
import models

_OURS = (benchmark, models)
_LIBRARIES = ("stdlib", "platstdlib", "purelib", "platlib")
_METADATA = (".dist-info", ".egg-info")
_MODULES = (".py", ".so", ".pyd")


def hidden_folders() -> tuple[str, ...]:
    """Where css_gen is: it renders the test images, too. It may be among the installed packages."""
    return tuple(dict.fromkeys(os.path.realpath(path) for path in css_gen.__path__))


def package_folders() -> tuple[str, ...]:
    """Paths of the interpreter, its standard library and all that it can import, without those inside another.

    A folder of installed packages counts as a whole. Any other folder on sys.path, such as a checkout or an editable
    project, counts only with the packages and modules in it: datasets and leaderboards may be in the same folder.
    """
    paths = sysconfig.get_paths()
    found = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, *(paths[name] for name in _LIBRARIES)]
    for package in _OURS:
        found += package.__path__
    # An editable install finds our packages without an entry on sys.path; the process has one, by `import_path`.
    found += _importable(map(Path, filter(None, [*sys.path, *import_path().split(os.pathsep)])))
    named = dict.fromkeys(each for path in found for each in (path, os.path.realpath(path)))
    for path in hidden_folders():
        named.pop(path, None)
    return tuple(path for path in named if not any(str(parent) in named for parent in Path(path).parents))


def import_path() -> str:
    """Return a PYTHONPATH with which a process imports the same packages, whatever its working directory."""
    parents = [str(Path(next(iter(package.__path__))).parent) for package in _OURS]
    named = [str(Path(entry).resolve()) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return os.pathsep.join(dict.fromkeys([*parents, *named]))


def _importable(entries: Iterable[Path]) -> Iterator[str]:
    for entry in entries:
        try:
            inside = list(entry.iterdir()) if entry.is_dir() else []
        except OSError:  # not readable, so nothing is imported from it
            continue
        if entry.is_file() or any(child.suffix == ".dist-info" for child in inside):
            yield str(entry)
            continue
        for child in inside:
            if child.suffix in (*_METADATA, *_MODULES) or (child / "__init__.py").is_file():
                yield str(child)
