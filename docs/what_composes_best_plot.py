"""Draw what composes best: R@1 by selection and by objects changed, and R@1 against cost, from a board's records.

`python docs/what_composes_best_plot.py` writes the pictures of what_composes_best.md, with the figures of
`tirg-bench plot`.
"""

from pathlib import Path
from typing import Final

from benchmark.errors import BenchmarkError
from benchmark.leaderboard.boards import Board, build, comparable, label_of
from benchmark.leaderboard.figures import ONE_INPUT, content_of, draw_cost, draw_slices
from benchmark.leaderboard.files import load_records

DOCS: Final = Path(__file__).parent
RECORDS: Final = DOCS.parent / "leaderboards" / "records"
TASK: Final = "css"
PRESET: Final = "quick"
WIDTH: Final = 11.0
ALL_SEEDS: Final = range(2**32)
TIMED: Final = range(1)
"""Seeds whose runs were made under the same load: a picture of times shows these alone."""

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


def read_board(records: Path, task: str, preset: str, seeds: range = ALL_SEEDS) -> Board:
    """Return the board of a task with that preset, of the runs with these seeds.

    Raises BenchmarkError if there is none, or a record is broken.
    """
    stored, problems = load_records(records, only=records / task)
    if problems:
        raise BenchmarkError(problems[0])
    for runs in comparable([run for run in stored if run.record.seed in seeds]):
        if label_of(runs[0].record) == preset:
            return build(runs)[0]
    raise BenchmarkError(f"{records}: {task} has no row of the preset {preset}; `tirg-bench run` makes some")


def main() -> None:
    rows, timed = (
        [row for row in read_board(RECORDS, TASK, PRESET, seeds).rows if row.composer.name not in ONE_INPUT]
        for seeds in (ALL_SEEDS, TIMED)
    )
    figures = {
        "slices": draw_slices(rows, PANELS, about="", width=WIDTH),
        "cost": draw_cost(timed, cost="time", width=8.0),
    }
    for name, figure in figures.items():
        (DOCS / f"what_composes_best_{name}.svg").write_bytes(content_of(figure, "svg"))


if __name__ == "__main__":
    main()
