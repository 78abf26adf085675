"""Wrong answers to a chain: results of fewer edits, of another order, of another edit, and of another source."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain as joined
from itertools import combinations as subsets

import numpy as np

from css_gen.scenes.factors import COMBINATIONS, Colour, Size
from css_gen.scenes.modification import Add, Make, Modification, Remove
from css_gen.scenes.randomness import one_of
from css_gen.scenes.scene import Scene
from css_gen.tracks.base import Distractor, Pool
from css_gen.tracks.chain_program import FACTORS, Chain, incomplete, reordered, run
from css_gen.tracks.distractors import OTHER_SOURCE, Gallery, of_another_source
from css_gen.tracks.parts import shuffled

MISSING, ORDER, EITHER, OTHER = "missing edit", "other order", "missing edit or other order", "other edit"
CONTRASTS = {
    MISSING: "completion accuracy",
    ORDER: "order accuracy",
    EITHER: "completion or order accuracy",
    OTHER_SOURCE: "source accuracy",
    OTHER: "edit accuracy",
}
_ATTEMPTS = 40
_EMPTY = Scene()


def distractors(
    chain: Chain, scenes: Sequence[Scene], pool: Pool, *, count: int, rng: np.random.Generator
) -> tuple[Distractor, ...]:
    """Return `count` different wrong answers; none where so many cannot be drawn.

    First every intermediate scene, the result of another order (where it matters), and what the text makes of another
    source, which the text alone cannot tell from the target. Then the results without one of the edits, and with
    another edit in its place.

    A result of fewer edits is never one of another order, too, except for an intermediate scene, which then is called
    so. Results of another order, of another source and of another edit are not results of fewer edits.

    Args:
        scenes: the source and the scene after each edit.
    """
    source, edits = scenes[0], chain.edits
    orders = {key for results in reordered(edits, source) for key in results}
    known = orders | incomplete(edits, source).keys()
    gallery = Gallery(pool, {source.key, _EMPTY.key, *chain.targets(source)})
    for scene in scenes[1:-1]:
        gallery.add(EITHER if scene.key in orders else MISSING, [scene], at_most=1)
    needed = len(scenes) - 2
    if others := chain.other_orders(source):
        each = joined.from_iterable(shuffled(results, rng) for results in shuffled(others, rng))
        needed += 1
        gallery.add(ORDER, each, at_most=1)
    another = of_another_source(chain, scenes[-1], rng=rng)
    gallery.add(OTHER_SOURCE, (scene for scene in another if scene.key not in known), at_most=1)
    if len(gallery.distractors) < needed + 1:
        return ()
    if needed + 1 < count:
        gallery.add(MISSING, (each for each in _without_one(edits, source, rng) if each.key not in orders), at_most=1)
    while len(gallery.distractors) < count:
        different = (each for each in _with_another(edits, scenes, rng) if each.key not in known)
        if not gallery.add(OTHER, different, at_most=1):
            return ()
    return gallery.distractors


def _without_one(edits: Sequence[Modification], source: Scene, rng: np.random.Generator) -> Iterator[Scene]:
    """Yield results of some of the edits in their order: of the last alone, then of all but one."""
    if len(edits) > 1:
        yield from shuffled(tuple(run(edits[-1:], source, skip=True).values()), rng)
    for some in shuffled(list(subsets(edits, len(edits) - 1)), rng):
        yield from shuffled(tuple(run(some, source, skip=True).values()), rng)


def _with_another(edits: Sequence[Modification], scenes: Sequence[Scene], rng: np.random.Generator) -> Iterator[Scene]:
    """Yield results with another edit in the place of one."""
    for _ in range(_ATTEMPTS):
        place = int(rng.integers(len(edits)))
        edit = _another(edits[place], scenes[place], rng)
        yield from shuffled(tuple(run((edit, *edits[place + 1 :]), scenes[place]).values()), rng)


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
