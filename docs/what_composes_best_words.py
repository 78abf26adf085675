"""Print R@1 by the attributes that a text names instead of a cell, as the table of what_composes_best.md.

`python docs/what_composes_best_words.py` reads the committed records, and draws the queries again from the
configurations in them.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import BenchmarkError
from benchmark.explanation.rendered import Rendered, find_rendered
from benchmark.leaderboard.boards import label_of
from benchmark.leaderboard.files import load_records
from benchmark.records.store import StoredRecord
from css_gen.scenes.modification import Add, Modification
from models import registry

RECORDS: Final = Path(__file__).parent.parent / "leaderboards" / "records"
TASK: Final = "css"
COLUMNS: Final = (
    ("attribute_as_operator", "quick"),
    ("tirg", "cpu-long-mined"),
    ("attribute_as_operator", "cpu-long-mined"),
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


def table(stored: Sequence[StoredRecord]) -> str:
    """R@1 in percent, a row for each choice of attributes and a column for each of `COLUMNS`."""
    columns = [_cells(stored, composer, preset) for composer, preset in COLUMNS]
    titles = [f"{registry.get(composer).info.title}, `{preset}`" for composer, preset in COLUMNS]
    lines = [["Text names", *titles], ["---", *("--:" for _ in titles)]]
    for row in sorted(columns[0], key=lambda row: (row.startswith("make"), "shape" in row, row)):
        lines.append([row, *(f"{cells[row]:.1f}" for cells in columns)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(stored: Sequence[StoredRecord], composer: str, preset: str) -> dict[str, float]:
    runs = [run for run in stored if (run.record.composer.name, label_of(run.record)) == (composer, preset)]
    if not runs:
        raise BenchmarkError(f"{TASK} has no record of {composer} with the preset {preset}")
    rendered = find_rendered(runs[0])
    if not isinstance(rendered, Rendered):
        raise BenchmarkError(rendered)
    rows = np.array([row_of(query.modification) for query in rendered.queries])
    right: NDArray[np.float64] = np.mean([run.outcomes.ranks == 1 for run in runs], axis=0)
    return {str(row): 100 * float(right[rows == row].mean()) for row in np.unique(rows) if row}


def main() -> None:
    stored, problems = load_records(RECORDS, only=RECORDS / TASK)
    if problems:
        raise BenchmarkError(problems[0])
    sys.stdout.write(table(stored) + "\n")


if __name__ == "__main__":
    main()
