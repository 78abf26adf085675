"""Classify the first image of a query from scenes alone: how it answers the text, or what went wrong.

Every answer is of exactly one kind. A relevant scene is never an error.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import StrEnum

import numpy as np

from css_gen.scenes.factors import Cell
from css_gen.scenes.modification import Modification, Selector
from css_gen.scenes.modification.rewrite import Rewrite
from css_gen.scenes.scene import Scene, SceneObject

_UNUSED = np.random.default_rng(0)
"""A rewrite has one target, so it draws nothing."""

Objects = Mapping[Cell, SceneObject]


class AnswerKind(StrEnum):
    """The kinds that `tirg-bench explain` and the pages print, in their order; `kind_of_answer` defines them.

    Attributes:
        meaning: what it is, in one sentence.
        example: a text, and an answer of this kind.
    """

    meaning: str
    example: str

    def __new__(cls, label: str, meaning: str, example: str) -> "AnswerKind":
        member = str.__new__(cls, label)
        member._value_ = label
        member.meaning = meaning
        member.example = example
        return member

    DRAWN = (
        "drawn target",
        "The scene that was drawn as the target.",
        "remove red circle: the only red circle is gone",
    )
    COMPLETION = (
        "another completion",
        "Relevant, but not the drawn one: the text allows several scenes.",
        "add red circle: it was added to another cell than in the drawn target",
    )
    IGNORED = (
        "edit ignored",
        "The requested edit was not made to any object.",
        "remove red circle: it is still there, and a blue triangle became large",
    )
    OBJECT = (
        "wrong object",
        "The edit was made, but to an object that the text does not select; or an object was added that it does not "
        "describe.",
        "remove red circle: the blue circle is gone instead",
    )
    SOME = (
        "some of several objects",
        "The text selects several objects, and only some of them were edited.",
        "remove red object: one of two red objects is gone",
    )
    CELL = (
        "wrong cell",
        "The object that was added or edited fits the text, but its cell does not.",
        "add red circle to top-left: it was added to the top-right",
    )
    CHANGE = (
        "wrong change",
        "An object that the text selects was changed, but not as the text says.",
        "make red circle blue: it became green, or it is gone",
    )
    COLLATERAL = (
        "collateral change",
        "The edit was made in full, but something else changed, too.",
        "remove red circle: it is gone, and so is the blue circle",
    )
    SCENE = (
        "another scene",
        "Outside the edited cells, at least two cells differ from the source, and more cells differ than match.",
        "remove red circle: the image shows other objects in other places",
    )

    @property
    def is_relevant(self) -> bool:
        """Whether the scene satisfies the text."""
        return self in (AnswerKind.DRAWN, AnswerKind.COMPLETION)


ERRORS = tuple(kind for kind in AnswerKind if not kind.is_relevant)


def kind_of_answer(source: Scene, modification: Modification, target: Scene, answer: Scene) -> AnswerKind:
    """Return the kind of an answer: the first of these that holds.

    A rewrite (`remove`, `make` and every other modification with one target) *selects* the objects that it changes, and
    an object *was edited* if its cell shows what the rewrite would make of this object. An `add` *is done* if a cell
    that was empty holds an object that the text describes.

    1. `DRAWN`: the answer equals the target. `COMPLETION`: it satisfies the modification.
    2. `SCENE`: see its meaning. Not counted are the cells of selected objects, and of an object that an `add` is about.
    3. `CELL`, `CHANGE`: a selected object is neither as it was nor edited. It is the wrong cell if every such object
       appears, edited, in another cell.
    4. `COLLATERAL`: the `add` is done, or every selected object was edited.
    5. `SOME`: a selected object was edited.
    6. `CELL`: an object was edited, or added, that fits the text but for the cell that the text names.
    7. `OBJECT`: another object was edited, or added to a cell that was empty.
    8. `IGNORED`: anything else, such as the source's own scene.

    Args:
        target: the scene that was drawn as the target: the only one that satisfies a rewrite, one of several for an
            `add` that leaves something open.

    Raises:
        ValueError: the target is the source's scene, so there is no edit.
    """
    if target == source:
        raise ValueError(f"'{modification.text}' does not change '{source.key}'")
    if answer == target:
        return AnswerKind.DRAWN
    if modification.is_target(source, answer):
        return AnswerKind.COMPLETION
    if isinstance(modification, Rewrite):
        return _error_of_rewrite(source, modification, target, answer)
    return _error_of_add(modification.selector, _by_cell(source), _by_cell(answer))


def _error_of_rewrite(source: Scene, modification: Rewrite, target: Scene, answer: Scene) -> AnswerKind:
    before, wanted, after = _by_cell(source), _by_cell(target), _by_cell(answer)
    selected = {cell for cell, item in before.items() if wanted.get(cell) != item}
    if _is_another_scene(before, after, apart_from=selected):
        return AnswerKind.SCENE
    changed = {cell for cell, item in before.items() if after.get(cell) != item}
    if misplaced := {cell for cell in selected & changed if after.get(cell) != wanted.get(cell)}:
        new = set(answer) - set(source)
        is_moved = all(_is_elsewhere(wanted.get(cell), new) for cell in misplaced)
        return AnswerKind.CELL if is_moved else AnswerKind.CHANGE
    if selected <= changed:
        return AnswerKind.COLLATERAL
    if selected & changed:
        return AnswerKind.SOME
    others = [before[cell] for cell in changed if after.get(cell) == _edited(source, modification, cell)]
    if any(map(_anywhere(modification.selector).matches, others)):
        return AnswerKind.CELL
    return AnswerKind.OBJECT if others else AnswerKind.IGNORED


def _error_of_add(selector: Selector, before: Objects, after: Objects) -> AnswerKind:
    new = [item for item in after.values() if item.cell not in before]
    done = {item.cell for item in new if selector.matches(item)}
    if _is_another_scene(before, after, apart_from=done or {selector.cell}):
        return AnswerKind.SCENE
    if done:
        return AnswerKind.COLLATERAL
    if any(map(_anywhere(selector).matches, new)):
        return AnswerKind.CELL
    return AnswerKind.OBJECT if new else AnswerKind.IGNORED


def _is_another_scene(before: Objects, after: Objects, *, apart_from: Iterable[Cell | None]) -> bool:
    others = (before.keys() | after.keys()) - set(apart_from)
    same = sum(before.get(cell) == after.get(cell) for cell in others)
    return len(others) - same > max(1, same)


def _edited(source: Scene, modification: Rewrite, cell: Cell) -> SceneObject | None:
    """Return what the modification would make of the object in this cell."""
    scene = modification.with_selector(Selector(cell=cell)).apply(source, rng=_UNUSED)
    return _by_cell(scene).get(cell)


def _is_elsewhere(item: SceneObject | None, new: Iterable[SceneObject]) -> bool:
    return item is not None and any(replace(each, cell=item.cell) == item for each in new)


def _anywhere(selector: Selector) -> Selector:
    return replace(selector, cell=None)


def _by_cell(scene: Scene) -> dict[Cell, SceneObject]:
    return {item.cell: item for item in scene}
