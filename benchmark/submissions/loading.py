"""Load a candidate's class. This runs the submission's code, so only its own process calls it."""

import inspect
import sys
from pathlib import Path
from types import ModuleType

from benchmark.submissions.messages import Candidate, Loaded
from models import registry
from models.base import Composer, ComposerInfo, brings_auxiliary

_MODULE = "submitted_composer"


class LoadingError(Exception):
    """Raised when a file has no composer that can be used: what was expected and what to do."""


def load(candidate: Candidate) -> tuple[type[Composer], Loaded]:
    """Run the file, find its composer and register it.

    Raises:
        LoadingError: there is no such class, more than one, or its `info` is missing or invalid.
        RegistryError: the class is not a composer, or its name is taken.
    """
    module = _from_file(Path(candidate.file))
    kind = _composer_of(module, candidate)
    info = getattr(kind, "info", None)
    if not isinstance(info, ComposerInfo):
        raise LoadingError(f"{kind.__name__} has no info: give it `info = ComposerInfo(name=..., title=..., ...)`")
    if kind not in map(registry.get, registry.names()):
        registry.register(kind)
    return kind, Loaded(
        name=info.name,
        title=info.title,
        paper=info.paper,
        year=info.year,
        url=info.url,
        auxiliary=brings_auxiliary(kind),
        levels=kind.levels,
    )


def _from_file(path: Path) -> ModuleType:
    """Run the file without the import system, which would look for, and leave, compiled code in its folder."""
    module = ModuleType(_MODULE)
    module.__file__ = str(path)
    sys.modules[_MODULE] = module
    exec(compile(path.read_bytes(), path, "exec", dont_inherit=True), module.__dict__)
    return module


def _composer_of(module: ModuleType, candidate: Candidate) -> type[Composer]:
    own = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Composer) and value.__module__ == module.__name__
    }
    if candidate.class_name:
        if candidate.class_name not in own:
            known = ", ".join(sorted(own)) or "none"
            raise LoadingError(f"no composer {candidate.class_name} is defined in it; its composers: {known}")
        return own[candidate.class_name]
    if candidate.name:
        own = {name: kind for name, kind in own.items() if _name_of(kind) == candidate.name}
    complete = {name: kind for name, kind in own.items() if _name_of(kind) and not inspect.isabstract(kind)}
    own = complete or own  # the others are bases of these
    if not own:
        raise LoadingError("there is no composer in it: expected one subclass of models.Composer")
    if len(own) > 1:
        raise LoadingError(f"there are several composers in it ({', '.join(sorted(own))}): say FILE:CLASS")
    return next(iter(own.values()))


def _name_of(kind: type[Composer]) -> str:
    info = getattr(kind, "info", None)
    return info.name if isinstance(info, ComposerInfo) else ""
