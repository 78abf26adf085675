"""Modifications that replace or take away every matching object, which leaves one target."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from css_gen.scenes.factors import COMBINATIONS, Combination
from css_gen.scenes.modification.program import Modification
from css_gen.scenes.scene import Scene


class Rewrite(Modification):
    """Base of the modifications with one target: a subclass says what becomes of the scene."""

    @abstractmethod
    def _rewrite(self, scene: Scene) -> Scene:
        """Return the scene with every matching object changed; itself where nothing matches."""

    def _applies(self, scene: Scene) -> bool:
        return any(map(self.selector.matches, scene.objects))

    def apply(
        self, scene: Scene, *, rng: np.random.Generator, combinations: Sequence[Combination] = COMBINATIONS
    ) -> Scene:
        del rng, combinations
        if not self._applies(scene):
            raise ValueError(f"'{self.text}' does not apply: nothing matches in '{scene.key}'")
        return self._rewrite(scene)

    def results(self, scene: Scene) -> tuple[Scene, ...]:
        return (self._rewrite(scene),) if self._applies(scene) else ()

    def is_target(self, scene: Scene, target: Scene) -> bool:
        return self._applies(scene) and self._rewrite(scene) == target

    def is_no_op(self, scene: Scene) -> bool:
        return self._rewrite(scene) == scene
