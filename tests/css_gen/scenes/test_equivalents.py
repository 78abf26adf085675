"""Equivalent texts against all texts of the grammar, read word by word."""

from itertools import product
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from css_gen.scenes.equivalents import equivalents
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.modification import Selector, parse
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.sampling import Query, SplitPlan
from css_gen.scenes.scene import Scene, SceneObject
from tests.css_gen.scenes.reading import fits

EVERY_SELECTOR = [Selector(*words) for words in product([None, *Cell], [None, *Size], [None, *Colour], [None, *Shape])]
PLAN = SplitPlan(2_000, seed=3, split=SplitId.TRAIN, held_out=HeldOut.sample(seed=3))
QUERIES = st.integers(0, PLAN.query_count - 1).map(lambda index: PLAN.queries(index, index + 1)[0])


def named(selector: Selector) -> int:
    return sum(word is not None for word in (selector.cell, selector.size, selector.colour, selector.shape))


@given(QUERIES)
def test_they_are_all_texts_of_the_grammar_that_make_the_target_of_the_source(query: Query) -> None:
    given, source, target = query.modification, query.source_scene, query.target_scene
    every = [given.with_selector(selector) for selector in EVERY_SELECTOR if named(selector) in given.named]
    expected = {each.text for each in every if fits(each.text, source, target)}
    assert {each.text for each in equivalents(given, source, target)} == expected | {given.text}


@given(QUERIES)
def test_choices_of_as_many_attributes_weigh_the_same_and_all_numbers_weigh_the_same(query: Query) -> None:
    found = equivalents(query.modification, query.source_scene, query.target_scene)
    for each, equivalent in found.items():
        assert equivalent.weight * comb(4, named(each.selector)) == pytest.approx(1)
        assert equivalent.targets == {scene.key for scene in each.results(query.source_scene)}


def test_a_text_that_names_too_little_to_tell_objects_apart_is_left_out() -> None:
    red, blue = (SceneObject(cell, Size.SMALL, colour, Shape.CIRCLE) for cell, colour in (
        (Cell.TOP_LEFT, Colour.RED), (Cell.TOP_RIGHT, Colour.BLUE),
    ))  # fmt: skip
    found = equivalents(parse("remove red object"), Scene((red, blue)), Scene((blue,)))
    assert [each.text for each in found if named(each.selector) == 1] == ["remove red object", "remove top-left object"]


def test_a_text_that_changes_nothing_is_equivalent_to_itself() -> None:
    scene = Scene((SceneObject(Cell.TOP_LEFT, Size.SMALL, Colour.RED, Shape.CIRCLE),))
    assert [each.text for each in equivalents(parse("make object small"), scene, scene)] == ["make object small"]
