"""Print the two tables of what_composes_best.md, "Selecting by shape": R@1 of texts that name no cell.

The first is by the attributes that a text names. The second, of texts that name a shape, is by whether the training
split shows the shapes of the objects in question in their colours.

`python docs/what_composes_best_words.py` reads the committed records, and draws the queries again from the
configurations in them.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import BenchmarkError
from benchmark.explanation.rendered import Rendered, find_rendered
from benchmark.leaderboard.boards import label_of
from benchmark.leaderboard.files import load_records
from benchmark.records.store import StoredRecord
from css_gen.dataset import QueryRow
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.modification import Add, Modification
from css_gen.scenes.scene import Scene
from css_gen.storage.plan import held_out
from models import registry

RECORDS: Final = Path(__file__).parent.parent / "leaderboards" / "records"
TASK: Final = "css"
COLUMNS: Final = (
    ("attribute_as_operator", "quick"),
    ("tirg", "cpu-long-mined"),
    ("attribute_as_operator", "cpu-long-mined"),
    ("attribute_as_operator", "cpu-long-shapes"),
    ("tirg", "standard-mined"),
    ("attribute_as_operator", "standard-mined"),
    ("lgli", "standard-mined"),
)
"""Composers and presets; all seeds of them count."""

_NAMES: Final = ("size", "colour", "shape")


def row_of(modification: Modification) -> str:
    """The row that a query counts in, such as "remove, shape"; "" for texts that add, or that name a cell."""
    selector = modification.selector
    if isinstance(modification, Add) or selector.cell:
        return ""
    named = [name for name in _NAMES if getattr(selector, name)]
    return f"{type(modification).__name__.lower()}, {' and '.join(named)}"


def shape_row_of(modification: Modification, source: Scene, combinations: HeldOut) -> str:
    """The row of the second table that a query counts in; "" for texts that add, name a cell, or name no shape.

    The objects in question are those that match the text's other words.
    """
    selector = modification.selector
    if not row_of(modification) or not selector.shape:
        return ""
    asked = [item for item in source if replace(selector, shape=None).matches(item)]
    is_new = any((item.shape, item.colour) in combinations.test_only for item in asked)
    number = "one object" if sum(map(selector.matches, source)) == 1 else "several objects"
    return f"{type(modification).__name__.lower()}, {number}: {'some are not' if is_new else 'all'} in training"


def words_table(stored: Sequence[StoredRecord]) -> str:
    """R@1 in percent by `row_of`, a column for each of `COLUMNS`."""
    found = _columns(stored, lambda query, _: row_of(query.modification))
    return _table("Text names", found, order=lambda row: (row.startswith("make"), "shape" in row, row))


def shapes_table(stored: Sequence[StoredRecord]) -> str:
    """R@1 in percent by `shape_row_of`, a column for each of `COLUMNS`."""

    combinations = cache(held_out)

    def row(query: QueryRow, rendered: Rendered) -> str:
        scene = rendered.scenes[query.source_id]
        return shape_row_of(query.modification, scene, combinations(rendered.configuration))

    return _table("Objects meant: combinations of those in question", _columns(stored, row))


def _table(
    heading: str, columns: Sequence[dict[str, float]], *, order: Callable[[str], Any] = lambda row: (row[0] == "m", row)
) -> str:
    titles = [f"{registry.get(composer).info.title}, `{preset}`" for composer, preset in COLUMNS]
    lines = [[heading, *titles], ["---", *("--:" for _ in titles)]]
    for row in sorted(columns[0], key=order):
        lines.append([row, *(f"{cells[row]:.1f}" for cells in columns)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _columns(stored: Sequence[StoredRecord], row: Callable[[QueryRow, Rendered], str]) -> list[dict[str, float]]:
    """For each of `COLUMNS` R@1 in percent, the mean over its seeds, by the rows of the queries."""
    return [_cells(stored, composer, preset, row) for composer, preset in COLUMNS]


def _cells(
    stored: Sequence[StoredRecord], composer: str, preset: str, row: Callable[[QueryRow, Rendered], str]
) -> dict[str, float]:
    runs = [run for run in stored if (run.record.composer.name, label_of(run.record)) == (composer, preset)]
    if not runs:
        raise BenchmarkError(f"{TASK} has no record of {composer} with the preset {preset}")
    rendered = find_rendered(runs[0])
    if not isinstance(rendered, Rendered):
        raise BenchmarkError(rendered)
    rows = np.array([row(query, rendered) for query in rendered.queries])
    right: NDArray[np.float64] = np.mean([run.outcomes.ranks == 1 for run in runs], axis=0)
    return {str(name): 100 * float(right[rows == name].mean()) for name in np.unique(rows) if name}


def main() -> None:
    stored, problems = load_records(RECORDS, only=RECORDS / TASK)
    if problems:
        raise BenchmarkError(problems[0])
    sys.stdout.write(f"{words_table(stored)}\n\n{shapes_table(stored)}\n")


if __name__ == "__main__":
    main()
