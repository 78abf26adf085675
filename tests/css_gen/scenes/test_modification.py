import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.modification import KINDS, Add, Make, Remove, Selector, from_json, parse
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


def every_modification():
    for factors in product((None, *Cell), (None, *Size), (None, *Colour), (None, *Shape)):
        selector = Selector(*factors)
        yield Add(selector)
        yield Remove(selector)
        yield from (Make(selector, new_colour=colour) for colour in Colour)
        yield from (Make(selector, new_size=size) for size in Size)


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


@pytest.mark.parametrize(
    ("text", "modification"),
    [
        ("make circle small", Make(Selector(shape=Shape.CIRCLE), new_size=Size.SMALL)),
        ("remove red object", Remove(Selector(colour=Colour.RED))),
        (
            "add small rectangle to top-center",
            Add(Selector(cell=Cell.TOP_CENTER, size=Size.SMALL, shape=Shape.RECTANGLE)),
        ),
        (
            "make middle-left small gray object large",
            Make(Selector(cell=Cell.MIDDLE_LEFT, size=Size.SMALL, colour=Colour.GRAY), new_size=Size.LARGE),
        ),
        (
            "make bottom-center brown object cyan",
            Make(Selector(cell=Cell.BOTTOM_CENTER, colour=Colour.BROWN), new_colour=Colour.CYAN),
        ),
    ],
)
def test_texts_of_the_original(text, modification):
    assert modification.text == text
    assert parse(text) == modification


def test_solid_names():
    assert parse("make small red triangle large").text_with("3d") == "make small red cylinder large"
    assert parse("add cube").text == "add rectangle"
    assert parse("remove sphere").text_with("2d") == "remove circle"
    with pytest.raises(ValueError, match="names must be 2d or 3d, got '4d'"):
        parse("remove object").text_with("4d")


def test_every_text_names_one_modification_in_either_naming():
    modifications = list(every_modification())
    for names in ("2d", "3d"):
        texts = [modification.text_with(names) for modification in modifications]
        assert len(set(texts)) == len(modifications)
        assert [parse(text) for text in texts] == modifications


def test_every_modification_survives_json():
    for modification in every_modification():
        text = modification.to_json()
        assert from_json(text) == modification
        assert "\n" not in text


def test_json_says_what_is_open():
    assert json.loads(parse("make small circle red").to_json()) == {
        "type": "make",
        "cell": None,
        "size": "small",
        "colour": None,
        "shape": "circle",
        "new_colour": "red",
        "new_size": None,
    }
    assert set(json.loads(parse("add circle").to_json())) == {"type", "cell", "size", "colour", "shape"}


def test_kinds():
    assert {modification.kind for modification in every_modification()} == set(KINDS)
    texts = ["add circle", "make circle red", "make circle small", "remove circle"]
    assert tuple(parse(text).kind for text in texts) == KINDS


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "add",
        "add ",
        "add red",
        "add  circle",
        " add circle",
        "add circle ",
        "add circle\n",
        "add circle\nremove circle",
        "Add circle",
        "ADD CIRCLE",
        "add red small circle",
        "add small small circle",
        "add top-left circle",
        "add circle to",
        "add circle to the top-left",
        "add circle to top-left to top-left",
        "add circle object",
        "add pink circle",
        "remove",
        "remove circle to top-left",
        "remove small top-left circle",
        "remove top-middle circle",
        "remove circle red",
        "make circle",
        "make red",
        "make circle red small",
        "make circle small red",
        "make circle rectangle",
        "make circle top-left",
        "make circle to red",
        "make object object",
        "move circle",
        "add\tcircle",
        "add\u00a0circle",
        "add circle\x00",
        "add \u0441ircle",
        "remove object; remove object",
        "x" * 1_000_000,
    ],
)
def test_other_texts_are_refused_in_one_line(text):
    with pytest.raises(ValueError, match="cannot read the modification") as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@given(
    st.text()
    | st.lists(
        st.sampled_from(["add", "remove", "make", "object", "to", "cube", *Cell, *Size, *Colour, *Shape]), max_size=8
    ).map(" ".join)
)
def test_what_is_read_is_what_was_written(text):
    try:
        modification = parse(text)
    except ValueError:
        return
    assert text in (modification.text_with("2d"), modification.text_with("3d"))


GOOD = {
    "type": "make",
    "cell": None,
    "size": None,
    "colour": "red",
    "shape": None,
    "new_colour": "blue",
    "new_size": None,
}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"add circle"',
        "{}",
        "[" * 100_000,
        json.dumps(GOOD | {"type": "move"}),
        json.dumps(GOOD | {"type": ["make"]}),
        json.dumps(GOOD | {"type": "Make"}),
        json.dumps(GOOD | {"type": None}),
        json.dumps(GOOD | {"type": "add"}),
        json.dumps(GOOD | {"to_str": "make red object blue"}),
        json.dumps({key: value for key, value in GOOD.items() if key != "new_size"}),
        json.dumps(GOOD | {"new_size": "small"}),
        json.dumps(GOOD | {"new_colour": None}),
        json.dumps(GOOD | {"shape": "object"}),
        json.dumps(GOOD | {"shape": "cube"}),
        json.dumps(GOOD | {"cell": 3}),
        json.dumps(GOOD | {"cell": {}}),
        json.dumps(GOOD | {"colour": ""}),
        json.dumps(GOOD | {"colour": False}),
    ],
)
def test_other_json_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match="cannot read the modification") as caught:
        from_json(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("new", [{}, {"new_colour": Colour.RED, "new_size": Size.SMALL}])
def test_make_needs_exactly_one_new_attribute(new):
    with pytest.raises(ValueError, match="expected a new colour or a new size"):
        Make(Selector(), **new)


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
    with pytest.raises(ValueError, match="none of the allowed shapes and colours"):
        parse("add green object").apply(Scene(), rng=rng, combinations=allowed)


@given(SCENES, MODIFICATIONS.filter(lambda modification: not isinstance(modification, Add)))
def test_only_add_draws(scene, modification):
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    if modification.targets(scene):
        modification.apply(scene, rng=rng)
    assert rng.bit_generator.state == before
