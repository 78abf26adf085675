"""The track "relation": edit the object that stands in a relation to others, where its attributes alone leave it open.

The source allows the same question about each object that the noun matches: the same edit and the same relation, with
other anchors. Which of them is asked about is drawn last, so nothing but the anchors says which one is meant. A solver
that knows the noun, the relation and the source, but not the anchors, is right once in as many times as objects match.

Each query is drawn on its own, so some are drawn twice: of the 1,895 queries of 10,000 test images, 104 have source and
text of an earlier one.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import combinations
from typing import NamedTuple

import numpy as np

from css_gen.scenes.factors import Cell, Colour, Size
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.randomness import SplitId, Stream, one_of, stream
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.scenes.selector import Selector
from css_gen.tracks.base import Draw, Pool, Program, Shortcut, Track
from css_gen.tracks.distractors import OTHER_SOURCE, Gallery, needs_distractors, with_other_source
from css_gen.tracks.parts import EDIT_KINDS, FACTORS, Edit, all_edits, selectors_of, shows_only, shuffled
from css_gen.tracks.registry import register
from css_gen.tracks.relation_program import Relate, Relation, from_json, parse

_DISTRACTORS = 4
_MOST_MATCHING = 4
"""Objects that a noun may match, so that three other referents and one of another source fit among the distractors."""

_COLOURS_OF_A_SCENE = 4
_FEWEST_OBJECTS, _MOST_OBJECTS = 5, 8
_FEW_REFERENCES = 100
_NAMED = tuple(names for number in range(len(FACTORS) + 1) for names in combinations(FACTORS, number))


def reference(index: int, seed: int, split: SplitId, held_out: HeldOut) -> Scene:
    """Return reference number `index`: five to eight objects in four colours, everything else uniform.

    Two in five allow a query of a given relation ("between" and "of the same colour as": one in six); of css's
    references a third do ("of the same colour as": one in twenty).
    """
    rng = stream(seed, split, Stream.REFERENCE, index)
    colours = [list(Colour)[place] for place in rng.permutation(len(Colour))[:_COLOURS_OF_A_SCENE]]
    pairs = [(shape, colour) for shape, colour in held_out.allowed(split) if colour in colours]
    count = int(rng.integers(_FEWEST_OBJECTS, _MOST_OBJECTS, endpoint=True))
    objects = []
    for place in rng.permutation(len(Cell))[:count]:
        shape, colour = one_of(pairs, rng)
        objects.append(SceneObject(list(Cell)[place], one_of(tuple(Size), rng), colour, shape))
    return Scene(tuple(objects))


def draw(pool: Pool, source: int, visit: int, *, rng: np.random.Generator) -> Draw | None:
    """Draw a relation and a kind of edit, all equally likely, and then what to ask of the source.

    A split of few references may have none that allows it; there, the other relations and kinds are tried in turn.
    """
    del visit
    scene = pool.scenes[source]
    if len(pool.scenes) >= _FEW_REFERENCES:
        relation = one_of(tuple(Relation), rng)
        return _draw(pool, scene, relation, one_of(_kinds(relation), rng), rng=rng)
    for relation in shuffled(tuple(Relation), rng):
        for kind in shuffled(_kinds(relation), rng):
            if drawn := _draw(pool, scene, relation, kind, rng=rng):
                return drawn
    return None


def _kinds(relation: Relation) -> tuple[str, ...]:
    """Return the kinds of edit that are asked for: one new size does not change two objects of different sizes."""
    return tuple(kind for kind in EDIT_KINDS if (relation, kind) != (Relation.SIZE, "make-size"))


def _draw(pool: Pool, scene: Scene, relation: Relation, kind: str, *, rng: np.random.Generator) -> Draw | None:
    for question in shuffled(_questions(scene, relation), rng):
        edits = [edit for edit in all_edits(kind) if _edits_all(edit, scene, question.matching, pool)]
        if not edits:
            continue
        place = int(rng.integers(len(question.matching)))
        names = [one_of(each, rng) for each in one_of(question.anchors[place], rng)]
        program = Relate(one_of(edits, rng), question.noun, relation, tuple(shuffled(names, rng)))
        if drawn := _with_distractors(pool, scene, program, question.matching, place, rng=rng):
            return drawn
    return None


class _Question(NamedTuple):
    """What may be asked of a source with one relation.

    Attributes:
        matching: the objects that the noun matches.
        anchors: for each of them, the sets of anchors by which it is meant; an anchor is all its shortest selectors.
    """

    noun: Selector
    matching: tuple[SceneObject, ...]
    anchors: tuple[tuple[tuple[tuple[Selector, ...], ...], ...], ...]


@lru_cache(maxsize=16_384)
def _questions(scene: Scene, relation: Relation) -> tuple[_Question, ...]:
    """Return every noun of which each matching object can be meant, by anchors that the noun does not match.

    Neither noun nor anchor names an attribute that the relation says they share. A set of objects is an integer with a
    bit for each.
    """
    items, attributes = scene.objects, [names for names in _NAMED if relation.shared not in names]
    matched = {
        selector: _set_of(items, selector.matches) for item in items for selector in selectors_of(item, attributes)
    }
    names = [_shortest(1 << place, matched) for place in range(len(items))]
    related = []
    for anchors in combinations(range(len(items)), relation.anchors):
        if all(names[each] for each in anchors):
            related.append(
                (_set_of(items, partial(relation.holds, anchors=[items[each] for each in anchors])), anchors)
            )
    questions = []
    for noun, matching in matched.items():
        if not 2 <= matching.bit_count() <= _MOST_MATCHING:
            continue
        meant = defaultdict(list)
        for having, anchors in related:
            if (having & matching).bit_count() == 1 and not any(matching >> each & 1 for each in anchors):
                meant[having & matching].append(tuple(names[each] for each in anchors))
        if len(meant) == matching.bit_count():
            places = [place for place in range(len(items)) if matching >> place & 1]
            anchors_of = tuple(tuple(meant[1 << place]) for place in places)
            questions.append(_Question(noun, tuple(items[place] for place in places), anchors_of))
    return tuple(questions)


def _set_of(items: Sequence[SceneObject], has: Callable[[SceneObject], bool]) -> int:
    return sum(1 << place for place, item in enumerate(items) if has(item))


def _shortest(objects: int, matched: Mapping[Selector, int]) -> tuple[Selector, ...]:
    """Return the selectors of exactly these objects that name as few attributes as possible."""
    found = [selector for selector, matching in matched.items() if matching == objects]
    fewest = min(map(_named, found), default=0)
    return tuple(selector for selector in found if _named(selector) == fewest)


def _named(selector: Selector) -> int:
    return sum(value is not None for value in (selector.size, selector.colour, selector.shape))


def _edits_all(edit: Edit, scene: Scene, matching: Sequence[SceneObject], pool: Pool) -> bool:
    """Return whether the edit changes each of the objects, into scenes that the split may show."""
    return shows_only(edit.apply(scene, matching), pool.combinations) and all(map(edit.changes, matching))


def _with_distractors(
    pool: Pool, scene: Scene, program: Relate, matching: Sequence[SceneObject], place: int, *, rng: np.random.Generator
) -> Draw | None:
    referent = matching[place]
    target = program.edit.apply(scene, [referent])
    if not needs_distractors(pool):
        return Draw((program,), target)
    gallery = Gallery(pool, {scene.key, target.key})
    others = [program.edit.apply(scene, [item]) for item in matching if item is not referent]
    gallery.add("wrong referent", others, at_most=len(others))
    edits = (edit.apply(scene, [referent]) for edit in shuffled(all_edits(), rng))
    gallery.add("other edit", edits, at_most=_DISTRACTORS - 1 - len(others))
    distractors = with_other_source(
        program,
        target,
        gallery.distractors,
        excluded={scene.key, target.key},
        allowed=gallery.may_show,
        kept=("wrong referent",),
        rng=rng,
    )
    return Draw((program,), target, distractors) if distractors and len(distractors) == _DISTRACTORS else None


def _attributes_only(program: Program, source: Scene) -> frozenset[str]:
    """Return what the edit makes of each object that the noun matches, whatever the relation says."""
    if not isinstance(program, Relate):
        raise TypeError(f"expected a program of the track relation, got {type(program).__name__}")
    return frozenset(program.edit.apply(source, [item]).key for item in source if program.noun.matches(item))


register(
    Track(
        name="relation",
        title="Relations",
        about=(
            "Edit the one object that stands in a relation to others, such as the cube left of the red sphere. "
            "Left and right are on the same row, in front and behind in the same column"
        ),
        distractors=_DISTRACTORS,
        contrasts={
            "wrong referent": "referent accuracy",
            OTHER_SOURCE: "source accuracy",
            "other edit": "edit accuracy",
        },
        slices={
            "kind": EDIT_KINDS,
            "relation": tuple(map(str, Relation)),
            "matching objects": ("2", "3 or 4"),
        },
        draw=draw,
        parse=parse,
        from_json=from_json,
        shortcut=Shortcut("attributes only", _attributes_only),
        reference=reference,
    )
)
