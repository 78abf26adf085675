"""The track chain: up to four edits in order, of which training shows up to two."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from css_gen.scenes.factors import Combination
from css_gen.scenes.matching import object_set
from css_gen.scenes.modification import Add, Make, Modification, Remove, Selector, type_of
from css_gen.scenes.randomness import SplitId, one_of
from css_gen.scenes.sampling import TURNS
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.tracks.base import Draw, Pool, Program, Shortcut, Track
from css_gen.tracks.chain_distractors import CONTRASTS, distractors
from css_gen.tracks.chain_program import FACTORS, IN_PART, LENGTHS, MATTERS, NOT_AT_ALL, ONE_EDIT, ORDERS, Chain
from css_gen.tracks.registry import register

_DISTRACTORS = 5
"""Room for three intermediate scenes, another order and another source."""

_LENGTHS_IN_TRAINING = 2
_ORDERS_IN_TURN = (MATTERS, NOT_AT_ALL, MATTERS, IN_PART)

_PAIRS = (
    ("add", "remove"), ("remove", "add"), ("add", "remove"), ("remove", "add"),
    ("add", "make-colour"), ("make-colour", "add"), ("add", "make-size"), ("make-size", "add"),
    ("remove", "make-colour"), ("make-colour", "remove"), ("remove", "make-size"), ("make-size", "remove"),
)  # fmt: skip
"""Neighbours whose order can matter, in which kinds are as frequent as in css."""

_ATTEMPTS_WITH_THESE_KINDS = 50
_ATTEMPTS = 4


def _draw(pool: Pool, source: int, visit: int, *, rng: np.random.Generator) -> Draw | None:
    """Ask for each length in turn; among those of several edits, the order matters in every other round.

    In the rounds between, it matters in part and not at all by turns.
    """
    turn = source + visit
    lengths = _LENGTHS_IN_TRAINING if pool.split is SplitId.TRAIN else len(LENGTHS)
    length = 1 + turn % lengths
    order = ONE_EDIT if length == 1 else _ORDERS_IN_TURN[turn // lengths % len(_ORDERS_IN_TURN)]
    for _ in range(_ATTEMPTS):
        kinds = [one_of(TURNS, rng) for _ in range(length)]
        related = int(rng.integers(length - 1)) if order in (MATTERS, IN_PART) else length
        kinds[related : related + 2] = one_of(_PAIRS, rng) if related < length else ()
        for _ in range(_ATTEMPTS_WITH_THESE_KINDS):
            if draw := _draw_kinds(pool, pool.scenes[source], kinds, related, order, rng):
                return draw
    return None


def _draw_kinds(
    pool: Pool, source: Scene, kinds: Sequence[str], related: int, order: str, rng: np.random.Generator
) -> Draw | None:
    """Draw edits of these kinds whose order matters as one of ORDERS says; None if unfit.

    At the place `related`, if there is one, two edits are drawn one of which changes what the other selects. Every edit
    makes a scene that was not there before, is not empty, and shows allowed combinations alone.
    """
    edits: list[Modification] = []
    scenes = [source]
    while len(edits) < len(kinds):
        place = len(edits)
        if place == related:
            drawn = _related(scenes[-1], kinds[place], kinds[place + 1], pool.combinations, rng)
        else:
            drawn = _edit(scenes[-1], kinds[place], pool.combinations, rng, alone=len(kinds) == 1)
        for edit in drawn:
            if not edit.needs(pool.combinations).fit(object_set(scenes[-1])):
                return None
            scene = edit.apply(scenes[-1], rng=rng, combinations=pool.combinations)
            if not scene.objects or scene in scenes:
                return None
            edits.append(edit)
            scenes.append(scene)
        if not drawn:
            return None
    chain = Chain(tuple(edits))
    if source.key in chain.targets(source) or chain.order(source) != order:
        return None
    if pool.split is SplitId.TRAIN:
        return Draw((chain,), scenes[-1])
    wrong = distractors(chain, scenes, pool, count=_DISTRACTORS, rng=rng)
    return Draw((chain,), scenes[-1], wrong) if wrong else None


def _edit(
    scene: Scene, kind: str, combinations: Sequence[Combination], rng: np.random.Generator, *, alone: bool
) -> tuple[Modification, ...]:
    """Draw one edit, as css draws a modification; with others, an add leaves one attribute open at most."""
    if kind == "add" and not scene.empty_cells:
        return ()
    chosen = type_of(kind)
    lender = chosen.lender(scene, combinations, rng=rng)
    named = chosen.named if alone or kind != "add" else chosen.named[-2:]
    return (chosen.draw(kind, _naming(lender, one_of(named, rng), rng), lender, combinations, rng=rng),)


def _naming(item: SceneObject, count: int, rng: np.random.Generator) -> Selector:
    names = [FACTORS[place] for place in rng.permutation(len(FACTORS))[:count]]
    return Selector(**{name: getattr(item, name) for name in names})


def _related(
    scene: Scene, first: str, second: str, combinations: Sequence[Combination], rng: np.random.Generator
) -> tuple[Modification, ...]:
    """Draw two edits one of which changes what the other selects, so that their order is likely to matter."""
    changing = "add" if "add" in (first, second) else first if first != "remove" else second
    selecting = second if changing == first else first
    if changing == "add":
        pair = _added_and_selected(scene, selecting, combinations, rng)
    else:
        pair = _made_and_removed(scene, changing, combinations, rng)
    return pair if changing == first else pair[::-1]


def _added_and_selected(
    scene: Scene, kind: str, combinations: Sequence[Combination], rng: np.random.Generator
) -> tuple[Modification, ...]:
    """Draw an add, and a remove or a make whose words fit the new object and one that is there."""
    if not scene.empty_cells:
        return ()
    other = one_of(scene.objects, rng)
    names = [FACTORS[1:][place] for place in rng.permutation(3)[: int(rng.integers(1, 4))]]
    shared = Selector(**{name: getattr(other, name) for name in names})
    new = replace(Add.lender(scene, combinations, rng=rng), **{name: getattr(other, name) for name in names})
    if (new.shape, new.colour) not in combinations:
        return ()
    add = Add(_naming(new, one_of(Add.named[-2:], rng), rng))
    return add, type_of(kind).draw(kind, shared, other, combinations, rng=rng)


def _made_and_removed(
    scene: Scene, kind: str, combinations: Sequence[Combination], rng: np.random.Generator
) -> tuple[Modification, ...]:
    """Draw a make, and a remove that selects its object and another one only before it, or only after it."""
    item, factor = one_of(scene.objects, rng), kind.removeprefix("make-")
    before = bool(rng.integers(2))
    others = [each for each in scene if each is not item and (getattr(each, factor) == getattr(item, factor)) == before]
    if not others:
        return ()
    other = one_of(others, rng)
    make = Make.draw(kind, _naming(item, one_of(Make.named, rng), rng), item, combinations, rng=rng)
    if not before:
        make = replace(make, **{f"new_{factor}": getattr(other, factor)})
    free = [name for name in FACTORS[1:] if name != factor and getattr(item, name) == getattr(other, name)]
    names = [factor, *(name for name in free if rng.integers(2))]
    return make, Remove(Selector(**{name: getattr(other, name) for name in names}))


def _last_edit(program: Program, source: Scene) -> frozenset[str]:
    if not isinstance(program, Chain):
        raise TypeError(f"expected a chain, got {program!r}")
    return program.edits[-1].targets(source)


CHAIN = register(
    Track(
        name="chain",
        title="Edits in order",
        about="one to four edits, each of the scene that the earlier ones made; training shows one and two",
        distractors=_DISTRACTORS,
        contrasts=CONTRASTS,
        slices={"length": LENGTHS, "order": ORDERS},
        draw=_draw,
        parse=Chain.parse,
        from_json=Chain.from_json,
        shortcut=Shortcut("last edit only", _last_edit),
        held_out_slices={"length": LENGTHS[_LENGTHS_IN_TRAINING:]},
    )
)
