"""Every wrong answer is of one kind, and of the one that a slow walk over cells and all possible objects finds."""

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import css_gen.dataset
from benchmark.leaderboard.site.errors_counted import ErrorKind, count_errors, kind_of_error
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.matching import Needs
from css_gen.scenes.modification import Add, Make, Modification, Remove, Selector, parse
from css_gen.scenes.modification.rewrite import Rewrite
from css_gen.scenes.scene import Scene, SceneObject
from tests.benchmark.made_up_site import random_answers

OTHER_SIZE = {Size.SMALL: Size.LARGE, Size.LARGE: Size.SMALL}


@dataclass(frozen=True)
class Resize(Rewrite):
    """A kind of modification that these pages have never heard of: every matching object gets its other size."""

    selector: Selector

    kinds = ("resize",)

    def text_with(self, names: str) -> str:
        raise NotImplementedError

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


OBJECTS = [SceneObject(*factors) for factors in product(Cell, Size, Colour, Shape)]


def at(scene: Scene, cell: Cell) -> SceneObject | None:
    return next((item for item in scene.objects if item.cell == cell), None)


def right_answers(source: Scene, modification: Modification) -> list[Scene]:
    keys = modification.targets(source)
    if isinstance(modification, Add):
        candidates = [Scene((*source.objects, item)) for item in OBJECTS if at(source, item.cell) is None]
        return [scene for scene in candidates if scene.key in keys]
    either = [(item, *after(item, modification)) for item in source.objects]
    chosen = [Scene(tuple(item for item in items if item is not None)) for items in product(*either)]
    return [scene for scene in chosen if scene.key in keys]


def after(item: SceneObject, modification: Modification) -> list[SceneObject | None]:
    """What an object would be if the modification meant it."""
    if isinstance(modification, Resize):
        return [resized(item)]
    if not isinstance(modification, Make):
        return [None]
    return [replace(item, colour=modification.new_colour or item.colour, size=modification.new_size or item.size)]


def reference(source: Scene, modification: Modification, answer: Scene) -> ErrorKind:
    if all(at(answer, cell) == at(source, cell) for cell in Cell):
        return ErrorKind.IGNORED
    if answer.key in modification.targets(source):
        return ErrorKind.COMPLETION
    rights = right_answers(source, modification)
    is_add = isinstance(modification, Add)
    about = [] if is_add else [cell for cell in Cell if at(rights[0], cell) != at(source, cell)]
    to_stay = [cell for cell in Cell if at(source, cell) is not None and cell not in about]
    if sum(at(answer, cell) == at(source, cell) for cell in to_stay) < len(to_stay) / 2:
        return ErrorKind.SCENE
    located = [replace(modification, selector=replace(modification.selector, cell=cell)) for cell in Cell]
    if any(answer.key in other.targets(source) for other in located):
        return ErrorKind.CELL
    if any(
        all(at(answer, cell) == at(right, cell) for cell in Cell if at(right, cell) != at(source, cell))
        for right in rights
    ):
        return ErrorKind.COLLATERAL
    if is_add:
        new = [item for item in answer.objects if item not in source.objects]
        made_somewhere = [item for item in new if replace(modification.selector, cell=item.cell).matches(item)]
        return ErrorKind.OTHER if made_somewhere else ErrorKind.OBJECT
    left_alone = all(at(answer, cell) == at(source, cell) for cell in about)
    return ErrorKind.OBJECT if left_alone else ErrorKind.OTHER


def scenes(*, least: int) -> st.SearchStrategy[Scene]:
    few = st.sampled_from([item for item in OBJECTS if item.colour in (Colour.RED, Colour.BLUE)])
    return st.lists(few, min_size=least, max_size=5, unique_by=lambda item: item.cell).map(lambda it: Scene(tuple(it)))


@st.composite
def questions(draw: st.DrawFn) -> tuple[Scene, Modification, Scene]:
    """A source, a modification that changes it, and an answer that is more or less like the source or its target."""
    source = draw(scenes(least=1))
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
    right = draw(st.sampled_from(sorted(modification.targets(source))))
    start = draw(st.sampled_from([source, source_of_key(right)]))
    objects = {item.cell: item for item in start.objects}
    for item in draw(st.lists(st.sampled_from([*OBJECTS, *source.objects, *map(moved, source.objects)]), max_size=2)):
        objects[item.cell] = item
    for cell in draw(st.sets(st.sampled_from(list(Cell)), max_size=2)):
        objects.pop(cell, None)
    return source, modification, Scene(tuple(objects.values()))


def source_of_key(key: str) -> Scene:
    by_words = {str(item): item for item in OBJECTS}
    return Scene(tuple(by_words[words] for words in key.split("; ") if words))


def moved(item: SceneObject) -> SceneObject:
    return replace(item, cell=list(Cell)[(item.cell.index + 4) % 9])


@settings(max_examples=400)
@given(questions())
def test_the_kind_is_the_references(question: tuple[Scene, Modification, Scene]) -> None:
    source, modification, answer = question
    if modification.is_target(source, answer) and not isinstance(modification, Add):
        return
    assert kind_of_error(source, modification, answer) is reference(source, modification, answer)


SOURCE = source_of_key(
    "top-left large red circle; top-right small red circle; middle-left large blue rectangle; "
    "bottom-right small gray triangle"
)


@pytest.mark.parametrize(
    ("text", "answer", "kind"),
    [
        ("remove blue rectangle", SOURCE.key, "edit ignored"),
        ("remove blue rectangle", SOURCE.key.replace("top-right small red circle; ", ""), "wrong object changed"),
        ("add green object", f"{SOURCE.key}; middle-center small green circle", "another completion"),
        ("add green object", f"{SOURCE.key}; middle-center small cyan circle", "wrong object changed"),
        ("add green object to middle-center", f"{SOURCE.key}; middle-right small green circle", "wrong cell"),
        ("remove red circle", SOURCE.key.replace("top-right small red circle; ", ""), "wrong cell"),
        ("make top-left circle blue", SOURCE.key.replace("small red", "small blue"), "wrong cell"),
        ("make top-left circle blue", SOURCE.key.replace("red", "blue"), "collateral change"),
        ("make top-left circle blue", SOURCE.key.replace("large red", "large cyan"), "other"),
        ("make top-left circle blue", "", "another scene"),
    ],
)
def test_kinds_by_example(text: str, answer: str, kind: str) -> None:
    assert kind_of_error(SOURCE, parse(text), source_of_key(answer)) == kind


def test_every_wrong_answer_is_counted_once(css_root: Path) -> None:
    split = css_gen.dataset.open(css_root).split("test")
    runs = [random_answers(css_root, seed=seed)[0] for seed in range(2)]
    counts = count_errors([split.scene(row) for row in range(len(split))], split.queries, runs)
    assert list(counts) == list(ErrorKind)
    assert sum(counts.values()) == sum(int((run.drawn_ranks > 1).sum()) for run in runs)
    assert counts[ErrorKind.SCENE] > 0
