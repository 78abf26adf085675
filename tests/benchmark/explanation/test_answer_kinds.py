"""Every answer is of one kind, and of the one that a slow walk over cells finds; a relevant scene is never an error."""

from dataclasses import dataclass, replace
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from benchmark.explanation.answer_kinds import ERRORS, AnswerKind, kind_of_answer
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.matching import Needs
from css_gen.scenes.modification import Add, Make, Modification, Remove, Selector, parse
from css_gen.scenes.modification.rewrite import Rewrite
from css_gen.scenes.scene import Scene, SceneObject

OTHER_SIZE = {Size.SMALL: Size.LARGE, Size.LARGE: Size.SMALL}
CELLS = list(Cell)
OBJECTS = [SceneObject(*factors) for factors in product(Cell, Size, Colour, Shape)]
OF_WORDS = {str(item): item for item in OBJECTS}
Grid = list[SceneObject | None]


@dataclass(frozen=True)
class Resize(Rewrite):
    """A kind of modification that the pages have never heard of: every matching object gets its other size."""

    selector: Selector

    kinds = ("resize",)

    def text_with(self, names: str) -> str:
        return f"resize {self.selector.noun(names)}"

    def needs(self, combinations: object) -> Needs:
        raise NotImplementedError

    def postcondition(self) -> Needs:
        raise NotImplementedError

    @classmethod
    def draw(cls, *given: object, **drawn: object) -> "Resize":
        raise NotImplementedError

    def _rewrite(self, scene: Scene) -> Scene:
        return Scene(tuple(resized(item) if self.selector.matches(item) else item for item in scene))


def resized(item: SceneObject) -> SceneObject:
    return replace(item, size=OTHER_SIZE[item.size])


def scene_of(key: str) -> Scene:
    return Scene(tuple(OF_WORDS[words] for words in key.split("; ") if words))


def grid(scene: Scene) -> Grid:
    return [next((item for item in scene.objects if item.cell == cell), None) for cell in CELLS]


# ---- a slow reference


def made_of(item: SceneObject, modification: Modification) -> SceneObject | None:
    """What an object would be if the modification meant it."""
    if isinstance(modification, Resize):
        return resized(item)
    if isinstance(modification, Make):
        return replace(item, colour=modification.new_colour or item.colour, size=modification.new_size or item.size)
    return None


def fits_but_for_its_cell(item: SceneObject, selector: Selector) -> bool:
    return all(getattr(selector, name) in (None, getattr(item, name)) for name in ("size", "colour", "shape"))


def reference(source: Scene, modification: Modification, target: Scene, answer: Scene) -> AnswerKind:
    if answer.key in modification.targets(source):
        return AnswerKind.DRAWN if answer.key == target.key else AnswerKind.COMPLETION
    before, wanted, after = grid(source), grid(target), grid(answer)
    selector = modification.selector
    added = [place for place in range(9) if before[place] is None and after[place] is not None]
    if isinstance(modification, Add):
        done = [
            at for at in added if Scene((*source.objects, *filter(None, [after[at]]))).key in keys(modification, source)
        ]
        about = done or [at for at in range(9) if CELLS[at] == selector.cell]
    else:
        about = [at for at in range(9) if before[at] is not None and before[at] != wanted[at]]
    elsewhere = [at for at in range(9) if at not in about]
    differing = sum(before[at] != after[at] for at in elsewhere)
    agreeing = sum(before[at] is not None and before[at] == after[at] for at in elsewhere)
    if differing >= 2 and differing > agreeing:
        return AnswerKind.SCENE
    if isinstance(modification, Add):
        if done:
            return AnswerKind.COLLATERAL
        if any(fits_but_for_its_cell(item, selector) for at in added if (item := after[at])):
            return AnswerKind.CELL
        return AnswerKind.OBJECT if added else AnswerKind.IGNORED
    states = {at: "kept" if after[at] == before[at] else "done" if after[at] == wanted[at] else "odd" for at in about}
    odd = [at for at, state in states.items() if state == "odd"]
    if odd:
        moved = [at for at in odd if any(is_moved(wanted[at], before[to], after[to]) for to in range(9))]
        return AnswerKind.CELL if moved == odd else AnswerKind.CHANGE
    if "kept" not in states.values():
        return AnswerKind.COLLATERAL
    if "done" in states.values():
        return AnswerKind.SOME
    edited = [
        item for at in elsewhere
        if (item := before[at]) and after[at] != item and after[at] == made_of(item, modification)
    ]  # fmt: skip
    if any(fits_but_for_its_cell(item, selector) for item in edited):
        return AnswerKind.CELL
    return AnswerKind.OBJECT if edited else AnswerKind.IGNORED


def keys(modification: Modification, source: Scene) -> frozenset[str]:
    return modification.targets(source)


def is_moved(item: SceneObject | None, before: SceneObject | None, after: SceneObject | None) -> bool:
    if item is None or after is None or after == before:
        return False
    return (item.size, item.colour, item.shape) == (after.size, after.colour, after.shape)


# ---- questions: a source, a modification that changes it, its drawn target, and an answer near to one of them

FEW = [item for item in OBJECTS if item.colour in (Colour.RED, Colour.BLUE)]
SCENES = st.lists(st.sampled_from(FEW), min_size=1, max_size=5, unique_by=lambda item: item.cell).map(
    lambda items: Scene(tuple(items))
)
Question = tuple[Scene, Modification, Scene, Scene]


@st.composite
def questions(draw: st.DrawFn) -> Question:
    source = draw(SCENES)
    meant = draw(st.sampled_from(source.objects))
    names = draw(st.sets(st.sampled_from(["cell", "size", "colour", "shape"])))
    selector = Selector(**{name: getattr(meant, name) for name in names})
    modification: Modification = draw(
        st.sampled_from(
            [
                Remove(selector),
                Resize(selector),
                Make(selector, new_colour=Colour.BLUE),
                Make(selector, new_size=Size.LARGE),
                Add(replace(selector, cell=draw(st.sampled_from([None, *source.empty_cells])))),
            ]
        )
    )
    assume(not modification.is_no_op(source))
    target = scene_of(draw(st.sampled_from(sorted(modification.targets(source)))))
    objects = {item.cell: item for item in draw(st.sampled_from([source, target])).objects}
    near = [*source.objects, *target.objects]
    edited = [made for item in source.objects if (made := made_of(item, modification))]
    choices = [*near, *edited, *map(moved, near), *map(moved, edited), *OBJECTS]
    for item in draw(st.lists(st.sampled_from(choices), max_size=2)):
        objects[item.cell] = item
    for cell in draw(st.sets(st.sampled_from(CELLS), max_size=2)):
        objects.pop(cell, None)
    return source, modification, target, Scene(tuple(objects.values()))


def moved(item: SceneObject) -> SceneObject:
    return replace(item, cell=CELLS[(item.cell.index + 4) % 9])


@settings(max_examples=150, deadline=None)
@given(questions())
def test_the_kind_is_the_references(question: Question) -> None:
    assert kind_of_answer(*question) is reference(*question)


@settings(max_examples=50, deadline=None)
@given(questions(), SCENES)
def test_a_scene_is_an_error_exactly_if_it_is_not_relevant(question: Question, other: Scene) -> None:
    source, modification, target, answer = question
    for scene in (answer, other, source, target, Scene()):
        kind = kind_of_answer(source, modification, target, scene)
        assert (kind in ERRORS) == (scene.key not in modification.targets(source))
        assert (kind is AnswerKind.DRAWN) == (scene == target)


@settings(max_examples=50, deadline=None)
@given(questions(), st.permutations(CELLS))
def test_the_kind_does_not_depend_on_which_cells_they_are(question: Question, order: list[Cell]) -> None:
    source, modification, target, answer = question
    to = dict(zip(CELLS, order, strict=True))

    def permuted(scene: Scene) -> Scene:
        return Scene(tuple(replace(item, cell=to[item.cell]) for item in scene.objects))

    selector = modification.selector
    there = modification.with_selector(replace(selector, cell=to[selector.cell] if selector.cell else None))
    kind = kind_of_answer(permuted(source), there, permuted(target), permuted(answer))
    assert kind is kind_of_answer(source, modification, target, answer)


# ---- by example

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
