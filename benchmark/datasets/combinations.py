"""Hold out combinations of attributes, such as shape and colour, as a test split does.

Images that show a held-out combination are not trained on, neither as sources nor as targets.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

NOVEL_SHARE = 0.25
"""Of the validation queries: about what the test splits of `css` and `css-2d3d` have."""


class HeldOut(NamedTuple):
    """Rows of the queries of both parts, ascending, and which validation queries are about a held-out combination."""

    training: Rows
    validation: Rows
    is_novel: Mask


@dataclass(frozen=True, eq=False)
class Combinations:
    """Which of C combinations the images of a split show, and which ones its queries are about.

    Attributes:
        shown: bool (gallery images, C).
        asked: bool (Q, C), whether an object that the query's modification adds, removes or changes has the
            combination, before or after.
        sources: (Q,) the row of the gallery image that shows the query's source.
        targets: (Q,) rows of gallery images.
    """

    shown: Mask
    asked: Mask
    sources: Rows
    targets: Rows

    def rows(self, queries: Rows) -> "Combinations":
        """Only these queries, in this order."""
        return replace(self, asked=self.asked[queries], sources=self.sources[queries], targets=self.targets[queries])

    def spread(self, count: int) -> Rows:
        """Numbers of `count` combinations that some image shows, evenly spaced in their order.

        Raises:
            ValueError: the images show no more than `count`.
        """
        found = np.flatnonzero(self.shown.any(axis=0))
        if count >= len(found):
            raise ValueError(f"the images show {len(found)} combinations; lower it")
        return found[_evenly(len(found), count)]

    def held_out(self, is_kept: Mask, count: int) -> HeldOut:
        """Divide the queries into a training and a validation part, with `count` combinations held out.

        The validation part has the queries that are not kept. Those about a held-out combination are drawn from all
        queries instead, kept ones too (they cannot be trained on), and make up `NOVEL_SHARE` of it.

        Args:
            is_kept: bool (Q,), which queries may be trained on.

        Raises:
            ValueError: the images show no more than `count` combinations.
        """
        held = self.spread(count)
        shows: Mask = self.shown[:, held].sum(axis=1) > 0
        is_novel: Mask = self.asked[:, held].sum(axis=1) > 0
        seen, novel = np.flatnonzero(~is_kept & ~is_novel), np.flatnonzero(is_novel)
        novel = novel[_evenly(len(novel), min(len(novel), round(len(seen) * NOVEL_SHARE / (1 - NOVEL_SHARE))))]
        validation = np.sort(np.concatenate([seen, novel]))
        training = np.flatnonzero(is_kept & ~shows[self.sources] & ~shows[self.targets])
        return HeldOut(training, validation, is_novel[validation])


def _evenly(length: int, count: int) -> Rows:
    """`count` places of a list of that length, evenly spaced."""
    return ((np.arange(count) + 0.5) * length / max(count, 1)).astype(np.int64)
