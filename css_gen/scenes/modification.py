"""A modification text is a program on scenes: add, remove or make, applied to every object that its words match.

    add [size] [colour] shape|object [to cell]
    remove [cell] [size] [colour] shape|object
    make [cell] [size] [colour] shape|object new-colour|new-size

This is the grammar of CSS in Vo et al., "Composing Text and Image for Image Retrieval" (CVPR 2019). A text and a
modification stand for each other one to one, in the flat names of the original as in the solid ones.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from css_gen.scenes.factors import COMBINATIONS, Cell, Colour, Combination, Shape, Size
from css_gen.scenes.randomness import one_of
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.scenes.selector import Selector, shape_word

__all__ = ["KINDS", "Add", "Make", "Modification", "Remove", "Selector", "from_json", "parse"]

KINDS = ("add", "remove", "make-colour", "make-size")


class _Program(ABC):
    """What the three have in common. `scene` is the source throughout."""

    selector: Selector

    @property
    @abstractmethod
    def kind(self) -> str:
        """One of KINDS."""

    @property
    def text(self) -> str:
        """The words, with the flat names."""
        return self.text_with("2d")

    @abstractmethod
    def text_with(self, names: str) -> str:
        """The words with rectangle, circle, triangle (names is "2d") or cube, sphere, cylinder ("3d").

        Raises:
            ValueError: names is neither.
        """

    @abstractmethod
    def apply(
        self, scene: Scene, *, rng: np.random.Generator, combinations: Sequence[Combination] = COMBINATIONS
    ) -> Scene:
        """The target. Only Add draws: what it leaves open, uniformly; its shape and colour out of `combinations`.

        Raises:
            ValueError: the modification does not apply to this scene.
        """

    @abstractmethod
    def targets(self, scene: Scene) -> frozenset[str]:
        """The keys of all scenes that are right answers; none where the modification does not apply."""

    @abstractmethod
    def is_target(self, scene: Scene, target: Scene) -> bool:
        """Whether the target's key is in `targets(scene)`, without listing them."""

    @abstractmethod
    def is_no_op(self, scene: Scene) -> bool:
        """Whether no answer differs from the scene, be it that the modification does not apply."""

    def to_json(self) -> str:
        """One line of JSON: the type and every attribute, null where it is open."""
        attributes = {field.name: getattr(self.selector, field.name) for field in fields(Selector)}
        new = {name: getattr(self, name) for name in ("new_colour", "new_size") if hasattr(self, name)}
        return json.dumps({"type": type(self).__name__.lower()} | attributes | new)


@dataclass(frozen=True)
class Add(_Program):
    """Put one more object on an empty cell; what the selector leaves open may be anything."""

    selector: Selector

    @property
    def kind(self) -> str:
        return "add"

    def text_with(self, names: str) -> str:
        place = f" to {self.selector.cell}" if self.selector.cell else ""
        return f"add {self.selector.noun(names)}{place}"

    def apply(
        self, scene: Scene, *, rng: np.random.Generator, combinations: Sequence[Combination] = COMBINATIONS
    ) -> Scene:
        cells, sizes, pairs = self._open(scene, combinations)
        if not cells:
            raise ValueError(f"'{self.text}' does not apply: {self.selector.cell or 'every cell'} is taken")
        if not pairs:
            raise ValueError(f"'{self.text}' does not apply: none of the allowed shapes and colours is meant")
        shape, colour = one_of(pairs, rng)
        return Scene((*scene.objects, SceneObject(one_of(cells, rng), one_of(sizes, rng), colour, shape)))

    def targets(self, scene: Scene) -> frozenset[str]:
        return frozenset(
            Scene((*scene.objects, SceneObject(cell, size, colour, shape))).key
            for cell, size, (shape, colour) in product(*self._open(scene, COMBINATIONS))
        )

    def is_target(self, scene: Scene, target: Scene) -> bool:
        added = [item for item in target if item not in scene.objects]
        return len(target) == len(scene) + 1 and len(added) == 1 and self.selector.matches(added[0])

    def is_no_op(self, scene: Scene) -> bool:
        return self.selector.cell not in (None, *scene.empty_cells) or not scene.empty_cells

    def _open(
        self, scene: Scene, combinations: Sequence[Combination]
    ) -> tuple[Sequence[Cell], Sequence[Size], Sequence[Combination]]:
        """The cells, sizes and combinations that the new object may have."""
        wanted = self.selector
        cells = [cell for cell in scene.empty_cells if wanted.cell in (None, cell)]
        sizes = [wanted.size] if wanted.size else list(Size)
        pairs = [(s, c) for s, c in combinations if wanted.shape in (None, s) and wanted.colour in (None, c)]
        return cells, sizes, pairs


class _Rewrite(_Program):
    """Every matching object is replaced or taken away, which leaves one target."""

    @abstractmethod
    def _rewrite(self, scene: Scene) -> Scene: ...

    def _applies(self, scene: Scene) -> bool:
        return any(map(self.selector.matches, scene))

    def apply(
        self, scene: Scene, *, rng: np.random.Generator, combinations: Sequence[Combination] = COMBINATIONS
    ) -> Scene:
        del rng, combinations
        if not self._applies(scene):
            raise ValueError(f"'{self.text}' does not apply: nothing matches in '{scene.key}'")
        return self._rewrite(scene)

    def targets(self, scene: Scene) -> frozenset[str]:
        return frozenset({self._rewrite(scene).key} if self._applies(scene) else ())

    def is_target(self, scene: Scene, target: Scene) -> bool:
        return self._applies(scene) and self._rewrite(scene) == target

    def is_no_op(self, scene: Scene) -> bool:
        return self._rewrite(scene) == scene


@dataclass(frozen=True)
class Remove(_Rewrite):
    """Take away every matching object."""

    selector: Selector

    @property
    def kind(self) -> str:
        return "remove"

    def text_with(self, names: str) -> str:
        return f"remove {_located_noun(self.selector, names)}"

    def _rewrite(self, scene: Scene) -> Scene:
        return Scene(tuple(item for item in scene if not self.selector.matches(item)))


@dataclass(frozen=True)
class Make(_Rewrite):
    """Give every matching object a new colour or a new size.

    Raises:
        ValueError: not exactly one of new_colour and new_size is given.
    """

    selector: Selector
    new_colour: Colour | None = None
    new_size: Size | None = None

    def __post_init__(self) -> None:
        if (self.new_colour is None) == (self.new_size is None):
            raise ValueError(
                f"expected a new colour or a new size, got new_colour={self.new_colour} and new_size={self.new_size}"
            )

    @property
    def kind(self) -> str:
        return "make-colour" if self.new_colour else "make-size"

    def text_with(self, names: str) -> str:
        return f"make {_located_noun(self.selector, names)} {self.new_colour or self.new_size}"

    def _rewrite(self, scene: Scene) -> Scene:
        return Scene(tuple(self._made(item) if self.selector.matches(item) else item for item in scene))

    def _made(self, item: SceneObject) -> SceneObject:
        return replace(item, colour=self.new_colour or item.colour, size=self.new_size or item.size)


Modification: TypeAlias = Add | Remove | Make


def parse(text: str) -> Modification:
    """The modification that a text stands for, in flat or solid names: `parse(m.text_with(names)) == m`.

    Raises:
        ValueError: the text is not exactly what some modification's `text_with` writes.
    """
    for kind, pattern in _GRAMMAR.items():
        if found := pattern.fullmatch(text):
            words = found.groupdict()
            return _build(kind, words | {"shape": _SHAPE_WORDS[words["shape"]]})
    raise ValueError(
        f"cannot read the modification {text[:80]!r}: expected 'add [size] [colour] shape [to cell]', "
        "'remove [cell] [size] [colour] shape' or 'make [cell] [size] [colour] shape new-colour|new-size'"
    )


def from_json(text: str) -> Modification:
    """The modification that `to_json` wrote.

    Raises:
        ValueError: the text is not a JSON object with exactly the keys that `to_json` writes, or a value is unknown.
    """
    try:
        values = json.loads(text)
        kind = values.pop("type", None) if isinstance(values, dict) else None
        if kind not in ("add", "remove", "make"):
            raise ValueError("its type is not add, remove or make")
        expected = [name for name in _FACTORS if kind == "make" or not name.startswith("new_")]
        if values.keys() != set(expected):
            raise ValueError(f"expected exactly type, {', '.join(expected)}")
        return _build(kind, values)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot read the modification {text[:80]!r}: {error}") from None


def _build(kind: str, words: dict[str, Any]) -> Modification:
    given: dict[str, Any] = {name: _FACTORS[name](word) for name, word in words.items() if word is not None}
    new = {name: given.pop(name) for name in ("new_colour", "new_size") if name in given}
    selector = Selector(**given)
    if kind == "make":
        return Make(selector, **new)
    return Add(selector) if kind == "add" else Remove(selector)


def _located_noun(selector: Selector, names: str) -> str:
    place = f"{selector.cell} " if selector.cell else ""
    return f"{place}{selector.noun(names)}"


def _words(*vocabularies: Iterable[str]) -> str:
    return "|".join(word for vocabulary in vocabularies for word in vocabulary)


_FACTORS: dict[str, type[StrEnum]] = {
    "cell": Cell,
    "size": Size,
    "colour": Colour,
    "shape": Shape,
    "new_colour": Colour,
    "new_size": Size,
}
_SHAPE_WORDS = {shape_word(shape, names): shape for names in ("2d", "3d") for shape in (None, *Shape)}
_NOUN = f"(?:(?P<size>{_words(Size)}) )?(?:(?P<colour>{_words(Colour)}) )?(?P<shape>{_words(_SHAPE_WORDS)})"
_PLACE = f"(?P<cell>{_words(Cell)})"
_GRAMMAR = {
    "add": re.compile(f"add {_NOUN}(?: to {_PLACE})?"),
    "remove": re.compile(f"remove (?:{_PLACE} )?{_NOUN}"),
    "make": re.compile(f"make (?:{_PLACE} )?{_NOUN} (?:(?P<new_colour>{_words(Colour)})|(?P<new_size>{_words(Size)}))"),
}
