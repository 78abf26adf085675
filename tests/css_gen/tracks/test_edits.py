"""Edits that tracks draw as css does, and near misses that differ from the right answer in one respect."""

from dataclasses import fields

import numpy as np
import pytest

from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.modification import KINDS, Add, type_of
from css_gen.scenes.randomness import SplitId, one_of
from css_gen.scenes.sampling import reference
from css_gen.scenes.selector import Selector
from css_gen.tracks.edits import WRONG, draw_edit, near_misses
from tests.css_gen.scenes.reading import fits

HELD_OUT = HeldOut.sample(seed=0)
COMBINATIONS = HELD_OUT.allowed(SplitId.TEST)
FACTORS = {"cell": Cell, "size": Size, "colour": Colour, "shape": Shape, "new_colour": Colour, "new_size": Size}


def named(selector):
    return [field.name for field in fields(Selector) if getattr(selector, field.name)]


def drawn(kind, number):
    """Sources and edits of them."""
    rng = np.random.default_rng(number)
    for index in range(60):
        source = reference(index, seed=0, split=SplitId.TEST, held_out=HELD_OUT)
        edit = draw_edit(kind, number, source, COMBINATIONS, rng=rng)
        if edit:
            yield source, edit, edit.apply(source, rng=rng, combinations=COMBINATIONS), rng


def texts_with_another(name, edit):
    """css's texts of the edit with every other value of an attribute, written word by word."""
    value = edit.__dict__[name] if name.startswith("new") else getattr(edit.selector, name)
    written = edit.text.split()
    place = len(written) - 1 if name.startswith("new") else written.index(value)
    for other in FACTORS[name]:
        if other != value:
            yield " ".join([*written[:place], other, *written[place + 1 :]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_an_edit_names_as_many_attributes_as_asked_and_changes_the_source(kind, number):
    edits = [*drawn(kind, number)]
    assert len(edits) > 10
    for source, edit, target, _ in edits:
        assert edit.kind == kind
        assert len(named(edit.selector)) == number
        assert target != source
        assert {(item.shape, item.colour) for item in target} <= {*COMBINATIONS}
    assert len({edit.selector for _, edit, _, _ in edits}) > 5


@pytest.mark.parametrize(("kind", "number"), [(kind, number) for kind in KINDS for number in type_of(kind).named])
def test_a_near_miss_differs_in_the_respect_that_it_names(kind, number):
    found = set()
    for source, edit, target, rng in drawn(kind, number):
        misses = near_misses(edit, source, target, COMBINATIONS, count=3, rng=rng)
        assert misses is not None
        assert len({source.key, target.key, *(miss.scene.key for miss in misses)}) == 5
        for why, scene in ((miss.why, miss.scene) for miss in misses):
            found.add(why)
            assert not fits(edit.text, source, scene)
            assert {(item.shape, item.colour) for item in scene} <= {*COMBINATIONS}
            name = {label: key for key, label in WRONG.items()}[why]
            if name == "kind":
                selected = edit.text.split()[1:-1] if kind.startswith("make") else edit.text.split()[1:]
                others = [f"make {' '.join(selected)} {new}" for new in (*Colour, *Size)]
                assert any(fits(text, source, scene) for text in (f"remove {' '.join(selected)}", *others))
            elif name == "object":
                assert any(fits(text, source, scene) for text in of_another_object(edit, source))
            else:
                assert any(fits(text, source, scene) for text in texts_with_another(name, edit))
                if isinstance(edit, Add):
                    (right,), (wrong,) = {*target} - {*source}, {*scene} - {*source}
                    values = [(getattr(right, each.name), getattr(wrong, each.name)) for each in fields(right)]
                    assert sum(one != other for one, other in values) == 1
    assert len(found) > 1


def of_another_object(edit, source):
    if isinstance(edit, Add):
        return ["add object"]
    return [edit.with_selector(Selector(cell=item.cell)).text for item in source]


def test_preferred_near_misses_go_first():
    for source, edit, target, rng in drawn("add", 3):
        right = one_of([*{*target} - {*source}], rng)

        def has_its_colour(_, scene, source=source, right=right):
            return all(item.colour is right.colour for item in {*scene} - {*source})

        misses = near_misses(edit, source, target, COMBINATIONS, count=3, preferred=has_its_colour, rng=rng)
        preferred = [has_its_colour(None, miss.scene) for miss in misses]
        assert preferred == sorted(preferred, reverse=True)
        assert preferred[0]


def test_there_are_none_where_there_are_too_few():
    for source, edit, target, rng in drawn("remove", 4):
        assert near_misses(edit, source, target, COMBINATIONS, count=500, rng=rng) is None
