"""Hand-made answers of every kind, for every kind of modification."""

import pytest

from benchmark.explanation.answer_kinds import AnswerKind, kind_of_answer
from css_gen.scenes.modification import parse
from css_gen.scenes.scene import Scene
from tests.benchmark.explanation.scene_keys import scene_of

SOURCE = (
    "top-left large red circle; top-right small red circle; middle-left large blue rectangle; "
    "bottom-right small gray triangle"
)


def changed(**objects: str) -> str:
    """The source with other objects in these cells, written with "_"; "" takes one away."""
    there = {str(item.cell): str(item) for item in scene_of(SOURCE).objects}
    for cell, words in objects.items():
        there[cell.replace("_", "-")] = f"{cell.replace('_', '-')} {words}" if words else ""
    return "; ".join(words for words in there.values() if words)


GREEN = "small green circle"
EXAMPLES = [
    # add
    ("add green circle", changed(middle_center=GREEN), "drawn target"),
    ("add green circle", changed(middle_right=GREEN), "another completion"),
    ("add green circle", changed(middle_center="large green circle"), "another completion"),
    ("add green circle", SOURCE, "edit ignored"),
    ("add green circle", changed(top_left="large green circle"), "edit ignored"),
    ("add green circle", changed(middle_left=""), "edit ignored"),
    ("add green circle", changed(middle_center="small cyan circle"), "wrong object"),
    ("add green circle to middle-center", changed(middle_center="small cyan circle"), "wrong object"),
    ("add green circle to middle-center", changed(middle_right="small cyan circle"), "wrong object"),
    ("add green circle to middle-center", changed(middle_right=GREEN), "wrong cell"),
    ("add green circle to middle-center", changed(middle_center=GREEN, top_left=""), "collateral change"),
    ("add green circle", changed(middle_center=GREEN, middle_right=GREEN), "collateral change"),
    ("add green circle", f"middle-center {GREEN}", "another scene"),
    ("add green circle", "", "another scene"),
    # remove
    ("remove blue object", changed(middle_left=""), "drawn target"),
    ("remove blue object", SOURCE, "edit ignored"),
    ("remove blue object", changed(top_left="large cyan circle"), "edit ignored"),
    ("remove blue object", changed(middle_center=GREEN), "edit ignored"),
    ("remove blue object", changed(top_left=""), "wrong object"),
    ("remove red circle", changed(top_right=""), "some of several objects"),
    ("remove red circle", changed(top_right="", bottom_right=""), "some of several objects"),
    ("remove top-left circle", changed(top_right=""), "wrong cell"),
    ("remove top-left circle", changed(bottom_right=""), "wrong object"),
    ("remove blue object", changed(middle_left="small blue rectangle"), "wrong change"),
    ("remove blue object", changed(middle_left="", middle_center="large blue rectangle"), "collateral change"),
    ("remove red circle", changed(top_left="", top_right="small green circle"), "wrong change"),
    ("remove blue object", changed(middle_left="", top_left=""), "collateral change"),
    ("remove blue object", "top-left small gray circle", "another scene"),
    # make-colour
    ("make blue object green", changed(middle_left="large green rectangle"), "drawn target"),
    ("make blue object green", SOURCE, "edit ignored"),
    ("make blue object green", changed(top_left=""), "edit ignored"),
    ("make blue object green", changed(top_left="large green circle"), "wrong object"),
    ("make circle green", changed(top_left="large green circle"), "some of several objects"),
    ("make top-left circle green", changed(top_right="small green circle"), "wrong cell"),
    ("make blue object green", changed(middle_left="", middle_center="large green rectangle"), "wrong cell"),
    ("make blue object green", changed(middle_left="large cyan rectangle"), "wrong change"),
    ("make blue object green", changed(middle_left=""), "wrong change"),
    ("make circle green", changed(top_left="", middle_center="large green circle", top_right=""), "wrong change"),
    ("make blue object green", changed(middle_left="large green rectangle", top_left=""), "collateral change"),
    ("make top-left object green", changed(top_left="large green circle", top_right=GREEN), "collateral change"),
    ("make blue object green", changed(top_left="", top_right="", bottom_right=""), "another scene"),
    # make-size
    ("make large circle small", changed(top_left="small red circle"), "drawn target"),
    ("make large circle small", SOURCE, "edit ignored"),
    ("make large circle small", changed(middle_left="small blue rectangle"), "wrong object"),
    ("make large object small", changed(top_left="small red circle"), "some of several objects"),
    ("make top-right object large", changed(bottom_right="large gray triangle"), "wrong cell"),
    ("make large circle small", changed(top_left="large cyan circle"), "wrong change"),
    (
        "make large circle small",
        changed(top_left="small red circle", bottom_right="large gray triangle"),
        "collateral change",
    ),
    ("make large circle small", changed(top_right="", middle_left="", middle_right=GREEN), "another scene"),
    ("make red object large", changed(top_right="large red circle"), "drawn target"),
    ("make red object large", changed(top_right="large red circle", top_left="small red circle"), "collateral change"),
]
DRAWN = {text: scene_of(answer) for text, answer, kind in EXAMPLES if kind == "drawn target"}
LOCATED = {
    "add green circle to middle-center": changed(middle_center=GREEN),
    "remove red circle": changed(top_left="", top_right=""),
    "remove top-left circle": changed(top_left=""),
    "make circle green": changed(top_left="large green circle", top_right=GREEN),
    "make top-left circle green": changed(top_left="large green circle"),
    "make top-left object green": changed(top_left="large green circle"),
    "make large object small": changed(top_left="small red circle", middle_left="small blue rectangle"),
    "make top-right object large": changed(top_right="large red circle"),
}


@pytest.mark.parametrize(("text", "answer", "kind"), EXAMPLES)
def test_kinds_by_example(text: str, answer: str, kind: str) -> None:
    target = DRAWN[text] if text in DRAWN else scene_of(LOCATED[text])
    assert target.key in parse(text).targets(scene_of(SOURCE))
    assert kind_of_answer(scene_of(SOURCE), parse(text), target, scene_of(answer)) == kind


def test_the_examples_show_every_kind_that_a_modification_can_have() -> None:
    shown = {(parse(text).kind, kind) for text, _, kind in EXAMPLES}
    open_alone = {AnswerKind.COMPLETION}
    selecting_alone = {AnswerKind.SOME, AnswerKind.CHANGE}
    for kind in AnswerKind:
        assert (("add", kind) in shown) == (kind not in selecting_alone)
        for modification in ("remove", "make-colour", "make-size"):
            assert ((modification, kind) in shown) == (kind not in open_alone)


def test_an_edit_that_changes_nothing_is_refused() -> None:
    source = scene_of(SOURCE)
    with pytest.raises(ValueError, match="'make red circle red' does not change 'top-left large red circle"):
        kind_of_answer(source, parse("make red circle red"), source, Scene())


def test_each_kind_says_what_it_means_with_an_example_that_can_be_read() -> None:
    for kind in AnswerKind:
        assert kind.meaning.endswith(".")
        text, _, answer = kind.example.partition(": ")
        assert parse(text).kind in ("add", "remove", "make-colour")
        assert answer
