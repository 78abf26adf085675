"""Put one more object on an empty cell."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Self

import numpy as np

from css_gen.scenes.factors import COMBINATIONS, Cell, Colour, Combination, Shape, Size
from css_gen.scenes.matching import EVERY_OBJECT, Needs, having, selected_by
from css_gen.scenes.modification.program import Modification, register
from css_gen.scenes.modification.words import NOUN, PLACE
from css_gen.scenes.randomness import one_of
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.scenes.selector import Selector


@register
@dataclass(frozen=True)
class Add(Modification):
    """Put one more object on an empty cell; what the selector leaves open may be anything."""

    selector: Selector

    kinds = ("add",)
    form = "add [size] [colour] shape [to cell]"
    grammar = f"add {NOUN}(?: to {PLACE})?"
    # With one attribute named, about half the adds would have several relevant images, of which the paper counts one.
    named = (2, 3, 4)

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
            raise ValueError(f"'{self.text}' does not apply: no allowed combination of shape and colour fits")
        shape, colour = one_of(pairs, rng)
        return Scene((*scene.objects, SceneObject(one_of(cells, rng), one_of(sizes, rng), colour, shape)))

    def results(self, scene: Scene) -> tuple[Scene, ...]:
        cells, sizes, pairs = self._open(scene, COMBINATIONS)
        made = []
        for cell in cells:
            place = sum([item.cell.index < cell.index for item in scene.objects])
            before, after = scene.objects[:place], scene.objects[place:]
            for size, (shape, colour) in product(sizes, pairs):
                made.append(Scene.in_order((*before, SceneObject(cell, size, colour, shape), *after)))
        return tuple(made)

    def targets(self, scene: Scene) -> frozenset[str]:
        """Return the keys of all relevant scenes, written without making each scene, which takes most of the time."""
        cells, sizes, pairs = self._open(scene, COMBINATIONS)
        objects, keys = list(map(str, scene)), []
        for cell in cells:
            place = sum(item.cell.index < cell.index for item in scene)
            for size, (shape, colour) in product(sizes, pairs):
                keys.append("; ".join([*objects[:place], f"{cell} {size} {colour} {shape}", *objects[place:]]))
        return frozenset(keys)

    def is_target(self, scene: Scene, target: Scene) -> bool:
        added = [item for item in target if item not in scene.objects]
        return len(target) == len(scene) + 1 and len(added) == 1 and self.selector.matches(added[0])

    def is_no_op(self, scene: Scene) -> bool:
        return self.selector.cell not in (None, *scene.empty_cells) or not scene.empty_cells

    def needs(self, combinations: Sequence[Combination]) -> Needs:
        """Require that the cell is empty, if one is named; otherwise there is room, since no reference is full."""
        del combinations
        return Needs(EVERY_OBJECT, having(self.selector.cell))

    def postcondition(self) -> Needs:
        return Needs(selected_by(self.selector), 0)

    @classmethod
    def lender(cls, scene: Scene, combinations: Sequence[Combination], *, rng: np.random.Generator) -> SceneObject:
        shape, colour = one_of(combinations, rng)
        return SceneObject(one_of(scene.empty_cells, rng), one_of(tuple(Size), rng), colour, shape)

    @classmethod
    def draw(
        cls, kind: str, selector: Selector, lender: SceneObject, combinations: Sequence[Combination],
        *, rng: np.random.Generator,
    ) -> Self:  # fmt: skip
        del kind, lender, combinations, rng
        return cls(selector)

    def _open(
        self, scene: Scene, combinations: Sequence[Combination]
    ) -> tuple[Sequence[Cell], Sequence[Size], Sequence[Combination]]:
        """Return the cells, sizes and combinations that the new object may have."""
        wanted = self.selector
        cells = [cell for cell in scene.empty_cells if wanted.cell in (None, cell)]
        sizes = [wanted.size] if wanted.size else list(Size)
        return cells, sizes, _fitting(wanted.shape, wanted.colour, tuple(combinations))


@lru_cache(maxsize=1_024)
def _fitting(
    shape: Shape | None, colour: Colour | None, combinations: tuple[Combination, ...]
) -> tuple[Combination, ...]:
    return tuple((s, c) for s, c in combinations if shape in (None, s) and colour in (None, c))
