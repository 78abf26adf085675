import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from css_gen.scenes.factors import COMBINATIONS, Cell, Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject

CELLS, SIZES, COLOURS, SHAPES = map(st.sampled_from, (Cell, Size, Colour, Shape))
OBJECTS = st.lists(st.builds(SceneObject, CELLS, SIZES, COLOURS, SHAPES), max_size=9, unique_by=lambda item: item.cell)
SCENES = st.builds(Scene, OBJECTS.map(tuple))

RED = SceneObject(Cell.TOP_LEFT, Size.SMALL, Colour.RED, Shape.CIRCLE)
BLUE = SceneObject(Cell.BOTTOM_RIGHT, Size.LARGE, Colour.BLUE, Shape.RECTANGLE)


def test_key_of_a_scene():
    assert Scene((BLUE, RED)).key == "top-left small red circle; bottom-right large blue rectangle"
    assert Scene().key == ""


@given(OBJECTS, st.randoms())
def test_the_order_of_objects_does_not_matter(objects, random):
    shuffled = random.sample(objects, len(objects))
    left, right = Scene(tuple(objects)), Scene(tuple(shuffled))
    assert left == right
    assert hash(left) == hash(right)
    assert left.key == right.key
    assert left.to_json() == right.to_json()


@given(SCENES, SCENES)
def test_keys_are_equal_exactly_where_scenes_are(left, right):
    assert (left.key == right.key) == (left == right) == ({*left} == {*right})


@given(SCENES)
def test_a_key_says_everything(scene):
    words = [item.split() for item in scene.key.split("; ") if item]
    objects = [SceneObject(Cell(a), Size(b), Colour(c), Shape(d)) for a, b, c, d in words]
    assert Scene(tuple(objects)) == scene


@given(SCENES)
def test_empty_cells_are_the_others_in_order(scene):
    assert list(scene.empty_cells) == [cell for cell in Cell if cell not in [item.cell for item in scene]]
    assert len(scene) + len(scene.empty_cells) == 9


@given(OBJECTS.filter(bool), COLOURS)
def test_two_objects_in_a_cell_are_refused(objects, colour):
    second = SceneObject(objects[0].cell, Size.SMALL, colour, Shape.CIRCLE)
    with pytest.raises(ValueError, match=f"two objects in cell {second.cell}"):
        Scene((*objects, second))


@given(SCENES)
def test_json_round_trip_on_one_line(scene):
    text = scene.to_json()
    assert Scene.from_json(text) == scene
    assert "\n" not in text
    assert [set(item) for item in json.loads(text)] == [{"cell", "size", "colour", "shape"}] * len(scene)


GOOD = {"cell": "top-left", "size": "small", "colour": "red", "shape": "circle"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "null",
        "5",
        "{}",
        '""',
        "[" * 100_000,
        "[null]",
        "[[]]",
        "[{}]",
        json.dumps(GOOD),
        json.dumps([GOOD, GOOD]),
        json.dumps([GOOD | {"material": "rubber"}]),
        json.dumps([{"cell": "top-left"}]),
        json.dumps([GOOD | {"colour": "pink"}]),
        json.dumps([GOOD | {"colour": None}]),
        json.dumps([GOOD | {"cell": ["top-left"]}]),
        json.dumps([GOOD | {"shape": "cube"}]),
        json.dumps([GOOD | {"size": "Small"}]),
    ],
)
def test_bad_json_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match="cannot read the scene") as caught:
        Scene.from_json(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_every_word_has_one_meaning():
    """Otherwise a text could be read in two ways."""
    words = [*Shape, *(shape.solid_name for shape in Shape), *Colour, *Size, *Cell, "object"]
    assert [word for word, count in Counter(map(str, words)).items() if count > 1] == []
    assert not any(" " in word for word in words)


def test_the_vocabulary_of_the_paper():
    assert {shape: shape.solid_name for shape in Shape} == {
        "rectangle": "cube",
        "circle": "sphere",
        "triangle": "cylinder",
    }
    assert sorted(Colour) == ["blue", "brown", "cyan", "gray", "green", "purple", "red", "yellow"]
    assert sorted(Size) == ["large", "small"]


def test_cells_are_numbered_row_by_row():
    rows, columns = ["top", "middle", "bottom"], ["left", "center", "right"]
    assert [cell.index for cell in Cell] == list(range(9))
    for cell in Cell:
        assert cell == f"{rows[cell.row]}-{columns[cell.column]}"
        assert cell.index == 3 * cell.row + cell.column


def test_combinations_are_all_pairs_once():
    assert len(COMBINATIONS) == len(set(COMBINATIONS)) == 24
    assert {shape for shape, _ in COMBINATIONS} == set(Shape)
    assert {colour for _, colour in COMBINATIONS} == set(Colour)
