"""Every answer is of one kind, and of the one that a slow walk over cells finds; a relevant scene is never an error."""

from dataclasses import dataclass, replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from benchmark.explanation.answer_kinds import ERRORS, AnswerKind, kind_of_answer
from css_gen.scenes.factors import Cell, Colour, Size
from css_gen.scenes.matching import Needs
from css_gen.scenes.modification import Add, Make, Modification, Remove, Selector
from css_gen.scenes.modification.rewrite import Rewrite
from css_gen.scenes.scene import Scene, SceneObject
from tests.benchmark.explanation.scene_keys import OBJECTS, scene_of

OTHER_SIZE = {Size.SMALL: Size.LARGE, Size.LARGE: Size.SMALL}
CELLS = list(Cell)
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
