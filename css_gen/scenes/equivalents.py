"""All texts of the grammar that ask for the same target of the same source."""

from itertools import combinations
from math import comb
from typing import NamedTuple

from css_gen.scenes.modification import Modification, Selector
from css_gen.scenes.scene import Scene

_ATTRIBUTES = ("cell", "size", "colour", "shape")


class Equivalent(NamedTuple):
    """A modification's weight, and the keys of all scenes that it makes of the source."""

    weight: float
    targets: frozenset[str]


def equivalents(modification: Modification, source: Scene, target: Scene) -> dict[Modification, Equivalent]:
    """Return the modifications of the same kind that make the target of the source.

    They name attributes of an object that is added, removed or changed, as many as a dataset's modifications name.
    Every number of attributes weighs the same, and so do all choices of as many attributes, as `sampling` draws them.
    The given modification is always among them.

    Args:
        modification: one that makes the target of the source, among others perhaps.
    """
    before, after = {*source}, {*target}
    numbers = {*modification.named, _named(modification.selector)}
    found = {modification: _weight(_named(modification.selector))}
    for item in sorted(before - after or after - before, key=str):
        for number in sorted(numbers):
            for names in combinations(_ATTRIBUTES, number):
                selector = Selector(**{name: getattr(item, name) for name in names})
                found[modification.with_selector(selector)] = _weight(number)
    made = {each: Equivalent(weight, each.targets(source)) for each, weight in found.items()}
    return {each: equivalent for each, equivalent in made.items() if target.key in equivalent.targets}


def _weight(number: int) -> float:
    return 1 / comb(len(_ATTRIBUTES), number)


def _named(selector: Selector) -> int:
    return sum(getattr(selector, name) is not None for name in _ATTRIBUTES)
