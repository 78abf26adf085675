"""Choose example queries to show: an even sample, some best, some worst."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from benchmark.records.schema import Example
from benchmark.scoring.recall import Integers, Outcomes

_SAMPLE, _BEST, _WORST = 12, 6, 6


def examples_of(outcomes: Outcomes, top: Integers) -> tuple[Example, ...]:
    """Examples that depend on the outcomes alone; a query is named once.

    "sample" is spread evenly over the queries, the same for every composer; "worst" are those of the lowest ranks;
    "best" is spread evenly over the queries whose first image is relevant.

    Args:
        top: (Q, k) gallery rows, best first, -1 where there are no more.
    """
    taken: set[int] = set()

    def examples() -> Iterator[Example]:
        chosen: dict[Literal["sample", "best", "worst"], Integers] = {
            "sample": _spread(np.arange(len(outcomes)), _SAMPLE),
            "worst": np.argsort(-outcomes.ranks, kind="stable")[:_WORST],
            "best": _spread(np.flatnonzero(outcomes.ranks == 1), _BEST),
        }
        for why, rows in chosen.items():
            for row in rows.tolist():
                if row not in taken:
                    taken.add(row)
                    yield Example(query=row, why=why, top=tuple(image for image in top[row].tolist() if image >= 0))

    return tuple(examples())


def _spread(rows: Integers, count: int) -> Integers:
    """Up to `count` of the rows, at equal distances."""
    if len(rows) <= count:
        return rows
    return rows[np.arange(count) * len(rows) // count]
