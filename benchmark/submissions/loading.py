"""A candidate to its class. Runs the submission's code, so only its own process calls this."""

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from benchmark.record_format import ComposerCard
from benchmark.submissions.messages import Candidate, Loaded
from models import registry
from models.base import Composer, ComposerInfo

_MODULE = "submitted_composer"


class LoadingError(Exception):
    """There is no composer to be found: what was expected and what to do."""


def load(candidate: Candidate) -> tuple[type[Composer], Loaded]:
    """Import the file or module, find its composer and register it.

    Raises:
        LoadingError: there is no such class, several, or it has no `info` that fits.
        RegistryError: the class is no composer, or its name is taken.
    """
    module = _from_file(Path(candidate.file)) if candidate.file else importlib.import_module(candidate.module)
    kind = _composer_of(module, candidate)
    info = getattr(kind, "info", None)
    if not isinstance(info, ComposerInfo):
        raise LoadingError(f"{kind.__name__} has no info: give it `info = ComposerInfo(name=..., title=..., ...)`")
    if kind not in map(registry.get, registry.names()):
        registry.register(kind)
    source = inspect.getsourcefile(kind)
    text = Path(source).read_text(encoding="utf-8") if source else ""
    try:
        card = ComposerCard(name=info.name, title=info.title, paper=info.paper, year=info.year, url=info.url)
    except ValidationError as error:
        first = error.errors()[0]
        raise LoadingError(f"its info does not fit: {first['loc'][0]} is {first['input']!r} ({first['msg']})") from None
    return kind, Loaded(card=card, source=text)


def _from_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None:
        raise LoadingError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    spec.loader.exec_module(module)
    return module


def _composer_of(module: ModuleType, candidate: Candidate) -> type[Composer]:
    own = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Composer) and value.__module__ == module.__name__
    }
    if candidate.class_name:
        found = getattr(module, candidate.class_name, None)
        if not (isinstance(found, type) and issubclass(found, Composer)):
            known = ", ".join(sorted(own)) or "none"
            raise LoadingError(f"there is no composer {candidate.class_name} in it; its composers: {known}")
        return found
    if not own:
        raise LoadingError("there is no composer in it: expected one subclass of models.Composer")
    if len(own) > 1:
        raise LoadingError(f"there are several composers in it ({', '.join(sorted(own))}): say FILE:CLASS")
    return next(iter(own.values()))
