"""Whether code changed what it only uses: functions of this package, of `models` and of torch put in place of others.

Scoring happens in another process, so nothing is gained by it there; but a changed loss or optimiser would not be the
leaderboard's recipe.
"""

import sys
from collections.abc import Iterator
from types import ModuleType

_OURS = ("benchmark", "models", "css_gen")
_TORCH = ("torch", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.optim", "torch.autograd")
_TORCH_CLASSES = (("torch", "Tensor"), ("torch.nn", "Module"), ("torch.nn", "Parameter"), ("torch.optim", "AdamW"))
_MACHINERY = frozenset({"__dict__", "__weakref__", "__abstractmethods__", "_abc_impl", "__doc__", "__annotations__"})

Snapshot = dict[str, object]
"""Names and what they stand for."""


def snapshot() -> Snapshot:
    """What every name stands for now. The objects are kept, so that no later one can take an address of theirs."""
    return dict(_everything())


def changed(before: Snapshot) -> list[str]:
    """Names that stand for something else than before or are gone, sorted."""
    now = dict(_everything())
    return sorted(name for name, value in before.items() if now.get(name, before) is not value)


def _everything() -> Iterator[tuple[str, object]]:
    for name, module in list(sys.modules.items()):
        is_ours = name.partition(".")[0] in _OURS
        if not isinstance(module, ModuleType) or not (is_ours or name in _TORCH):
            continue
        for attribute, value in list(vars(module).items()):
            # Constants are compared too; counters, such as a registry's dictionary, keep their identity.
            if not attribute.startswith("__"):
                yield f"{name}.{attribute}", value
            if is_ours and isinstance(value, type) and value.__module__ == name:
                yield from _members(value)
    for name, attribute in _TORCH_CLASSES:
        if name in sys.modules:
            yield from _members(getattr(sys.modules[name], attribute))


def _members(kind: type) -> Iterator[tuple[str, object]]:
    for member, value in list(vars(kind).items()):
        if member not in _MACHINERY:
            yield f"{kind.__module__}.{kind.__qualname__}.{member}", value
