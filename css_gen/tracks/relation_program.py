"""Edit the one object that a noun matches and that stands in a relation to other objects.

    remove the small cube left of the red sphere
    make the cube between the red sphere and the small cylinder blue
    remove the cube of the same colour as the small sphere

The camera sees three rows and three columns of cells. An object is left or right of another if both are on one row, in
front of it (nearer to the camera) or behind it if both are in one column, at any distance. It is between two others if
its cell is halfway between theirs, on a row, a column or a diagonal. No object has a relation to itself.

In a wider sense, an object is left of another in any column further left. The track does not use it: of the objects
that a noun matches, "left of" could then mean the leftmost alone, whichever object follows. Most queries leave two or
more objects in that sense, so a person or a model without training has to be told which sense is meant.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import product

from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.scenes.selector import Selector
from css_gen.tracks.base import Program
from css_gen.tracks.parts import (
    Edit,
    edit_from_word,
    noun_pattern,
    read_edit,
    read_noun,
    read_object,
    selector_from_dict,
    selector_to_dict,
)


class Relation(StrEnum):
    """What an object is to its anchors."""

    LEFT = "left of"
    RIGHT = "right of"
    FRONT = "in front of"
    BEHIND = "behind"
    BETWEEN = "between"
    COLOUR = "of the same colour as"
    SIZE = "of the same size as"
    SHAPE = "of the same shape as"

    @property
    def anchors(self) -> int:
        return 2 if self is Relation.BETWEEN else 1

    @property
    def shared(self) -> str | None:
        """The attribute that both objects have; None if the relation is one of cells."""
        return self.name.lower() if self.startswith("of the same") else None

    def holds(self, item: SceneObject, anchors: Sequence[SceneObject]) -> bool:
        """Return whether the object stands in this relation to the anchors."""
        cell, first = item.cell, anchors[0].cell
        if any(cell is anchor.cell for anchor in anchors):
            return False
        if self.shared:
            return bool(getattr(item, self.shared) == getattr(anchors[0], self.shared))
        if self is Relation.BETWEEN:
            second = anchors[1].cell
            return 2 * cell.row == first.row + second.row and 2 * cell.column == first.column + second.column
        if self in (Relation.LEFT, Relation.RIGHT):
            return cell.row == first.row and (cell.column < first.column) == (self is Relation.LEFT)
        return cell.column == first.column and (cell.row > first.row) == (self is Relation.FRONT)


@dataclass(frozen=True)
class Relate(Program):
    """Edit the one object that a noun matches and that stands in a relation to its anchors.

    Attributes:
        noun, anchors: selectors without a cell; there are two different anchors for "between" and one otherwise.

    Raises:
        ValueError: the number of anchors does not fit the relation, both are the same, or a cell is named.
    """

    edit: Edit
    noun: Selector
    relation: Relation
    anchors: tuple[Selector, ...]

    def __post_init__(self) -> None:
        if len({*self.anchors}) != len(self.anchors) or len(self.anchors) != self.relation.anchors:
            raise ValueError(f"expected {self.relation.anchors} anchors that differ, for '{self.relation}'")
        if any(selector.cell for selector in (self.noun, *self.anchors)):
            raise ValueError("expected a noun and anchors that name no cell")

    @property
    def kind(self) -> str:
        return self.edit.kind

    def text_with(self, names: str) -> str:
        anchors = " and ".join(f"the {anchor.noun(names)}" for anchor in self.anchors)
        return self.edit.text(f"the {self.noun.noun(names)} {self.relation} {anchors}")

    def to_json(self) -> str:
        """Return one line of JSON: what is new (null to remove), the noun, the relation and the anchors."""
        anchors = [selector_to_dict(anchor) for anchor in self.anchors]
        noun = selector_to_dict(self.noun)
        return json.dumps({"new": self.edit.new, "noun": noun, "relation": self.relation, "anchors": anchors})

    def referent(self, source: Scene) -> SceneObject | None:
        """Return the object that is meant; None unless every anchor matches one object and one object is meant."""
        anchors = self._anchors(source)
        meant = [item for item in source if self._means(item, anchors)] if anchors else []
        return meant[0] if len(meant) == 1 else None

    def targets(self, source: Scene) -> frozenset[str]:
        """Return the key of the one relevant scene. An object that has the new value already stays as it is."""
        referent = self.referent(source)
        return frozenset({self.edit.apply(source, [referent]).key} if referent else ())

    def can_make(self, scene: Scene) -> bool:
        """Return whether the scene is a target of some source.

        The referent of that source is gone, or one of the scene's objects; all other objects are unchanged. So it is
        enough to put every object back that the referent may have been, and to see whether the words mean it alone.
        """
        if self.edit.new is None:
            items = [SceneObject(cell, *body) for cell in scene.empty_cells for body in self._bodies]
            return self._may_mean(items, scene.objects)
        return any(
            self._may_mean(self.edit.before(item), [other for other in scene if other is not item]) for item in scene
        )

    def attributes(self, source: Scene) -> Mapping[str, str]:
        matching = sum(map(self.noun.matches, source))
        return {
            "kind": self.kind,
            "relation": str(self.relation),
            "matching objects": "2" if matching == 2 else "3 or 4",
        }

    def _anchors(self, objects: Iterable[SceneObject]) -> Sequence[SceneObject]:
        """Return the object of each anchor; none if one of them does not match exactly one, or both match the same."""
        objects = tuple(objects)
        found = [[item for item in objects if anchor.matches(item)] for anchor in self.anchors]
        if any(len(matching) != 1 for matching in found):
            return ()
        anchors = [matching[0] for matching in found]
        return anchors if len({*anchors}) == len(anchors) else ()

    def _means(self, item: SceneObject, anchors: Sequence[SceneObject]) -> bool:
        return self.noun.matches(item) and self.relation.holds(item, anchors)

    def _may_mean(self, items: Iterable[SceneObject], others: Sequence[SceneObject]) -> bool:
        """Return whether in a scene of the others and one of these items, that item is the referent."""
        anchors = self._anchors(others)
        if not anchors or any(self._means(other, anchors) for other in others):
            return False
        return any(self._means(item, anchors) and not self._is_anchor(item) for item in items)

    def _is_anchor(self, item: SceneObject) -> bool:
        return any(anchor.matches(item) for anchor in self.anchors)

    @property
    def _bodies(self) -> tuple[tuple[Size, Colour, Shape], ...]:
        return _bodies(self.noun, self.anchors)


@lru_cache(maxsize=1_024)
def _bodies(noun: Selector, anchors: tuple[Selector, ...]) -> tuple[tuple[Size, Colour, Shape], ...]:
    """Return size, colour and shape of all objects that a noun matches and no anchor does."""
    items = [SceneObject(Cell.TOP_LEFT, *body) for body in product(Size, Colour, Shape)]
    meant = [item for item in items if noun.matches(item) and not any(anchor.matches(item) for anchor in anchors)]
    return tuple((item.size, item.colour, item.shape) for item in meant)


_WHAT = (
    f"the {noun_pattern('noun')} (?P<relation>{'|'.join(Relation)}) the {noun_pattern('first')}"
    f"(?: and the {noun_pattern('second')})?"
)


def parse(text: str) -> Relate:
    """Return the program of a text, in flat or solid names: `parse(p.text_with(names)) == p`.

    Raises:
        ValueError: the text is not exactly what some program's `text_with` writes.
    """
    try:
        edit, what = read_edit(text)
        if not (found := re.fullmatch(_WHAT, what)):
            raise ValueError(f"expected 'the NOUN RELATION the NOUN', where RELATION is {', '.join(Relation)}")
        words = found.groupdict()
        anchors = tuple(read_noun(words[name]) for name in ("first", "second") if words[name])
        return Relate(edit, read_noun(words["noun"]), Relation(words["relation"]), anchors)
    except ValueError as error:
        raise ValueError(f"cannot read the relation {text[:80]!r}: {error}") from None


def from_json(text: str) -> Relate:
    """Return the program that `to_json` wrote.

    Raises:
        ValueError: the text is not an object with exactly the keys that `to_json` writes, or a value is unknown.
    """
    try:
        values = read_object(text, ("new", "noun", "relation", "anchors"))
        if not isinstance(values["anchors"], list):
            raise ValueError("expected a list of anchors")
        anchors = tuple(map(selector_from_dict, values["anchors"]))
        noun, relation = selector_from_dict(values["noun"]), Relation(values["relation"])
        return Relate(edit_from_word(values["new"]), noun, relation, anchors)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot read the relation {text[:80]!r}: {error}") from None
