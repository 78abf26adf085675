"""Which scenes a text can make of some source: against every source of a small world, by reading the text's words."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from css_gen.scenes.factors import COMBINATIONS, Cell, Colour, Shape, Size
from css_gen.scenes.matching import scene_set
from css_gen.scenes.modification import Add, Make, Remove, Selector, parse
from css_gen.scenes.modification.program import types
from css_gen.scenes.reachable import count_reachable
from css_gen.scenes.scene import Scene, SceneObject
from tests.css_gen.scenes.reading import fits
from tests.css_gen.scenes.test_modification import MODIFICATIONS, SCENES

CELLS, COLOURS, SHAPES = list(Cell)[:2], list(Colour)[:2], list(Shape)[:2]
ITEMS = [None, *product(Size, COLOURS, SHAPES)]


def small_world(cells: list[Cell]) -> list[Scene]:
    """Every scene of two sizes, colours and shapes on some cells."""
    return [
        Scene(tuple(SceneObject(cell, *item) for cell, item in zip(cells, items, strict=True) if item))
        for items in product(ITEMS, repeat=len(cells))
    ]


WORLD = small_world(CELLS)
# What was removed may have been on a cell outside the world, which leaves the others as they are.
SOURCES = [*WORLD, *(Scene((*scene, SceneObject(Cell.BOTTOM_RIGHT, *item))) for scene in WORLD for item in ITEMS[1:])]

of = st.sampled_from
selectors = st.builds(Selector, of([None, *CELLS]), of([None, *Size]), of([None, *COLOURS]), of([None, *SHAPES]))
modifications = (
    st.builds(Add, selectors)
    | st.builds(Remove, selectors)
    | st.builds(Make, selectors, new_colour=of(COLOURS))
    | st.builds(Make, selectors, new_size=of(Size))
)


@settings(max_examples=15)
@given(asked=modifications, scenes=st.lists(of(WORLD), min_size=3, max_size=8), own=st.integers(0, 2))
def test_reachable_are_the_scenes_that_the_text_makes_of_some_source(asked, scenes, own):
    scenes = [*scenes, scenes[0]]
    expected = [any(fits(asked.text, source, scene) for source in SOURCES) for scene in scenes]
    found = count_reachable([asked, asked], scenes, without=[own, len(scenes) - 1])
    assert found.tolist() == [sum(expected) - expected[own], sum(expected[:-1])]


def test_every_text_of_the_small_world_is_decided_exactly_in_a_scene_of_two_objects():
    """All 81 selectors of every kind, on one scene that has something of each factor."""
    scene = Scene(tuple(SceneObject(*item) for item in zip(CELLS, Size, COLOURS, SHAPES, strict=True)))
    named = [Selector(*words) for words in product((None, *CELLS), (None, *Size), (None, *COLOURS), (None, *SHAPES))]
    new = [{"new_size": size} for size in Size] + [{"new_colour": colour} for colour in COLOURS]
    asked = [make(each) for make in (Add, Remove) for each in named]
    asked += [Make(each, **into) for each in named for into in new]
    near = [source for source in SOURCES if len({*source} ^ {*scene}) <= 4]
    expected = [any(fits(each.text, source, scene) for source in near) for each in asked]
    # A second, empty scene takes the place that is left out.
    found = count_reachable(asked, [scene, Scene()], without=[1] * len(asked))
    assert found.tolist() == expected
    assert 0.2 < np.mean(expected) < 0.8


@given(SCENES, MODIFICATIONS, st.integers(0, 2**32))
def test_every_target_meets_the_postcondition(scene, modification, seed):
    if modification.targets(scene):
        target = modification.apply(scene, rng=np.random.default_rng(seed))
        assert modification.postcondition().fit(scene_set(target))


def test_nothing_was_removed_from_a_full_scene():
    full = [SceneObject(cell, Size.SMALL, Colour.BLUE, Shape.CIRCLE) for cell in Cell]
    scenes = [Scene(tuple(full)), Scene(tuple(full[1:])), Scene()]
    expected = {
        "remove red object": [1, 2],
        "remove top-left object": [1, 2],
        "remove bottom-right object": [2],
        "remove object": [2],
        "add small blue object": [0, 1],
        "add object to top-left": [0],
        "make object large": [],
        "make red circle blue": [0, 1],
        "make blue circle blue": [0, 1],
        "make blue circle red": [],
    }
    for text, reachable in expected.items():
        for own in range(3):
            count = int(count_reachable([parse(text)], scenes, without=[own])[0])
            assert count == len({*reachable} - {own}), (text, own)


def test_no_scenes_and_no_texts():
    assert count_reachable([], [], without=[]).shape == (0,)
    assert count_reachable([], [Scene()], without=[]).shape == (0,)


@pytest.mark.parametrize("verb", types)
def test_what_a_kind_draws_for_datasets_reaches_its_target_in_a_full_gallery(verb):
    """Of every kind, whoever added it: a drawn modification's target is among the scenes that it can make."""
    kind = types[verb]
    rng = np.random.default_rng(0)
    source = Scene(tuple(SceneObject(cell, Size.LARGE, Colour.RED, Shape.CIRCLE) for cell in list(Cell)[:4]))
    for name in kind.kinds:
        lender = kind.lender(source, COMBINATIONS, rng=rng)
        asked = kind.draw(name, Selector(size=lender.size, shape=lender.shape), lender, COMBINATIONS, rng=rng)
        target = asked.apply(source, rng=rng)
        assert count_reachable([asked], [source, target], without=[0]).tolist() == [1]
