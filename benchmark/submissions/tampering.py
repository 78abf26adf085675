"""Find out whether code changed what it may only use: functions and classes of this package, `models` and torch.

Scoring happens in another process, so nothing is gained by it there. But training with a changed loss, layer or
optimiser would not be the leaderboard's recipe.
"""

import sys
from collections.abc import Iterator
from types import FunctionType, ModuleType

from models.parts import Parts

_OURS = ("benchmark", "models", "css_gen")
_LIBRARIES = ("torch.nn", "torch.optim", "torch.autograd", "torch.amp", "torchvision", "accelerate")
"""With all their modules: whatever layer, block or optimiser a run is made of is in one of them."""
_MACHINERY = frozenset({"__dict__", "__weakref__", "__abstractmethods__", "_abc_impl", "__doc__", "__annotations__"})

Snapshot = dict[str, object]
"""Names and what they stand for."""


def snapshot() -> Snapshot:
    """Record what every name stands for now. The objects are kept, so that no later one can get one's address."""
    return dict(_everything())


def changed(before: Snapshot) -> list[str]:
    """List the functions, classes and constants that are others than before or are gone, by name, sorted."""
    now = dict(_everything())
    return sorted({name.partition(" ")[0] for name, value in before.items() if now.get(name, before) is not value})


def _everything() -> Iterator[tuple[str, object]]:
    kinds: set[type] = set()
    for name, module in list(sys.modules.items()):
        is_ours = _is_in(name, _OURS)
        if not isinstance(module, ModuleType) or not (is_ours or name == "torch" or _is_in(name, _LIBRARIES)):
            continue
        for attribute, value in list(vars(module).items()):
            if isinstance(value, type):
                kinds.update(value.__mro__)
            if not attribute.startswith("__"):
                yield from _parts(f"{name}.{attribute}", value, is_ours)
            if isinstance(value, Parts):  # a registry may grow, but what a recipe chooses by name stays
                yield from ((f"{name}.{attribute}[{part!r}]", value.get(part)) for part in value.imported())
            if attribute.startswith("_global_") and isinstance(value, dict):
                yield f"{name}.{attribute}", len(value)  # hooks that run in every module or optimiser
    for kind in kinds:
        is_ours = _is_in(kind.__module__, _OURS)
        if is_ours or _is_in(kind.__module__, ("torch", "torchvision", "accelerate")):
            for member, value in list(vars(kind).items()):
                if member not in _MACHINERY:
                    yield from _parts(f"{kind.__module__}.{kind.__qualname__}.{member}", value, is_ours)


def _parts(name: str, value: object, is_ours: bool) -> Iterator[tuple[str, object]]:
    """A value, and of a function what can be replaced inside it.

    Our constants count as well. A library has counters and caches: its data does not. The contents of dictionaries,
    such as a registry's, may change.
    """
    is_function = callable(value) or hasattr(type(value), "__get__")
    if is_ours or is_function:
        yield name, value
    function = getattr(value, "__func__", getattr(value, "fget", value))
    if isinstance(function, FunctionType):
        yield f"{name} (its code)", function.__code__
        yield f"{name} (its defaults)", function.__defaults__


def _is_in(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)
