"""Parts of programs of several tracks: an edit of objects, and selectors without a cell, in words and in JSON."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np

from css_gen.scenes.factors import Colour, Combination, Shape, Size
from css_gen.scenes.modification.words import SHAPE_WORDS, one_of_words
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.scenes.selector import Selector

T = TypeVar("T")
Item = TypeVar("Item", SceneObject, Selector)

FACTORS: dict[str, type[StrEnum]] = {"size": Size, "colour": Colour, "shape": Shape}
"""The attributes that these selectors may name."""

EDIT_KINDS = ("remove", "make-colour", "make-size")

_NEW: dict[str, Colour | Size] = {str(value): value for value in (*Colour, *Size)}


@dataclass(frozen=True)
class Edit:
    """Remove an object, or give it a new colour or a new size; None removes."""

    new: Colour | Size | None = None

    @property
    def kind(self) -> str:
        """One of EDIT_KINDS."""
        if self.new is None:
            return "remove"
        return "make-colour" if isinstance(self.new, Colour) else "make-size"

    def text(self, what: str) -> str:
        """Return the words of this edit of `what`."""
        return f"make {what} {self.new}" if self.new else f"remove {what}"

    def changes(self, item: SceneObject) -> bool:
        """Return whether the object is another one afterwards, or gone."""
        return self.new not in (item.colour, item.size)

    def made(self, item: SceneObject) -> SceneObject | None:
        """Return the object as it is afterwards; None if it is gone."""
        if isinstance(self.new, Colour):
            return SceneObject(item.cell, item.size, self.new, item.shape)
        return SceneObject(item.cell, self.new, item.colour, item.shape) if self.new else None

    def apply(self, scene: Scene, chosen: Collection[SceneObject]) -> Scene:
        """Return the scene with the chosen objects edited."""
        after = (self.made(item) if item in chosen else item for item in scene)
        return Scene(tuple(item for item in after if item))

    def before(self, item: SceneObject) -> Iterator[SceneObject]:
        """Yield every object that a new colour or size makes into this one; itself is among them."""
        if self.new in (item.colour, item.size):
            for value in FACTORS[self._attribute]:
                yield with_value(item, self._attribute, value)

    @property
    def _attribute(self) -> str:
        return "colour" if isinstance(self.new, Colour) else "size"


def with_value(item: Item, attribute: str, value: StrEnum) -> Item:
    """Return an object or a selector with another value of one of FACTORS."""
    values: dict[str, Any] = {attribute: value}
    return replace(item, **values)


def all_edits(kind: str | None = None) -> list[Edit]:
    """Return the eleven edits, or those of one kind."""
    return [edit for edit in map(Edit, (None, *Colour, *Size)) if kind in (None, edit.kind)]


def read_edit(text: str) -> tuple[Edit, str]:
    """Return the edit of a text and the words between: `read_edit(edit.text(what)) == (edit, what)`.

    Raises:
        ValueError: the text is not "remove ..." or "make ... new-colour|new-size".
    """
    verb, _, rest = text.partition(" ")
    what, _, new = rest.rpartition(" ")
    if verb == "remove":
        return Edit(), rest
    if verb != "make" or new not in _NEW:
        raise ValueError("expected 'remove ...' or 'make ... new-colour|new-size'")
    return Edit(_NEW[new]), what


def noun_pattern(name: str, plural: str = "") -> str:
    """Return a pattern for [size] [colour] shape|object, as one group of that name."""
    adjectives = f"(?:(?:{one_of_words(Size)}) )?(?:(?:{one_of_words(Colour)}) )?"
    return f"(?P<{name}>{adjectives}(?:{one_of_words(SHAPE_WORDS)})){plural}"


def read_noun(words: str) -> Selector:
    """Return the selector of words that `noun_pattern` found."""
    *adjectives, shape = words.split()
    said: dict[str, Any] = {"colour" if word in tuple(Colour) else "size": _NEW[word] for word in adjectives}
    return Selector(shape=SHAPE_WORDS[shape], **said)


def selectors_of(item: SceneObject, attributes: Sequence[Sequence[str]]) -> list[Selector]:
    """Return for each tuple of attributes the selector that names them as the object has them."""
    return [Selector(**{name: getattr(item, name) for name in named}) for named in attributes]


def shows_only(items: Iterable[SceneObject], combinations: Collection[Combination]) -> bool:
    """Return whether every object's shape and colour is one of these."""
    return all((item.shape, item.colour) in combinations for item in items)


def shuffled(items: Sequence[T], rng: np.random.Generator) -> list[T]:
    """Return the items in a random order."""
    return [items[place] for place in rng.permutation(len(items))]


def selector_to_dict(selector: Selector) -> dict[str, str | None]:
    """Return size, colour and shape, None where the selector leaves one open."""
    return {name: getattr(selector, name) for name in FACTORS}


def selector_from_dict(values: Any) -> Selector:
    """Read what `selector_to_dict` returned.

    Raises:
        ValueError: a key is missing or unknown, or so is a value.
    """
    if not isinstance(values, dict) or values.keys() != FACTORS.keys():
        raise ValueError(f"expected objects under exactly {', '.join(FACTORS)}")
    named: dict[str, Any] = {name: FACTORS[name](value) for name, value in values.items() if value is not None}
    return Selector(**named)


def edit_from_word(new: Any) -> Edit:
    """Return the edit whose `new` has this word, or the removal for None.

    Raises:
        ValueError: the word is not a colour or a size.
    """
    if new is not None and (not isinstance(new, str) or new not in _NEW):
        raise ValueError(f"expected new to be null, a colour or a size, got {new!r}")
    return Edit(_NEW[new] if new else None)


def read_object(text: str, keys: Collection[str]) -> Mapping[str, Any]:
    """Return the JSON object of a text.

    Raises:
        ValueError: it is not an object with exactly these keys.
    """
    values = json.loads(text)
    if not isinstance(values, dict) or values.keys() != set(keys):
        raise ValueError(f"expected an object with exactly {', '.join(keys)}")
    return values
