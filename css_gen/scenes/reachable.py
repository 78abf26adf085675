"""Count the scenes that a text can make: all that is known of the answer by somebody who does not see the source."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache, reduce
from operator import or_

import numpy as np
from numpy.typing import NDArray

from css_gen.scenes.matching import members, scene_set
from css_gen.scenes.modification import Modification
from css_gen.scenes.scene import Scene

_SETS_KEPT = 1_024


def count_reachable(
    modifications: Sequence[Modification], scenes: Sequence[Scene], *, without: Sequence[int]
) -> NDArray[np.int64]:
    """Return how many of the scenes each modification can make of some source, whatever that is.

    Equal scenes count each by itself. Memory is linear in the scenes and in the modifications.

    Args:
        without: for each modification the place of a scene that is not counted.
    """
    showing = _scenes_showing(scenes)

    @lru_cache(maxsize=_SETS_KEPT)
    def sharing(some: int) -> int:
        """Return the set of the scenes that share an object or an empty cell with `some`."""
        return reduce(or_, (showing[place] for place in members(some) if place in showing), 0)

    rows_of: dict[Modification, list[int]] = defaultdict(list)
    for row, modification in enumerate(modifications):
        rows_of[modification].append(row)
    counts = np.empty(len(modifications), dtype=np.int64)
    for modification, rows in rows_of.items():
        wanted = modification.postcondition()
        fitting = sharing(wanted.some) & ~sharing(wanted.none)
        for row in rows:
            counts[row] = fitting.bit_count() - (fitting >> without[row] & 1)
    return counts


def _scenes_showing(scenes: Sequence[Scene]) -> dict[int, int]:
    """Return the set of scenes, a bit for each, that have an object or an empty cell, by its place in `scene_set`."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, scene in enumerate(scenes):
        for member in members(scene_set(scene)):
            places[member].append(place)
    found = {}
    for member, having in places.items():
        flags = np.zeros(len(scenes), dtype=np.bool_)
        flags[having] = True
        found[member] = int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")
    return found
