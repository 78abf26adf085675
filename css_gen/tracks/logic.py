"""The track "logic": phrases with "all but", "not", "except", "one of", and their siblings of the other polarity.

A source is asked only what it could be asked in either polarity, and which one it is, is drawn before the source is
looked at. So a solver that takes both polarities for right is right once in two times. In the forms "all but" and
"not", the negative phrase edits more objects than the positive one as often as fewer. In the others it cannot.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import NamedTuple

import numpy as np

from css_gen.scenes.factors import Colour, Size
from css_gen.scenes.randomness import one_of
from css_gen.scenes.scene import Scene
from css_gen.scenes.selector import Selector
from css_gen.tracks.base import Draw, Pool, Program, Shortcut, Track
from css_gen.tracks.distractors import OTHER_SOURCE, Gallery, needs_distractors, with_other_source
from css_gen.tracks.logic_program import COUNTS, Form, Logic, from_json, parse
from css_gen.tracks.parts import EDIT_KINDS, FACTORS, all_edits, selectors_of, shows_only, shuffled, with_value
from css_gen.tracks.registry import register

_DISTRACTORS = 4
_FEW_REFERENCES = 100
_NOUNS = tuple(names for number in (1, 2, 3) for names in combinations(FACTORS, number))


def draw(pool: Pool, source: int, visit: int, *, rng: np.random.Generator) -> Draw | None:
    """Draw polarity, form, kind of edit and what else `_Asked` holds, all equally likely, and then what to ask.

    A split of few references may have none that allows it; there, the others are tried in turn.
    """
    del visit
    scene, negated = pool.scenes[source], bool(rng.integers(2))
    form, kind = one_of(tuple(product(Form, EDIT_KINDS)), rng)
    first = _Asked(form, kind, one_of(_deciding(form, kind), rng), int(rng.integers(-1, 2)))
    if len(pool.scenes) >= _FEW_REFERENCES:
        return _draw(pool, scene, first, negated, rng=rng)
    others = (
        _Asked(form, kind, attribute, more)
        for form, kind, more in shuffled(tuple(product(Form, EDIT_KINDS, (-1, 0, 1))), rng)
        for attribute in _deciding(form, kind)
    )
    return next((drawn for asked in (first, *others) if (drawn := _draw(pool, scene, asked, negated, rng=rng))), None)


class _Asked(NamedTuple):
    """What is drawn before the source is looked at.

    Attributes:
        attribute: what the noun of "all but" and "not" or the exception of "except" names.
        more: whether a program "all but" or "not" changes more objects than its sibling (1), as many (0) or fewer (-1).
    """

    form: Form
    kind: str
    attribute: str
    more: int


def _deciding(form: Form, kind: str) -> tuple[str, ...]:
    """Return the attributes by which a form may tell objects apart. A new size does nothing to one of two sizes."""
    usable = ("size", "colour") if form is Form.EXCEPT else ("size", "colour", "shape")
    return usable[1:] if kind == "make-size" and form not in (Form.EITHER, Form.COUNT) else usable


def _draw(pool: Pool, scene: Scene, asked: _Asked, negated: bool, *, rng: np.random.Generator) -> Draw | None:
    for noun, exception, count in shuffled(_questions(scene, asked.form, asked.attribute), rng):
        for edit in shuffled(all_edits(asked.kind), rng):
            program = Logic(asked.form, negated, edit, noun, exception, count)
            allowed = _may_ask(pool, scene, program, asked.more)
            if allowed and (drawn := _with_distractors(pool, scene, program, rng=rng)):
                return drawn
    return None


_Question = tuple[Selector, Size | Colour | None, int]
"""Noun, exception and count of a program."""


def _questions(scene: Scene, form: Form, attribute: str) -> list[_Question]:
    """Return what a form may speak of in a scene.

    The noun of "all but" and "not" names this attribute alone, and an exception is one of this attribute. Nouns of the
    forms with a number name any attributes.
    """
    if form in (Form.ALL_BUT, Form.NOT):
        return [(noun, None, 0) for noun in _nouns(scene, ((attribute,),))]
    if form is Form.EXCEPT:
        nouns = _nouns(scene, [(name,) for name in FACTORS if name != attribute])
        values = {noun: [getattr(item, attribute) for item in scene if noun.matches(item)] for noun in nouns}
        return [(noun, value, 0) for noun in nouns for value in values[noun] if values[noun].count(value) == 1]
    questions: list[_Question] = []
    for noun in _nouns(scene, _NOUNS):
        matching = sum(map(noun.matches, scene))
        if matching == 2 and form is Form.EITHER:
            questions.append((noun, None, 0))
        if matching in COUNTS and form is Form.COUNT:
            questions.append((noun, None, matching))
    return questions


def _nouns(scene: Scene, attributes: Sequence[Sequence[str]]) -> list[Selector]:
    return list(dict.fromkeys(noun for item in scene for noun in selectors_of(item, attributes)))


def _may_ask(pool: Pool, scene: Scene, program: Logic, more: int) -> bool:
    """Return whether program and sibling change the scene into different ones that the split may show.

    Of "all but" and "not", the program must change more objects than its sibling, as many or fewer: see `_Asked`.
    """
    targets = program.results(scene)
    flipped = program.flipped.results(scene) if targets else []
    if not flipped or scene in targets or scene in flipped:
        return False
    if not all(result and shows_only(result, pool.combinations) for result in (*targets, *flipped)):
        return False
    if any(target in flipped for target in targets):
        return False
    if program.form not in (Form.ALL_BUT, Form.NOT):
        return True
    changed, sibling = (len({*scene} - {*result}) for result in (targets[0], flipped[0]))
    return (changed > sibling) - (changed < sibling) == more


def _with_distractors(pool: Pool, scene: Scene, program: Logic, *, rng: np.random.Generator) -> Draw | None:
    targets, flipped = program.results(scene), program.flipped.results(scene)
    target, wrong = one_of(targets, rng), one_of(flipped, rng)
    if not needs_distractors(pool):
        return Draw((program,), target)
    excluded = {each.key for each in (scene, *targets, *flipped) if each != wrong}
    gallery = Gallery(pool, excluded)
    gallery.add("flipped polarity", [wrong], at_most=1)
    # Other words in both polarities: those of its own alone would all be nearer to the target than to the sibling's.
    near = [*_near(program), *_near(program.flipped)]
    results = (other.results(scene) for other in shuffled(near, rng))
    others = (one_of(found, rng) for found in results if found)
    gallery.add("other word", (each for each in others if each), at_most=_DISTRACTORS - len(gallery.distractors) - 1)
    distractors = with_other_source(
        program,
        target,
        gallery.distractors,
        excluded=excluded,
        allowed=gallery.may_show,
        kept=("flipped polarity",),
        rng=rng,
    )
    return Draw((program,), target, distractors) if distractors and len(distractors) == _DISTRACTORS else None


def _near(program: Logic) -> Iterator[Logic]:
    """Yield the programs of the same form and polarity with another edit, or another word in noun or exception."""
    for edit in all_edits():
        yield replace(program, edit=edit)
    for name, values in FACTORS.items():
        for value in values if getattr(program.noun, name) else ():
            yield replace(program, noun=with_value(program.noun, name, value))
    if program.exception is not None:
        for exception in type(program.exception):
            yield replace(program, exception=exception)


def _ignores_polarity(program: Program, source: Scene) -> frozenset[str]:
    """Return the targets of the program and of its sibling."""
    if not isinstance(program, Logic):
        raise TypeError(f"expected a program of the track logic, got {type(program).__name__}")
    return program.targets(source) | program.flipped.targets(source)


register(
    Track(
        name="logic",
        title="Logic",
        about="Edit what a phrase with a negation or a number means, such as all but the cubes",
        distractors=_DISTRACTORS,
        contrasts={
            "flipped polarity": "polarity accuracy",
            OTHER_SOURCE: "source accuracy",
            "other word": "word accuracy",
        },
        slices={
            "kind": EDIT_KINDS,
            "form": tuple(map(str, Form)),
            "polarity": ("positive", "negative"),
        },
        draw=draw,
        parse=parse,
        from_json=from_json,
        shortcut=Shortcut("ignores the polarity", _ignores_polarity),
    )
)
