import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from css_gen.scenes.factors import COMBINATIONS, Cell, Colour, Shape, Size
from css_gen.scenes.matching import Needs, object_set, walk
from css_gen.scenes.modification import Add, Make, Remove, Selector
from css_gen.scenes.scene import Scene, SceneObject

ALLOWED = COMBINATIONS[::2] + COMBINATIONS[1:12:4]
OBJECTS = st.builds(
    lambda cell, size, pair: SceneObject(cell, size, pair[1], pair[0]),
    st.sampled_from(Cell),
    st.sampled_from(Size),
    st.sampled_from(ALLOWED),
)
SCENES = st.builds(
    lambda objects: Scene(tuple(objects)),
    st.lists(OBJECTS, min_size=1, max_size=8, unique_by=lambda item: item.cell),
)
SELECTORS = st.builds(Selector, *(st.none() | st.sampled_from(factor) for factor in (Cell, Size, Colour, Shape)))
MODIFICATIONS = (
    st.builds(Add, SELECTORS)
    | st.builds(Remove, SELECTORS)
    | st.builds(Make, SELECTORS, new_colour=st.sampled_from(Colour))
    | st.builds(Make, SELECTORS, new_size=st.sampled_from(Size))
)


@given(SCENES, MODIFICATIONS)
def test_needs_are_met_where_the_modification_changes_the_scene_into_an_allowed_one(scene, modification):
    fits = not modification.is_no_op(scene)
    if fits and not isinstance(modification, Add):
        target = modification.apply(scene, rng=np.random.default_rng(0))
        fits = all((item.shape, item.colour) in ALLOWED for item in target)
    assert modification.needs(ALLOWED).fit(object_set(scene)) == fits


@given(st.lists(OBJECTS, unique=True), st.lists(OBJECTS, unique=True))
def test_sets_of_objects_are_sets(left, right):
    assert (object_set(left) == object_set(right)) == ({*left} == {*right})
    assert object_set(left) & object_set(right) == object_set({*left} & {*right})


@given(st.lists(st.integers(0, 7), min_size=3, max_size=40), st.integers(1, 4), st.data())
def test_a_walk_finds_what_there_is(scenes, count, data):
    wanted = Needs(some=data.draw(st.integers(0, 7)), none=data.draw(st.integers(0, 7)))
    without = data.draw(st.integers(0, len(scenes) - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 100)))
    fitting = {
        place
        for place, scene in enumerate(scenes)
        if place != without and scene & wanted.some and not scene & wanted.none
    }
    found = walk(scenes, wanted, count=count, without=without, rng=rng)
    assert len(set(found)) == len(found) == (count if len(fitting) >= count else 0)
    assert set(found) <= fitting


@pytest.mark.parametrize("number", [3, 4, 12, 30, 97])
def test_every_reference_is_found_equally_often(number):
    rng = np.random.default_rng(number)
    rounds = 400
    found = [place for _ in range(rounds) for place in walk([1] * number, Needs(1, 0), count=2, without=0, rng=rng)]
    counts = np.bincount(found, minlength=number)
    expected = 2 * rounds / (number - 1)
    assert counts[0] == 0
    assert np.all(abs(counts[1:] - expected) < 5 * expected**0.5)
