"""Take away every matching object."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from css_gen.scenes.factors import Combination
from css_gen.scenes.matching import Needs, empty, selected_by
from css_gen.scenes.modification.program import register
from css_gen.scenes.modification.rewrite import Rewrite
from css_gen.scenes.modification.words import NOUN, PLACE, located_noun
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.scenes.selector import Selector


@register
@dataclass(frozen=True)
class Remove(Rewrite):
    """Take away every matching object."""

    selector: Selector

    kinds = ("remove",)
    form = "remove [cell] [size] [colour] shape"
    grammar = f"remove (?:{PLACE} )?{NOUN}"

    def text_with(self, names: str) -> str:
        return f"remove {located_noun(self.selector, names)}"

    def needs(self, combinations: Sequence[Combination]) -> Needs:
        del combinations
        return Needs(selected_by(self.selector), 0)

    def postcondition(self) -> Needs:
        return Needs(empty(self.selector.cell), selected_by(self.selector))

    @classmethod
    def draw(
        cls, kind: str, selector: Selector, lender: SceneObject, combinations: Sequence[Combination],
        *, rng: np.random.Generator,
    ) -> Self:  # fmt: skip
        del kind, lender, combinations, rng
        return cls(selector)

    def _rewrite(self, scene: Scene) -> Scene:
        matches = self.selector.matches
        return Scene.in_order(tuple([item for item in scene.objects if not matches(item)]))
