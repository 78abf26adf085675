"""Give every matching object a new colour or a new size."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from css_gen.scenes.factors import Colour, Combination, Shape, Size
from css_gen.scenes.matching import Needs, having, selected_by
from css_gen.scenes.modification.program import register
from css_gen.scenes.modification.rewrite import Rewrite
from css_gen.scenes.modification.words import NOUN, PLACE, located_noun, one_of_words
from css_gen.scenes.randomness import one_of
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.scenes.selector import Selector


@register
@dataclass(frozen=True)
class Make(Rewrite):
    """Give every matching object a new colour or a new size.

    Raises:
        ValueError: not exactly one of new_colour and new_size is given.
    """

    selector: Selector
    new_colour: Colour | None = None
    new_size: Size | None = None

    kinds = ("make-colour", "make-size")
    form = "make [cell] [size] [colour] shape new-colour|new-size"
    grammar = f"make (?:{PLACE} )?{NOUN} (?:(?P<new_colour>{one_of_words(Colour)})|(?P<new_size>{one_of_words(Size)}))"
    parameters: ClassVar = {"new_colour": Colour, "new_size": Size}

    def __post_init__(self) -> None:
        if (self.new_colour is None) == (self.new_size is None):
            raise ValueError(
                f"expected a new colour or a new size, got new_colour={self.new_colour} and new_size={self.new_size}"
            )

    @property
    def kind(self) -> str:
        return "make-colour" if self.new_colour else "make-size"

    def text_with(self, names: str) -> str:
        return f"make {located_noun(self.selector, names)} {self.new_colour or self.new_size}"

    def needs(self, combinations: Sequence[Combination]) -> Needs:
        colour, selected = self.new_colour, selected_by(self.selector)
        unchanged = having(colour) | having(self.new_size)
        forbidden = sum(having(shape) for shape in Shape if colour and (shape, colour) not in combinations)
        return Needs(selected & ~unchanged, selected & forbidden)

    def postcondition(self) -> Needs:
        colour, size = self.new_colour or self.selector.colour, self.new_size or self.selector.size
        made = selected_by(replace(self.selector, colour=colour, size=size))
        return Needs(made, selected_by(self.selector) & ~made)

    @classmethod
    def draw(
        cls, kind: str, selector: Selector, lender: SceneObject, combinations: Sequence[Combination],
        *, rng: np.random.Generator,
    ) -> Self:  # fmt: skip
        if kind == "make-size":
            return cls(selector, new_size=Size.LARGE if lender.size is Size.SMALL else Size.SMALL)
        colours = [colour for shape, colour in combinations if shape is lender.shape and colour is not lender.colour]
        return cls(selector, new_colour=one_of(colours, rng))

    def _rewrite(self, scene: Scene) -> Scene:
        matches = self.selector.matches
        return Scene.in_order(tuple([self._made(item) if matches(item) else item for item in scene.objects]))

    def _made(self, item: SceneObject) -> SceneObject:
        return SceneObject(item.cell, self.new_size or item.size, self.new_colour or item.colour, item.shape)
