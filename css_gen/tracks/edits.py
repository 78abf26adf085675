"""What tracks that ask css's own edits share: how one is drawn, the program around it, and its near misses."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import zip_longest

import numpy as np

from css_gen.scenes.factors import Colour, Combination, Size
from css_gen.scenes.matching import object_set, scene_set
from css_gen.scenes.modification import Add, Make, Modification, Remove, type_of
from css_gen.scenes.modification.program import SELECTOR_FACTORS
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.scenes.selector import Selector
from css_gen.tracks.base import Distractor, Program
from css_gen.tracks.distractors import OTHER_SOURCE
from css_gen.tracks.parts import shows_only, shuffled

WRONG = {
    **{name: f"wrong {name}" for name in SELECTOR_FACTORS},
    "new_colour": "wrong new colour",
    "new_size": "wrong new size",
    "kind": "wrong kind",
    "object": "wrong object",
}
"""By what a near miss changes of the edit, what is wrong with it."""

CONTRASTS = {**dict.fromkeys(WRONG.values(), "near miss accuracy"), OTHER_SOURCE: "source accuracy"}
"""All near misses are counted under one heading; the answer of another source, which fits the text, has its own."""

_LENDERS = 32


@dataclass(frozen=True)
class CssEdit(Program):
    """A program that means what a modification of css means; a subclass says how it is worded or reported."""

    modification: Modification

    @property
    def kind(self) -> str:
        return self.modification.kind

    def targets(self, source: Scene) -> frozenset[str]:
        return self.modification.targets(source)

    def is_target(self, source: Scene, target: Scene) -> bool:
        return self.modification.is_target(source, target)

    def can_make(self, scene: Scene) -> bool:
        return self.modification.postcondition().fit(scene_set(scene))


def draw_edit(
    kind: str, named: int, source: Scene, combinations: Sequence[Combination], *, rng: np.random.Generator
) -> Modification | None:
    """Draw a modification as css does; None where it would leave the source as it is or show another combination.

    Args:
        kind: one of `modification.KINDS`.
        named: how many attributes its selector names.
    """
    chosen = type_of(kind)
    lender = chosen.lender(source, combinations, rng=rng)
    names = [[*SELECTOR_FACTORS][place] for place in rng.permutation(len(SELECTOR_FACTORS))[:named]]
    selector = Selector(**{name: getattr(lender, name) for name in names})
    modification = chosen.draw(kind, selector, lender, combinations, rng=rng)
    return modification if modification.needs(combinations).fit(object_set(source)) else None


def near_misses(
    modification: Modification,
    source: Scene,
    target: Scene,
    combinations: Sequence[Combination],
    *,
    count: int,
    preferred: Sequence[Callable[[Modification, Scene], bool]] = (),
    rng: np.random.Generator,
) -> tuple[Distractor, ...] | None:
    """Return wrong answers that differ from the right one as little as possible; None if there are too few.

    Each is what the source becomes if one named attribute of the edit has another value, or the edit is that of another
    object, or another kind of edit is asked of the same objects. The attributes, in a random order, another object and
    another kind take turns.

    Args:
        target: where the modification leaves something open, near misses share it with this target.
        preferred: what a near miss, an edit and its scene, should be, for one near miss each; where there is none, any
            other is taken.
    """
    taken = {source.key, *modification.targets(source)}
    wanted = [*preferred]
    found: list[Distractor] = []
    others: list[Distractor] = []
    for why, edit in _other_edits(modification, source, target, combinations, rng):
        if not edit.needs(combinations).fit(object_set(source)):
            continue
        scene = edit.apply(source, rng=rng)  # there is one: what is added is named in full
        if scene.key in taken or not shows_only({*scene} - {*source}, combinations):
            continue
        taken.add(scene.key)
        place = next((place for place, holds in enumerate(wanted) if holds(edit, scene)), None)
        if place is not None:
            del wanted[place]
        (others if wanted and place is None else found).append(Distractor(why, scene))
        if len(found) == count:
            return tuple(found)
    enough = (*found, *others)[:count]
    return enough if len(enough) == count else None


def _other_edits(
    modification: Modification,
    source: Scene,
    target: Scene,
    combinations: Sequence[Combination],
    rng: np.random.Generator,
) -> Iterator[tuple[str, Modification]]:
    """Yield edits that differ in one respect, each with what is wrong with it."""
    full = modification
    if isinstance(modification, Add):
        (added,) = {*target} - {*source}
        full = Add(_selector(added))
    changes: list[tuple[str, Sequence[Modification]]] = []
    for name, factor in SELECTOR_FACTORS.items():
        if value := getattr(modification.selector, name):
            selectors = [_with(full.selector, name, other) for other in factor if other != value]
            changes.append((name, [full.with_selector(selector) for selector in selectors]))
    for name, factor in modification.parameters.items():
        if value := getattr(modification, name):
            changed = [{name: other} for other in factor if other != value]
            changes.append((name, [replace(modification, **each) for each in changed]))  # type: ignore[type-var]
    changes = shuffled(changes, rng)
    changes.append(("object", [*_of_other_objects(modification, source, combinations, rng)]))
    changes.append(("kind", _of_other_kinds(modification)))
    columns = [[(WRONG[name], edit) for edit in shuffled(edits, rng)] for name, edits in changes]
    yield from (each for turn in zip_longest(*columns) for each in turn if each)


def _of_other_kinds(modification: Modification) -> list[Modification]:
    """Return edits of another kind of the same objects; none of an object that is added."""
    selector = modification.selector
    every: list[Modification] = [Remove(selector), *(Make(selector, new_size=size) for size in Size)]
    every += [Make(selector, new_colour=colour) for colour in Colour]
    return [] if isinstance(modification, Add) else [each for each in every if each.kind != modification.kind]


def _of_other_objects(
    modification: Modification, source: Scene, combinations: Sequence[Combination], rng: np.random.Generator
) -> Iterator[Modification]:
    if not isinstance(modification, Add):
        for item in shuffled(source.objects, rng):
            yield modification.with_selector(Selector(cell=item.cell))
        return
    for _ in range(_LENDERS):
        yield Add(_selector(Add.lender(source, combinations, rng=rng)))


def _with(selector: Selector, name: str, value: StrEnum) -> Selector:
    return replace(selector, **{name: value})  # type: ignore[arg-type]  # it is a value of that factor


def _selector(item: SceneObject) -> Selector:
    return Selector(item.cell, item.size, item.colour, item.shape)
