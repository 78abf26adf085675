"""The base class of modifications and the registry of their types."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields, replace
from enum import StrEnum
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from css_gen.scenes.factors import COMBINATIONS, Cell, Colour, Combination, Shape, Size
from css_gen.scenes.matching import Needs
from css_gen.scenes.randomness import one_of
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.scenes.selector import Selector

Type = TypeVar("Type", bound="type[Modification]")

SELECTOR_FACTORS: dict[str, type[StrEnum]] = {"cell": Cell, "size": Size, "colour": Colour, "shape": Shape}

types: dict[str, "type[Modification]"] = {}
"""The registered types by the verb that their texts begin with."""


class Modification(ABC):
    """A text that is a program on scenes. `scene` is the source throughout.

    Attributes:
        kinds: the names of what it does, as the tables report it; `kind` is one of them.
        form: how its texts are written, for people.
        grammar: a pattern of its texts, whose groups are named after attributes of the selector and `parameters`.
        parameters: its attributes except the selector, and their types.
        named: how many attributes its selector may name in a dataset.
    """

    selector: Selector

    kinds: ClassVar[tuple[str, ...]]
    form: ClassVar[str]
    grammar: ClassVar[str]
    parameters: ClassVar[dict[str, type[StrEnum]]] = {}
    named: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    @property
    def kind(self) -> str:
        """What it does: one of KINDS."""
        return self.kinds[0]

    @property
    def text(self) -> str:
        """The words, with the flat names."""
        return self.text_with("2d")

    @abstractmethod
    def text_with(self, names: str) -> str:
        """Return the words with rectangle, circle, triangle (names is "2d") or cube, sphere, cylinder ("3d").

        Raises:
            ValueError: names is neither.
        """

    @abstractmethod
    def apply(
        self, scene: Scene, *, rng: np.random.Generator, combinations: Sequence[Combination] = COMBINATIONS
    ) -> Scene:
        """Return the target. Where there are several, draw one uniformly whose new shape and colour are allowed.

        Raises:
            ValueError: the modification does not apply to this scene.
        """

    @abstractmethod
    def results(self, scene: Scene) -> tuple[Scene, ...]:
        """Return all relevant scenes; none where the modification does not apply."""

    def targets(self, scene: Scene) -> frozenset[str]:
        """Return the keys of all relevant scenes."""
        return frozenset(result.key for result in self.results(scene))

    @abstractmethod
    def is_target(self, scene: Scene, target: Scene) -> bool:
        """Return whether the target's key is in `targets(scene)`, without listing them."""

    @abstractmethod
    def is_no_op(self, scene: Scene) -> bool:
        """Return whether no answer differs from the scene; also where the modification does not apply."""

    @abstractmethod
    def needs(self, combinations: Sequence[Combination]) -> Needs:
        """Return what a scene needs so that the modification changes it into a scene of these combinations."""

    @abstractmethod
    def postcondition(self) -> Needs:
        """Return what holds afterwards, whatever the source: a scene fits if and only if it is a target of some scene.

        It may ask for objects and for empty cells: see `matching.scene_set`.
        """

    @classmethod
    def lender(cls, scene: Scene, combinations: Sequence[Combination], *, rng: np.random.Generator) -> SceneObject:
        """Draw the object whose attributes the selector of a new modification names."""
        del combinations
        return one_of(scene.objects, rng)

    @classmethod
    @abstractmethod
    def draw(
        cls, kind: str, selector: Selector, lender: SceneObject, combinations: Sequence[Combination],
        *, rng: np.random.Generator,
    ) -> Self:  # fmt: skip
        """Draw a modification of one of `kinds` with a selector that names attributes of the lender."""

    def to_json(self) -> str:
        """Return one line of JSON: the type and every attribute, null where it is open."""
        attributes = {field.name: getattr(self.selector, field.name) for field in fields(Selector)}
        parameters = {name: getattr(self, name) for name in self.parameters}
        return json.dumps({"type": _verb(type(self))} | attributes | parameters)

    def with_selector(self, selector: Selector) -> Self:
        """Return the same modification of other objects."""
        return replace(self, selector=selector)  # type: ignore[type-var]  # every type is a dataclass

    @classmethod
    def build(cls, words: dict[str, str | None]) -> Self:
        """Return the modification with these attributes of selector and parameters; None leaves one open.

        Raises:
            ValueError: a word is unknown, or they do not make a modification.
        """
        factors = SELECTOR_FACTORS | cls.parameters
        given: dict[str, Any] = {name: factors[name](word) for name, word in words.items() if word is not None}
        parameters = {name: given.pop(name) for name in cls.parameters if name in given}
        return cls(Selector(**given), **parameters)  # type: ignore[call-arg]  # they are dataclasses


def register(cls: Type) -> Type:
    """Class decorator: let texts, JSON and datasets use a type of modification.

    Raises:
        ValueError: its verb or one of its kinds is taken.
    """
    taken = {kind for other in types.values() for kind in other.kinds}
    if _verb(cls) in types or not taken.isdisjoint(cls.kinds):
        raise ValueError(f"{cls.__qualname__}: another modification has its name or one of {', '.join(cls.kinds)}")
    re.compile(cls.grammar)
    types[_verb(cls)] = cls
    return cls


def _verb(cls: "type[Modification]") -> str:
    return cls.__name__.lower()
