"""A text, a modification and its JSON stand for each other one to one; anything else is refused in one line."""

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.modification import KINDS, Add, Make, Remove, Selector, from_json, parse


def every_modification():
    for factors in product((None, *Cell), (None, *Size), (None, *Colour), (None, *Shape)):
        selector = Selector(*factors)
        yield Add(selector)
        yield Remove(selector)
        yield from (Make(selector, new_colour=colour) for colour in Colour)
        yield from (Make(selector, new_size=size) for size in Size)


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
