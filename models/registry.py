"""Composers by name. Importing a file with an `@register` class adds it."""

import inspect
from typing import TypeVar

from models.base import MOST_LEVELS, Composer, ComposerInfo
from models.errors import RegistryError
from models.parts import unknown

C = TypeVar("C", bound=Composer)

_composers: dict[str, type[Composer]] = {}
_variants: dict[str, type[Composer]] = {}


def register(cls: type[C]) -> type[C]:
    """Class decorator: make a composer available under `cls.info.name`.

    Raises RegistryError if the class is not a concrete Composer, has no `info` or unknown `levels`, or if its name is
    taken.
    """
    return _add(cls, _composers)


def register_variant(cls: type[C]) -> type[C]:
    """Class decorator: as `register`, for a composer with a part changed or taken away, which `names` does not list."""
    return _add(cls, _variants)


def _add(cls: type[C], composers: dict[str, type[Composer]]) -> type[C]:
    where = f"{cls.__module__}.{cls.__qualname__}"
    if not (isinstance(cls, type) and issubclass(cls, Composer)):
        raise RegistryError(f"{where} cannot be registered: expected a subclass of models.Composer")
    if inspect.isabstract(cls):
        raise RegistryError(f"{where} cannot be registered: it does not implement forward(image, text)")
    if not isinstance(getattr(cls, "info", None), ComposerInfo):
        raise RegistryError(f"{where} cannot be registered: give it `info = ComposerInfo(name=..., title=..., ...)`")
    if not (type(cls.levels) is int and 1 <= cls.levels <= MOST_LEVELS):
        raise RegistryError(f"{where} cannot be registered: levels is {cls.levels!r}, expected 1 to {MOST_LEVELS}")
    name = cls.info.name
    if name in (known := _composers | _variants):
        taken = known[name]
        raise RegistryError(
            f"{where} cannot be registered: the name {name!r} belongs to {taken.__module__}.{taken.__qualname__}; "
            "choose another info.name"
        )
    composers[name] = cls
    return cls


def names() -> tuple[str, ...]:
    """The names of all registered composers, sorted."""
    return tuple(sorted(_composers))


def variants() -> tuple[str, ...]:
    """The names of all variants of composers, sorted."""
    return tuple(sorted(_variants))


def get(name: str) -> type[Composer]:
    """The class registered under a name, a composer or a variant.

    Raises RegistryError, offering the nearest composer's name, if there is none.
    """
    if name in _variants:
        return _variants[name]
    if name not in _composers:
        raise RegistryError(unknown("composer", name, _composers))
    return _composers[name]


def create(name: str, image_channels: int, text_width: int, *, spatial: bool) -> Composer:
    """A new composer, its weights drawn from torch's current random state; see `Composer` for the arguments."""
    return get(name)(image_channels, text_width, spatial=spatial)
