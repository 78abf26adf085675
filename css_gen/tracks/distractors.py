"""Wrong answers that several tracks put into the gallery, and a list of them without duplicates."""

from collections.abc import Iterable, Iterator

import numpy as np

from css_gen.scenes.randomness import SplitId
from css_gen.scenes.scene import Scene
from css_gen.tracks.base import Distractor, Pool, Program
from css_gen.tracks.parts import FACTORS, shows_only, with_value

OTHER_SOURCE = "other source"
"""What the text makes of a source that differs from the query's in one object: with it, the text alone never says which
image of a block is right."""


class Gallery:
    """Collects the distractors of a query: scenes of the pool's combinations, each once, and none of some others."""

    def __init__(self, pool: Pool, excluded: Iterable[str]) -> None:
        """Args: excluded: keys of scenes that are not added, such as the targets'."""
        self._pool = pool
        self._taken = {*excluded}
        self.distractors: tuple[Distractor, ...] = ()

    def add(self, why: str, scenes: Iterable[Scene], *, at_most: int) -> int:
        """Add the first of these scenes that may be added; return how many were."""
        added = 0
        for scene in scenes:
            if added == at_most:
                break
            if scene.key not in self._taken and shows_only(scene, self._pool.combinations):
                self._taken.add(scene.key)
                self.distractors += (Distractor(why, scene),)
                added += 1
        return added


def of_another_source(program: Program, target: Scene, *, rng: np.random.Generator) -> Iterator[Scene]:
    """Yield scenes that differ from the target in an attribute of one object and that the text can make, too."""
    changes = [
        (item, name, value)
        for item in target
        for name, values in FACTORS.items()
        for value in values
        if getattr(item, name) != value
    ]
    for place in rng.permutation(len(changes)):
        changed, name, value = changes[place]
        scene = Scene(tuple(with_value(item, name, value) if item is changed else item for item in target))
        if program.can_make(scene):
            yield scene


def needs_distractors(pool: Pool) -> bool:
    """Return whether the split shows distractors: the training split has none."""
    return pool.split is SplitId.TEST
