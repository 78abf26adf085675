"""Wrong answers that several tracks put into the gallery, a list of them without duplicates, and blocks of them.

Distractors that are all made from the target would give it away: it would differ from the images of its block in the
fewest cells. `with_other_source` therefore draws how near to the centre of its block the target is to be.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from css_gen.scenes.factors import CELLS, Cell
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.tracks.base import Distractor, Pool, Program
from css_gen.tracks.parts import FACTORS, shows_only, with_value

OTHER_SOURCE = "other source"
"""What the text makes of a source that differs from the query's: with it, the text alone never says which image of a
block is right."""

_BLOCKS = 12
_TRIES = 8


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
            if scene.key not in self._taken and self.may_show(scene):
                self._taken.add(scene.key)
                self.distractors += (Distractor(why, scene),)
                added += 1
        return added

    def may_show(self, scene: Scene) -> bool:
        """Return whether the split may show every object of the scene."""
        return shows_only(scene, self._pool.combinations)


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


def with_other_source(
    program: Program,
    target: Scene,
    wrong: Sequence[Distractor],
    *,
    excluded: Collection[str],
    allowed: Callable[[Scene], bool],
    kept: Collection[str] = (),
    rng: np.random.Generator,
) -> tuple[Distractor, ...] | None:
    """Return the wrong answers and one of another source; None if there is none.

    Some wrong answers are given objects of that other source, so that they are near to it rather than to the target. Of
    a few blocks that are drawn, the one is returned whose target is as near to the centre as was drawn first.

    Args:
        excluded: keys of scenes that are not shown: the targets and the source.
        allowed: whether the split may show a scene.
        kept: reasons whose wrong answers stay as they are.
    """
    wanted = rng.integers(len(wrong) + 2)
    taken = {*excluded, *(each.scene.key for each in wrong)}
    best: tuple[float, tuple[Distractor, ...]] | None = None
    for _ in range(_BLOCKS):
        other = _crossed(program, target, wrong, rng)
        if other is None or other.key in taken or not allowed(other):
            continue
        block = _carried(target, other, wrong, {*taken, other.key}, allowed, kept, rng)
        far = abs(nearer_to_the_centre(target, [each.scene for each in block]) - wanted)
        if best is None or far < best[0]:
            best = far, block
        if far < 1:
            break
    if best:
        return best[1]
    for other in of_another_source(program, target, rng=rng):
        if other.key not in taken and allowed(other):
            return (*wrong, Distractor(OTHER_SOURCE, other))
    return None


def nearer_to_the_centre(target: Scene, others: Sequence[Scene]) -> float:
    """Return how many others differ from the block's images in fewer cells than the target; equal ones are half."""
    images = [_by_cell(scene) for scene in (target, *others)]
    sums = [sum(len(_differing(one, other)) for other in images) for one in images]
    return sum((each < sums[0]) + (each == sums[0]) / 2 for each in sums[1:])


def _crossed(program: Program, target: Scene, wrong: Sequence[Distractor], rng: np.random.Generator) -> Scene | None:
    """Draw a scene between the target and the wrong answers that the text can make; None if a few draws find none."""
    there = [_by_cell(scene) for scene in (target, *(each.scene for each in wrong))]
    for _ in range(_TRIES):
        made = dict(there[rng.integers(len(there))] if rng.integers(2) else there[0])
        for _ in range(rng.integers(1, 3)):
            donor = there[rng.integers(len(there))]
            cells = _differing(made, donor)
            if cells and rng.integers(2):
                _take(made, donor, cells[rng.integers(len(cells))])
            elif made:
                cell = [*made][rng.integers(len(made))]
                name = [*FACTORS][rng.integers(len(FACTORS))]
                values = [value for value in FACTORS[name] if value != getattr(made[cell], name)]
                made[cell] = with_value(made[cell], name, values[rng.integers(len(values))])
        if made and program.can_make(scene := Scene(tuple(made.values()))):
            return scene
    return None


def _carried(
    target: Scene,
    other: Scene,
    wrong: Sequence[Distractor],
    taken: set[str],
    allowed: Callable[[Scene], bool],
    kept: Collection[str],
    rng: np.random.Generator,
) -> tuple[Distractor, ...]:
    """Return the wrong answers, some with objects of the other source, and that source's answer.

    A wrong answer keeps what is wrong with it: it takes no object where it differs from the target.
    """
    right, donor = _by_cell(target), _by_cell(other)
    block: list[Distractor] = []
    for each in wrong:
        made = _by_cell(each.scene)
        cells = [cell for cell in _differing(right, donor) if made.get(cell) == right.get(cell)]
        if each.why not in kept and cells and rng.integers(4):
            for cell in cells:
                if rng.integers(3):
                    _take(made, donor, cell)
        scene = Scene(tuple(made.values()))
        if scene.key not in taken and allowed(scene):
            taken.add(scene.key)
            block.append(Distractor(each.why, scene))
        else:
            block.append(each)
    return (*block, Distractor(OTHER_SOURCE, other))


def _by_cell(scene: Scene) -> dict[Cell, SceneObject]:
    return {item.cell: item for item in scene}


def _differing(one: Mapping[Cell, SceneObject], other: Mapping[Cell, SceneObject]) -> list[Cell]:
    if one == other:
        return []
    return [cell for cell in CELLS if (here := one.get(cell)) is not (there := other.get(cell)) and here != there]


def _take(made: dict[Cell, SceneObject], donor: Mapping[Cell, SceneObject], cell: Cell) -> None:
    made.pop(cell, None)
    if cell in donor:
        made[cell] = donor[cell]


def needs_distractors(pool: Pool) -> bool:
    """Return whether the split shows distractors: the training split has none."""
    return pool.split is SplitId.TEST
