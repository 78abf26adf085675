"""Draw what composes best: R@1 by selection and by objects changed, and R@1 against cost, from a board's records.

`python docs/what_composes_best_plot.py` writes the pictures of what_composes_best.md, with the figures of
`tirg-bench plot`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmark.errors import BenchmarkError
from benchmark.leaderboard.boards import Row, build, comparable, label_of
from benchmark.leaderboard.figures import ONE_INPUT, content_of, draw_cost, draw_slices
from benchmark.leaderboard.files import load_records
from benchmark.records.store import StoredRecord

DOCS: Final = Path(__file__).parent
RECORDS: Final = DOCS.parent / "leaderboards" / "records"
TASK: Final = "css"
PRESET: Final = "quick"
WIDTH: Final = 11.0
TIMED: Final = 0
"""The seed whose runs were made under the same load: the picture of times shows these alone."""

PANELS: Final = {
    "selection=cell": "text selects by:\ncell",
    "selection=cell and content": "\ncell and content",
    "selection=content": "\ncontent",
    "changed=0": "objects changed:\n0",
    "changed=1": "\n1",
    "changed=2": "\n2",
    "changed=3+": "\n3+",
}
"""Titles by slice, from left to right."""


def read_records(records: Path, task: str) -> list[StoredRecord]:
    """Return the records of a task. Raises BenchmarkError if one is broken."""
    stored, problems = load_records(records, only=records / task)
    if problems:
        raise BenchmarkError(problems[0])
    return stored


def rows_of(stored: Sequence[StoredRecord], preset: str) -> list[Row]:
    """Return the rows of the board with that preset, without those of one input alone.

    Raises BenchmarkError if there is no such board.
    """
    for runs in comparable(stored):
        if label_of(runs[0].record) == preset:
            return [row for row in build(runs)[0].rows if row.composer.name not in ONE_INPUT]
    raise BenchmarkError(f"{TASK} has no row of the preset {preset}; `tirg-bench run` makes some")


def main() -> None:
    stored = read_records(RECORDS, TASK)
    rows = rows_of(stored, PRESET)
    timed = rows_of([run for run in stored if run.record.seed == TIMED], PRESET)
    figures = {
        "slices": draw_slices(rows, PANELS, about="", width=WIDTH),
        "cost": draw_cost(timed, cost="time", width=8.0),
    }
    for name, figure in figures.items():
        (DOCS / f"what_composes_best_{name}.svg").write_bytes(content_of(figure, "svg"))


if __name__ == "__main__":
    main()
