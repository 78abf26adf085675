"""Registries of exchangeable parts: encoders here, losses and optimisers in the benchmark; and packages they need."""

import difflib
import importlib
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Generic, TypeVar

from models.errors import RegistryError

P = TypeVar("P")

_LISTED = 40
"""Names in a message: of more, three are given."""


class Parts(Generic[P]):
    """Parts of one kind, by name.

    A part is registered when its file is imported. An installed package adds one by an entry point in `group`, whose
    name is the part's and whose value is the module that registers it. The module is imported when the part is asked
    for.

    Args:
        kind: what the parts are called in messages, such as "image encoder".
        group: of entry points, such as "tirg_bench.image_encoders"; None if installed packages cannot add parts.
    """

    def __init__(self, kind: str, *, group: str | None = None) -> None:
        self._kind, self._group = kind, group
        self._parts: dict[str, P] = {}

    def add(self, name: str, part: P) -> None:
        """Register a part. Raises RegistryError if the name is taken."""
        if name in self._parts:
            raise RegistryError(f"the {self._kind} {name!r} is registered already; choose another name")
        self._parts[name] = part

    def register(self, name: str) -> Callable[[P], P]:
        """Decorator: register a class or a function under a name."""

        def decorator(part: P) -> P:
            self.add(name, part)
            return part

        return decorator

    def names(self) -> tuple[str, ...]:
        """The names of all parts, sorted, those of installed packages included."""
        return tuple(sorted({*self._parts, *self._installed()}))

    def imported(self) -> tuple[str, ...]:
        """The names of the parts whose files are imported, sorted."""
        return tuple(sorted(self._parts))

    def get(self, name: str) -> P:
        """The part of that name.

        Raises RegistryError if there is none, offering the nearest name, or if its package cannot be imported.
        """
        if name not in self._parts:
            point = self._installed().get(name)
            if point is None:
                raise RegistryError(unknown(self._kind, name, self.names()))
            self._import(point)
        return self._parts[name]

    def _installed(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self._group)} if self._group else {}

    def _import(self, point: EntryPoint) -> None:
        where = f"the {self._kind} {point.name!r} (entry point {point.value} of an installed package)"
        try:
            point.load()
        except RegistryError:
            raise
        except Exception as error:  # another package's module can fail in any way
            why = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise RegistryError(f"{where} cannot be imported ({why}); repair or remove that package") from error
        if point.name not in self._parts:
            raise RegistryError(f"{where} does not register {point.name!r} when it is imported")


def required(package: str, extra: str) -> ModuleType:
    """Import a package that is an extra of the wheel. Raises RegistryError, which says how to install it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise RegistryError(
            f"it needs the package {package} ({error}): install it with pip install 'css-bench[{extra}]'"
        ) from error


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that a name does not exist: with the nearest names, or with all of them (of many, some) if none is near.

    >>> unknown("preset", "quik", ["paper", "quick"])
    "unknown preset 'quik': did you mean quick?"
    """
    spellings: dict[str, str] = {}
    for each in sorted(known):
        spellings.setdefault(each.lower(), each)
    asked = name.lower()
    near = dict.fromkeys(
        spellings[found]
        for spelling in (asked, asked.replace("-", "_"))
        for found in difflib.get_close_matches(spelling, spellings, n=3, cutoff=0.5)
    )
    names = list(spellings.values())
    several = ", ".join(names) if len(names) <= _LISTED else f"{len(names)}, such as {', '.join(names[:3])}"
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {several}"
    return f"unknown {kind} '{name}': {hint}"
