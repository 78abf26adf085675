"""Load a composer from a file named on the command line. It runs in this process: it is the user's own code."""

import hashlib
import importlib.util
import inspect
import os
import sys
from pathlib import Path

from benchmark.errors import BenchmarkError, UsageError
from benchmark.records.code_version import LOCAL_MODULE, is_local
from models.base import Composer
from models.errors import RegistryError
from models.registry import get, names, register


def is_file(composer: str) -> bool:
    """Whether what was given for a composer is a path rather than a name."""
    return composer.endswith(".py") or os.sep in composer


def is_loaded(path: Path) -> bool:
    """Whether this process has loaded a file."""
    return _module_name(path) in sys.modules


def local_file(composer: type[Composer]) -> Path | None:
    """Return the file on the command line that a composer was loaded from; None for a composer of the package."""
    return Path(inspect.getfile(composer)) if is_local(composer) else None


def _module_name(path: Path) -> str:
    return f"{LOCAL_MODULE}{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"


def load(path: Path) -> str:
    """Run a file, register the one composer that it defines, and return its name.

    Raises:
        UsageError: there is no such file, it defines no composer or several, or its name is taken.
        BenchmarkError: the file raises an error when it is run.
    """
    if path.suffix != ".py" or not path.is_file():
        raise UsageError(f"{path}: expected a Python file; `tirg-bench new my_composer.py` writes one to begin with")
    module_name = _module_name(path)
    before = names()
    try:
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        spec.loader.exec_module(module)
    except RegistryError as error:
        raise UsageError(f"{path}: {error}") from None
    except Exception as error:
        raise BenchmarkError(f"{path}: cannot be loaded ({type(error).__name__}: {error})") from error
    own = [
        value for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Composer) and value.__module__ == module_name
        and "info" in vars(value)
    ]  # fmt: skip
    if len(own) != 1:
        found = ", ".join(kind.__name__ for kind in own) or "none"
        raise UsageError(f"{path}: expected one subclass of models.Composer with an info of its own, found {found}")
    try:
        if own[0] not in map(get, set(names()) - set(before)):
            register(own[0])
    except RegistryError as error:
        raise UsageError(f"{path}: {error}") from None
    return own[0].info.name
