"""What went wrong with an answer, told from the scenes alone; every wrong answer is of exactly one kind."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np

from benchmark.scoring.recall import Outcomes
from css_gen.dataset import QueryRow
from css_gen.scenes.factors import Cell
from css_gen.scenes.modification import Modification
from css_gen.scenes.modification.rewrite import Rewrite
from css_gen.scenes.scene import Scene

_UNUSED = np.random.default_rng(0)
"""A rewrite has one target, so it draws nothing."""


class ErrorKind(StrEnum):
    """The kinds in the order of the pages; `meaning` says in a sentence what `kind_of_error` defines."""

    meaning: str

    def __new__(cls, label: str, meaning: str) -> "ErrorKind":
        member = str.__new__(cls, label)
        member._value_ = label
        member.meaning = meaning
        return member

    IGNORED = (
        "edit ignored",
        "The image shows the source's scene, though it is not the source itself, which is never ranked.",
    )
    OBJECT = (
        "wrong object changed",
        "What the text means was left as it was, or not added; something else changed.",
    )
    CELL = "wrong cell", "The change is the one asked for, in one cell, but that cell is not where the text wants it."
    COLLATERAL = "collateral change", "The edit was made in full, but something else changed too."
    COMPLETION = (
        "another completion",
        "It fits the text, which leaves something open, but is not the drawn target.",
    )
    SCENE = "another scene", "Fewer than half of the objects that were to stay are where they were."
    OTHER = "other", "The rest: the edit half made, or made with the wrong colour or size."


def kind_of_error(source: Scene, modification: Modification, answer: Scene) -> ErrorKind:
    """The kind of an answer that is not the query's target: the first of these that holds.

    "An object stays" means that the answer holds the same object (cell, size, colour and shape). A `remove`, a `make`
    and every other rewrite has one target, and is *about* those of the source's objects that the target does not have.
    An `add` is about none of them.

    1. `IGNORED`: the answer equals the source.
    2. `COMPLETION`: the answer satisfies the modification. Only an `add` that leaves something open has such answers.
    3. `SCENE`: of the source's objects that the edit is not about, fewer than half stay.
    4. `CELL`: the answer differs from the source in one cell, and is what the modification would make of the source if
       it named that cell and no other. (So is one of several objects changed, where all were meant.)
    5. `COLLATERAL`: the edit was made. `add`: a cell that was empty holds an object that the text describes. A rewrite:
       every cell in which source and target differ is as in the target.
    6. `OBJECT`: the edit was not made. `add`: no object is new that the text describes, its cell apart. A rewrite: all
       objects that the edit is about stay.
    7. `OTHER`: anything else.
    """
    if answer == source:
        return ErrorKind.IGNORED
    if modification.is_target(source, answer):
        return ErrorKind.COMPLETION
    before, after = frozenset(source), frozenset(answer)
    wanted = frozenset(modification.apply(source, rng=_UNUSED) if isinstance(modification, Rewrite) else source)
    about = before - wanted
    to_stay = before - about
    if 2 * len(to_stay & after) < len(to_stay):
        return ErrorKind.SCENE
    changed_cells = {item.cell for item in before ^ after}
    if len(changed_cells) == 1 and _located(modification, *changed_cells).is_target(source, answer):
        return ErrorKind.CELL
    new = after - before
    if isinstance(modification, Rewrite):
        cells = {item.cell for item in before ^ wanted}
        was_made = all(item.cell not in cells for item in after ^ wanted)
        was_not_made = about <= after
    else:
        anywhere = replace(modification.selector, cell=None)
        was_made = any(modification.selector.matches(item) and item.cell in source.empty_cells for item in new)
        was_not_made = not any(map(anywhere.matches, new))
    if was_made:
        return ErrorKind.COLLATERAL
    return ErrorKind.OBJECT if was_not_made else ErrorKind.OTHER


def count_errors(
    scenes: Sequence[Scene], queries: Sequence[QueryRow], runs: Iterable[Outcomes]
) -> dict[ErrorKind, int]:
    """How many first images of all runs, that are not of the drawn target's scene, are of each kind; all are there.

    Args:
        scenes: of every image of the gallery.
        queries: of the split, in the order of the outcomes.
    """
    counts: Counter[ErrorKind] = Counter()
    for outcomes in runs:
        for query, first, rank in zip(queries, outcomes.top1.tolist(), outcomes.drawn_ranks.tolist(), strict=True):
            if rank == 1:
                continue
            counts[
                kind_of_error(scenes[query.source_id], query.modification, scenes[first])
                if first >= 0
                else ErrorKind.OTHER
            ] += 1
    return {kind: counts[kind] for kind in ErrorKind}


def _located(modification: Modification, cell: Cell) -> Modification:
    return modification.with_selector(replace(modification.selector, cell=cell))
