"""What a modification makes of a scene, against a reference that works on the words of its text."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.modification import Add, Make, Remove, Selector, parse
from css_gen.scenes.scene import Scene, SceneObject

CELLS, SIZES, COLOURS, SHAPES = map(st.sampled_from, (Cell, Size, Colour, Shape))
SCENES = st.builds(
    lambda objects: Scene(tuple(objects)),
    st.lists(st.builds(SceneObject, CELLS, SIZES, COLOURS, SHAPES), max_size=9, unique_by=lambda item: item.cell),
)
SELECTORS = st.builds(Selector, st.none() | CELLS, st.none() | SIZES, st.none() | COLOURS, st.none() | SHAPES)
MODIFICATIONS = (
    st.builds(Add, SELECTORS)
    | st.builds(Remove, SELECTORS)
    | st.builds(Make, SELECTORS, new_colour=COLOURS)
    | st.builds(Make, SELECTORS, new_size=SIZES)
)

EVERY_OBJECT = [SceneObject(*factors) for factors in product(Cell, Size, Colour, Shape)]


def keys_from_the_words(text: str, scene: Scene) -> set[str]:
    """`targets` from the text's words, on sets of words instead of objects."""
    verb, *words = [word for word in text.split() if word not in ("object", "to")]
    new = words.pop() if verb == "make" else ""
    there = [{item.cell, item.size, item.colour, item.shape} for item in scene]
    if verb == "add":
        free = [item for item in EVERY_OBJECT if item.cell in scene.empty_cells]
        fitting = [{item.cell, item.size, item.colour, item.shape} for item in free]
        return {key_of([*there, item]) for item in fitting if item.issuperset(words)}
    if not any(item.issuperset(words) for item in there):
        return set()
    if verb == "remove":
        return {key_of([item for item in there if not item.issuperset(words)])}
    kind = Size if new in list(Size) else Colour
    return {key_of([item - {*kind} | {new} if item.issuperset(words) else item for item in there])}


def key_of(objects: list[set[str]]) -> str:
    def words(item: set[str]) -> list[str]:
        return [str(word) for factor in (Cell, Size, Colour, Shape) for word in factor if word in item]

    return "; ".join(
        " ".join(words(item)) for item in sorted(objects, key=lambda item: list(Cell).index(words(item)[0]))
    )


@given(SELECTORS, st.builds(SceneObject, CELLS, SIZES, COLOURS, SHAPES))
def test_a_selector_matches_what_has_all_its_words(selector, item):
    wanted = {selector.cell, selector.size, selector.colour, selector.shape} - {None}
    assert selector.matches(item) == (wanted <= {item.cell, item.size, item.colour, item.shape})


@given(SCENES, MODIFICATIONS)
def test_targets_follow_from_the_words(scene, modification):
    assert modification.targets(scene) == keys_from_the_words(modification.text, scene)


@given(SCENES, MODIFICATIONS, st.integers(0, 2**32))
def test_apply_gives_a_target_or_says_why_not(scene, modification, seed):
    targets = modification.targets(scene)
    if not targets:
        with pytest.raises(ValueError, match=f"'{modification.text}' does not apply"):
            modification.apply(scene, rng=np.random.default_rng(seed))
        return
    target = modification.apply(scene, rng=np.random.default_rng(seed))
    assert target.key in targets
    assert modification.is_target(scene, target)
    if not isinstance(modification, Add):
        assert len(targets) == 1


@given(SCENES, MODIFICATIONS, st.data())
def test_is_target_is_membership(scene, modification, data):
    objects = list(scene)
    for _ in range(data.draw(st.integers(0, 2))):
        if objects and data.draw(st.booleans()):
            objects.pop(data.draw(st.integers(0, len(objects) - 1)))
        elif empty := Scene(tuple(objects)).empty_cells:
            objects.append(
                SceneObject(data.draw(st.sampled_from(empty)), data.draw(SIZES), data.draw(COLOURS), data.draw(SHAPES))
            )
    near = Scene(tuple(objects))
    assert modification.is_target(scene, near) == (near.key in modification.targets(scene))


@given(SCENES, SELECTORS, st.sampled_from(EVERY_OBJECT))
def test_is_target_of_add_sees_every_attribute(scene, selector, item):
    kept = [other for other in scene if other.cell != item.cell]
    before, after = Scene(tuple(kept)), Scene((*kept, item))
    assert Add(selector).is_target(before, after) == selector.matches(item)
    assert not Add(selector).is_target(after, after)
    assert not Add(selector).is_target(after, before)


@given(SCENES.filter(bool), st.sampled_from(EVERY_OBJECT))
def test_is_target_of_add_refuses_a_replacement(scene, item):
    replaced = Scene((*scene.objects[1:], SceneObject(scene.objects[0].cell, item.size, item.colour, item.shape)))
    assert not parse("add object").is_target(scene, replaced)


@given(SCENES, MODIFICATIONS)
def test_a_no_op_has_no_answer_but_the_scene(scene, modification):
    assert modification.is_no_op(scene) == (modification.targets(scene) <= {scene.key})


def test_all_matching_objects_change_and_no_other():
    scene = Scene(
        (
            SceneObject(Cell.TOP_LEFT, Size.SMALL, Colour.RED, Shape.CIRCLE),
            SceneObject(Cell.TOP_RIGHT, Size.LARGE, Colour.RED, Shape.TRIANGLE),
            SceneObject(Cell.BOTTOM_LEFT, Size.SMALL, Colour.BLUE, Shape.CIRCLE),
        )
    )
    rng = np.random.default_rng(0)
    assert parse("remove red object").apply(scene, rng=rng).key == "bottom-left small blue circle"
    assert parse("make small object large").apply(scene, rng=rng).key == (
        "top-left large red circle; top-right large red triangle; bottom-left large blue circle"
    )
    assert parse("make circle blue").apply(scene, rng=rng).key == (
        "top-left small blue circle; top-right large red triangle; bottom-left small blue circle"
    )
    assert parse("remove object").apply(scene, rng=rng) == Scene()


def test_add_draws_every_completion_and_nothing_else():
    scene = Scene(tuple(SceneObject(cell, Size.SMALL, Colour.RED, Shape.CIRCLE) for cell in list(Cell)[:7]))
    add, rng = parse("add small object"), np.random.default_rng(0)
    drawn = [add.apply(scene, rng=rng).key for _ in range(2000)]
    assert set(drawn) == add.targets(scene)
    counts = [drawn.count(key) for key in set(drawn)]
    assert len(counts) == 48
    assert sum((count - 2000 / 48) ** 2 / (2000 / 48) for count in counts) < 100


def test_add_keeps_to_the_allowed_combinations():
    allowed = [(Shape.CIRCLE, Colour.RED), (Shape.TRIANGLE, Colour.BLUE), (Shape.CIRCLE, Colour.BLUE)]
    rng = np.random.default_rng(0)
    drawn = {
        (item.shape, item.colour)
        for _ in range(100)
        for item in parse("add blue object").apply(Scene(), rng=rng, combinations=allowed)
    }
    assert drawn == {(Shape.TRIANGLE, Colour.BLUE), (Shape.CIRCLE, Colour.BLUE)}
    with pytest.raises(ValueError, match="no allowed combination of shape and colour fits"):
        parse("add green object").apply(Scene(), rng=rng, combinations=allowed)


@given(SCENES, MODIFICATIONS.filter(lambda modification: not isinstance(modification, Add)))
def test_only_add_draws(scene, modification):
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    if modification.targets(scene):
        modification.apply(scene, rng=rng)
    assert rng.bit_generator.state == before
