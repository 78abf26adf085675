"""Edit the objects that a phrase with a negation or a number means. Every phrase has a sibling of the other polarity.

    positive                                 negative
    remove all the cubes                     remove all but the cubes
    make every object that is small red      make every object that is not small red
    remove only the red one of all spheres   remove all spheres except the red one
    remove both of the two cubes             remove one of the two cubes
    remove one of the three cubes            remove all but one of the three cubes

A phrase applies to a source that has what it speaks of: at least one object to edit, a cube in "all but the cubes", one
red sphere and others in "except the red one", exactly two cubes in "the two cubes". "One of" means any of them.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations, product
from typing import NamedTuple

from css_gen.scenes.factors import Cell, Colour, Size
from css_gen.scenes.modification.words import SHAPE_WORDS, one_of_words
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.scenes.selector import ANY_SHAPE, Selector, shape_word
from css_gen.tracks.base import Program
from css_gen.tracks.parts import (
    FACTORS,
    Edit,
    edit_from_word,
    noun_pattern,
    read_edit,
    read_noun,
    read_object,
    selector_from_dict,
    selector_to_dict,
)


class Form(StrEnum):
    """A phrase and its sibling."""

    ALL_BUT = "all but"
    NOT = "not"
    EXCEPT = "except"
    EITHER = "one of two"
    COUNT = "one of more"


COUNTS = {3: "three", 4: "four"}
"""How many objects the last form speaks of."""

_PHRASES = {
    (Form.ALL_BUT, False): "all the {noun}",
    (Form.ALL_BUT, True): "all but the {noun}",
    (Form.NOT, False): "every object that is {noun}",
    (Form.NOT, True): "every object that is not {noun}",
    (Form.EXCEPT, False): "only the {exception} one of all {noun}",
    (Form.EXCEPT, True): "all {noun} except the {exception} one",
    (Form.EITHER, False): "both of the two {noun}",
    (Form.EITHER, True): "one of the two {noun}",
    (Form.COUNT, False): "one of the {count} {noun}",
    (Form.COUNT, True): "all but one of the {count} {noun}",
}


class _Group(NamedTuple):
    """Objects of which some are edited. Every object of a source is in one group of a program.

    Attributes:
        has: whether an object is in the group.
        least, most: how many there are in a source that the program applies to.
        edited: how many of them are edited; None for all.
    """

    has: Callable[[SceneObject], bool]
    least: int
    most: int
    edited: int | None


@dataclass(frozen=True)
class Logic(Program):
    """Edit the objects that a phrase means.

    Attributes:
        noun: a selector without a cell. It names one attribute at least, and exactly one in the form "not".
        exception: a size or a colour, in the form "except" alone; the noun leaves it open.
        count: one of COUNTS in the form "one of more" alone, otherwise 0.

    Raises:
        ValueError: noun, exception or count does not fit the form.
    """

    form: Form
    negated: bool
    edit: Edit
    noun: Selector
    exception: Size | Colour | None = None
    count: int = 0

    def __post_init__(self) -> None:
        named = [name for name in FACTORS if getattr(self.noun, name)]
        if self.noun.cell or not named or (self.form is Form.NOT and len(named) > 1):
            number = "one attribute" if self.form is Form.NOT else "some attributes"
            raise ValueError(f"expected a noun that names {number}, and no cell, in the form '{self.form}'")
        if (self.exception is not None) != (self.form is Form.EXCEPT):
            raise ValueError(f"expected an exception in the form '{Form.EXCEPT}' and in no other")
        if self._exception_attribute in named:
            raise ValueError(f"expected a noun that leaves the {self._exception_attribute} open, the exception's")
        if self.count not in (COUNTS if self.form is Form.COUNT else (0,)):
            raise ValueError(f"expected a count of {' or '.join(map(str, COUNTS))} in '{Form.COUNT}', and 0 elsewhere")

    @property
    def kind(self) -> str:
        return self.edit.kind

    @property
    def flipped(self) -> "Logic":
        """The sibling of the other polarity."""
        return replace(self, negated=not self.negated)

    def text_with(self, names: str) -> str:
        noun = self._property(names) if self.form is Form.NOT else f"{self.noun.noun(names)}s"
        words = {"noun": noun, "exception": self.exception, "count": COUNTS.get(self.count)}
        return self.edit.text(_PHRASES[self.form, self.negated].format(**words))

    def to_json(self) -> str:
        """Return one line of JSON: what is new is null to remove, and an exception or a count where there is one."""
        return json.dumps(
            {
                "form": self.form,
                "negated": self.negated,
                "new": self.edit.new,
                "noun": selector_to_dict(self.noun),
                "exception": self.exception,
                "count": self.count,
            }
        )

    def results(self, source: Scene) -> list[Scene]:
        """Return all relevant scenes, in the order of the objects; none where the program does not apply."""
        choices = []
        for group in self._groups:
            members = [item for item in source if group.has(item)]
            if not group.least <= len(members) <= group.most:
                return []
            choices.append(combinations(members, len(members) if group.edited is None else group.edited))
        return [self.edit.apply(source, [item for some in chosen for item in some]) for chosen in product(*choices)]

    def targets(self, source: Scene) -> frozenset[str]:
        """Return the keys of all relevant scenes. An object that has the new value already stays as it is."""
        return frozenset(scene.key for scene in self.results(source))

    def can_make(self, scene: Scene) -> bool:
        """Return whether the scene is a target of some source.

        Each object of the scene was edited or not, in one of the groups; the removed ones are on cells that are empty
        now. So the scene is a target if its objects can be given such roles that every role has as many as it needs.
        """
        roles = [role for group in self._groups for role in _roles(group)]
        if self.edit.new is None:
            removed = [role for role in roles if role.edited]
            if sum(role.least for role in removed) > len(scene.empty_cells):
                return False
            roles = [role for role in roles if not role.edited]
        reached = {(0,) * len(roles)}
        for item in scene:
            usable = [place for place, role in enumerate(roles) if role.fits(item, self.edit)]
            reached = {new for counts in reached for place in usable for new in _counted(counts, place, roles)}
            if not reached:
                return False
        return any(all(count >= role.least for count, role in zip(counts, roles, strict=True)) for counts in reached)

    def attributes(self, source: Scene) -> Mapping[str, str]:
        del source
        return {"kind": self.kind, "form": str(self.form), "polarity": "negative" if self.negated else "positive"}

    @property
    def _groups(self) -> tuple[_Group, ...]:
        noun, every = self.noun.matches, len(Cell)

        def others(item: SceneObject) -> bool:
            return not noun(item)

        def excepted(item: SceneObject) -> bool:
            return noun(item) and self.exception in (item.size, item.colour)

        def unexcepted(item: SceneObject) -> bool:
            return noun(item) and self.exception not in (item.size, item.colour)

        rest = _Group(others, 0, every, 0)
        if self.form in (Form.ALL_BUT, Form.NOT):
            if not self.negated:
                return _Group(noun, 1, every, None), rest
            return _Group(noun, 1 if self.form is Form.ALL_BUT else 0, every, 0), _Group(others, 1, every, None)
        if self.form is Form.EXCEPT:
            edited, kept = (0, None) if self.negated else (None, 0)
            return _Group(excepted, 1, 1, edited), _Group(unexcepted, 1, every, kept), rest
        if self.form is Form.EITHER:
            return _Group(noun, 2, 2, 1 if self.negated else 2), rest
        return _Group(noun, self.count, self.count, self.count - 1 if self.negated else 1), rest

    @property
    def _exception_attribute(self) -> str | None:
        return None if self.exception is None else "colour" if isinstance(self.exception, Colour) else "size"

    def _property(self, names: str) -> str:
        return str(self.noun.size or self.noun.colour or f"a {shape_word(self.noun.shape, names)}")


class _Role(NamedTuple):
    """Objects of one group that are all edited, or all left as they are."""

    has: Callable[[SceneObject], bool]
    least: int
    most: int
    edited: bool

    def fits(self, item: SceneObject, edit: Edit) -> bool:
        """Return whether an object of a target may have had this role in the source."""
        return any(map(self.has, edit.before(item))) if self.edited else self.has(item)


def _roles(group: _Group) -> Iterator[_Role]:
    if group.edited is None or group.edited == 0:
        yield _Role(group.has, group.least, group.most, group.edited is None)
    else:
        yield _Role(group.has, group.edited, group.edited, True)
        if kept := group.most - group.edited:
            yield _Role(group.has, kept, kept, False)


def _counted(counts: tuple[int, ...], place: int, roles: list[_Role]) -> Iterator[tuple[int, ...]]:
    """Yield the counts with one more at a place, if there may be one more; beyond what is needed, none are counted."""
    role = roles[place]
    if counts[place] < role.most:
        more = counts[place] + (role.most < len(Cell) or counts[place] < role.least)
        yield (*counts[:place], more, *counts[place + 1 :])


_SHAPES = one_of_words(word for word in SHAPE_WORDS if word != ANY_SHAPE)
_WORDS = {
    "exception": f"(?P<exception>{one_of_words((*Size, *Colour))})",
    "count": f"(?P<count>{one_of_words(COUNTS.values())})",
}
_PROPERTY = f"(?P<noun>{one_of_words((*Size, *Colour))}|a (?:{_SHAPES}))"


def parse(text: str) -> Logic:
    """Return the program of a text, in flat or solid names: `parse(p.text_with(names)) == p`.

    Raises:
        ValueError: the text is not exactly what some program's `text_with` writes.
    """
    try:
        edit, what = read_edit(text)
        for (form, negated), phrase in _PHRASES.items():
            noun = _PROPERTY if form is Form.NOT else noun_pattern("noun", "s")
            if found := re.fullmatch(phrase.format(noun=noun, **_WORDS), what):
                words = found.groupdict()
                read = read_noun(_as_noun(words["noun"]))
                count = next((number for number, word in COUNTS.items() if word == words.get("count")), 0)
                return Logic(form, negated, edit, read, _exception(words.get("exception")), count)
        raise ValueError("expected one of " + ", ".join(f"'{phrase}'" for phrase in _PHRASES.values()))
    except ValueError as error:
        raise ValueError(f"cannot read the phrase {text[:80]!r}: {error}") from None


def _as_noun(words: str) -> str:
    """Return "small" and "a cube" as nouns, "small object" and "cube"."""
    return f"{words} {ANY_SHAPE}" if words in (*Size, *Colour) else words.removeprefix("a ")


def _exception(word: str | None) -> Size | Colour | None:
    return edit_from_word(word).new


def from_json(text: str) -> Logic:
    """Return the program that `to_json` wrote.

    Raises:
        ValueError: the text is not an object with exactly the keys that `to_json` writes, or a value is unknown.
    """
    try:
        values = read_object(text, ("form", "negated", "new", "noun", "exception", "count"))
        if not isinstance(values["negated"], bool) or not isinstance(values["count"], int):
            raise ValueError("expected negated to be true or false, and a whole number for count")
        noun, edit = selector_from_dict(values["noun"]), edit_from_word(values["new"])
        exception = _exception(values["exception"])
        return Logic(Form(values["form"]), values["negated"], edit, noun, exception, values["count"])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot read the phrase {text[:80]!r}: {error}") from None
