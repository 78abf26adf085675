"""Wrong answers to a chain: results of fewer edits, of another order, of another edit, and of another source."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations as subsets
from typing import Any

import numpy as np

from css_gen.scenes.factors import COMBINATIONS, Colour, Combination, Shape, Size
from css_gen.scenes.modification import Add, Make, Modification, Remove
from css_gen.scenes.randomness import one_of
from css_gen.scenes.scene import Scene
from css_gen.tracks.base import Distractor
from css_gen.tracks.chain_program import FACTORS, Chain, run

MISSING, SWAPPED, SOURCE, OTHER = "missing edit", "swapped order", "other source", "other edit"
CONTRASTS = {
    MISSING: "completion accuracy",
    SWAPPED: "order accuracy",
    SOURCE: "source accuracy",
    OTHER: "edit accuracy",
}
_VALUES: dict[str, tuple[Any, ...]] = {"size": tuple(Size), "colour": tuple(Colour), "shape": tuple(Shape)}
_ATTEMPTS = 40


def distractors(
    chain: Chain, scenes: Sequence[Scene], combinations: Sequence[Combination], *, count: int, rng: np.random.Generator
) -> tuple[Distractor, ...]:
    """Return `count` different wrong answers; none where so many cannot be drawn.

    First every intermediate scene, the result of two neighbours swapped (where their order matters), and the answer for
    a source one of whose objects differs, which the text alone cannot tell from the target. Then the results without
    one of the edits, and with another edit in its place.

    Args:
        scenes: the source and the scene after each edit.
    """
    source, edits = scenes[0], chain.edits
    taken = {source.key, *chain.targets(source)}
    found: list[Distractor] = []

    def take(why: str, options: Iterable[Scene]) -> bool:
        for scene in options:
            allowed = all((item.shape, item.colour) in combinations for item in scene)
            if allowed and scene.objects and scene.key not in taken:
                taken.add(scene.key)
                found.append(Distractor(why, scene))
                return True
        return False

    needed: list[tuple[str, Iterable[Scene]]] = [(MISSING, [scene]) for scene in scenes[1:-1]]
    if orders := chain.other_orders(source):
        needed.append((SWAPPED, _shuffled(one_of(orders, rng), rng)))
    needed.append((SOURCE, _of_other_sources(chain, source, scenes[-1], rng)))
    if not all(take(why, options) for why, options in needed):
        return ()
    if len(found) < count:
        take(MISSING, _without_one(edits, source, rng))
    while len(found) < count:
        if not take(OTHER, _with_another(edits, scenes, rng)):
            return ()
    return tuple(found)


def _of_other_sources(chain: Chain, source: Scene, target: Scene, rng: np.random.Generator) -> Iterator[Scene]:
    """Yield answers for the source with a size, a colour or a shape changed of an object that the answer shows, too."""
    kept = [item for item in source if item in target.objects]
    for _ in range(_ATTEMPTS if kept else 0):
        item, factor = one_of(kept, rng), one_of(tuple(_VALUES), rng)
        value = one_of([each for each in _VALUES[factor] if each != getattr(item, factor)], rng)
        changed = replace(item, **{factor: value})
        before, after = (
            Scene(tuple(changed if each == item else each for each in scene)) for scene in (source, target)
        )
        if chain.is_target(before, after):
            yield after


def _without_one(edits: Sequence[Modification], source: Scene, rng: np.random.Generator) -> Iterator[Scene]:
    """Yield results of some of the edits in their order: of the last alone, then of all but one."""
    if len(edits) > 1:
        yield from _shuffled(run(edits[-1:], source, skip=True).values(), rng)
    fewer = list(subsets(edits, len(edits) - 1))
    for place in rng.permutation(len(fewer)):
        yield from _shuffled(run(fewer[place], source, skip=True).values(), rng)


def _with_another(edits: Sequence[Modification], scenes: Sequence[Scene], rng: np.random.Generator) -> Iterator[Scene]:
    """Yield results with another edit in the place of one."""
    for _ in range(_ATTEMPTS):
        place = int(rng.integers(len(edits)))
        edit = _another(edits[place], scenes[place], rng)
        yield from _shuffled(run((edit, *edits[place + 1 :]), scenes[place]).values(), rng)


def _another(edit: Modification, scene: Scene, rng: np.random.Generator) -> Modification:
    """Return an edit of what this one selects, or the same of what another object lends it words for."""
    if not isinstance(edit, Add) and rng.integers(2):
        verbs = [Remove(edit.selector), *(Make(edit.selector, new_colour=colour) for colour in Colour)]
        return one_of([*verbs, *(Make(edit.selector, new_size=size) for size in Size)], rng)
    lender = type(edit).lender(scene, COMBINATIONS, rng=rng)
    named = [name for name in FACTORS if getattr(edit.selector, name)]
    changed = [named[place] for place in rng.permutation(len(named))[: int(rng.integers(1, len(named) + 1))]]
    other = edit.with_selector(replace(edit.selector, **{name: getattr(lender, name) for name in changed}))
    if isinstance(other, Make) and other.new_size is lender.size:
        return replace(other, new_size=one_of([size for size in Size if size is not lender.size], rng))
    return other


def _shuffled(scenes: Iterable[Scene], rng: np.random.Generator) -> Iterator[Scene]:
    listed = list(scenes)
    for place in rng.permutation(len(listed)):
        yield listed[place]
