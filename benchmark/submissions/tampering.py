"""Find out whether code changed what it may only use: functions and classes of this package, `models` and torch.

Scoring happens in another process, so nothing is gained by it there. But training with a changed loss, layer or
optimiser would not be the leaderboard's recipe.
"""

import sys
from types import FunctionType, ModuleType
from typing import NamedTuple

from models.parts import Parts

_OURS = ("benchmark", "models", "css_gen")
_LIBRARIES = ("torch.nn", "torch.optim", "torch.autograd", "torch.amp", "torchvision", "accelerate")
"""With all their modules: whatever layer, block or optimiser a run is made of is in one of them."""
_MACHINERY = frozenset({"__dict__", "__weakref__", "__abstractmethods__", "_abc_impl", "__doc__", "__annotations__"})

Names = dict[str, object]
"""Names and what they stand for."""


class Snapshot(NamedTuple):
    """The objects are kept, so that no later one can get one's address."""

    names: Names
    members: dict[type, Names]
    """Of classes, by the member's own name."""


def snapshot() -> Snapshot:
    """Record what every name stands for now."""
    names: Names = {}
    kinds: set[type] = set()
    for name, module in list(sys.modules.items()):
        is_ours = _is_in(name, _OURS)
        if not isinstance(module, ModuleType) or not (is_ours or name == "torch" or _is_in(name, _LIBRARIES)):
            continue
        for attribute, value in list(vars(module).items()):
            if isinstance(value, type):
                kinds.update(value.__mro__)
            if not attribute.startswith("__"):
                names |= _parts(f"{name}.{attribute}", value, is_ours)
            if isinstance(value, Parts):  # a registry may grow, but what a recipe chooses by name stays
                names |= {f"{name}.{attribute}[{part!r}]": value.get(part) for part in value.imported()}
            if attribute.startswith("_global_") and isinstance(value, dict):
                names[f"{name}.{attribute}"] = len(value)  # hooks that run in every module or optimiser
    return Snapshot(names, {kind: _members(kind) for kind in kinds})


def changed(before: Snapshot) -> list[str]:
    """List the functions, classes and constants that are others than before or are gone, by name, sorted.

    A method counts, too, that a class was given in front of the one that it inherits.
    """
    now = snapshot()
    found = {name for name, value in before.names.items() if now.names.get(name, before) is not value}
    for kind, members in before.members.items():
        current = now.members.get(kind, {})
        others = {member for member, value in members.items() if current.get(member, before) is not value}
        others |= {
            member
            for member in current.keys() - members.keys()
            if any(member in vars(base) for base in kind.__mro__[1:])
        }
        found |= {f"{kind.__module__}.{kind.__qualname__}.{member}" for member in others}
    return sorted({name.partition(" ")[0] for name in found})


def _members(kind: type) -> Names:
    is_ours = _is_in(kind.__module__, _OURS)
    found: Names = {}
    if is_ours or _is_in(kind.__module__, ("torch", "torchvision", "accelerate")):
        found["__mro__"] = kind.__mro__
        for member, value in list(vars(kind).items()):
            if member not in _MACHINERY:
                found |= _parts(member, value, is_ours)
    return found


def _parts(name: str, value: object, is_ours: bool) -> Names:
    """A value, and of a function what can be replaced inside it.

    Our constants count as well. A library has counters and caches: its data does not. The contents of dictionaries,
    such as a registry's, may change.
    """
    found: Names = {}
    is_function = callable(value) or hasattr(type(value), "__get__")
    if is_ours or is_function:
        found[name] = value
    function = getattr(value, "__func__", getattr(value, "fget", value))
    if isinstance(function, FunctionType):
        found[f"{name} (its code)"] = function.__code__
        found[f"{name} (its defaults)"] = function.__defaults__
    return found


def _is_in(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)
