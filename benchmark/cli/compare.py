"""tirg-bench compare: two composers of one board on the same queries."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.cli.options import LEADERBOARDS
from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from benchmark.records.store import StoredRecord

_SEED = 0
"""Of the resampling, so that the same records give the same figures."""


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--dataset", default="css", show_default=True, metavar="NAME", help="The board to compare on.")
@click.option("--preset", metavar="NAME", help="The recipe.  [default: the longest that both have]")
@LEADERBOARDS
def compare(a: str, b: str, dataset: str, preset: str | None, out: Path) -> None:
    """How far composers A and B are apart in Recall@1, and whether that could be chance, by slice.

    Intervals come from a paired bootstrap over source scenes and seeds, p from a permutation test that swaps A and B
    scene by scene on their means over seeds; over the slices, p is Holm-corrected.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from benchmark import tasks
    from benchmark.leaderboard.comparison import compare as differences
    from benchmark.leaderboard.files import load_records

    if task := tasks.find(dataset):
        dataset = task.name
    if a == b:
        raise UsageError(f"A and B are both {a}: name two composers")
    stored, problems = load_records(out / "records")
    runs_a, runs_b, board = _runs(stored, a, b, dataset, preset)
    seeds = [", ".join(str(run.record.seed) for run in runs) for runs in (runs_a, runs_b)]
    title = f"{a} (seeds {seeds[0]}) minus {b} (seeds {seeds[1]}) on {dataset}, preset {board}: Recall@1"
    table = Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Queries")
    for heading in ("n", "Difference", "95% interval", "p"):
        table.add_column(heading, justify="right", no_wrap=True)
    found = differences([run.outcomes for run in runs_a], [run.outcomes for run in runs_b], seed=_SEED)
    for name, each in found.items():
        points = "-" if each.points is None else f"{each.points:+.1f}"
        interval = "" if each.interval is None else f"[{each.interval.low:+.1f}, {each.interval.high:+.1f}]"
        p = "" if each.p is None else f"{each.p:.2g}" if each.p >= 1e-3 else "<0.001"
        table.add_row(*map(Text, (name, f"{each.queries:,}", points, interval, p)))
    Console(highlight=False).print(table)
    for problem in problems:
        click.echo(f"tirg-bench: left out: {problem}", err=True)
    if problems:
        raise click.exceptions.Exit(1)


def _runs(
    stored: "list[StoredRecord]", a: str, b: str, dataset: str, preset: str | None
) -> "tuple[list[StoredRecord], list[StoredRecord], str]":
    """The runs of both composers on the first board that has both, and its preset.

    Raises:
        UsageError: a name is unknown among the records.
        BenchmarkError: there are no records, or the two have no board in common.
    """
    from benchmark.leaderboard.boards import comparable
    from benchmark.recipe.config import unknown

    if not stored:
        raise BenchmarkError("there are no records that agree with themselves; `tirg-bench run` makes them")
    boards = [board for board in comparable(stored) if board[0].record.protocol == dataset]
    if not boards:
        raise UsageError(unknown("dataset", dataset, {run.record.protocol for run in stored}))
    names = {run.record.composer.name for board in boards for run in board}
    for name in (a, b):
        if name not in names:
            raise UsageError(unknown("composer", name, names))
    presets = {board[0].record.preset for board in boards}
    if preset is not None and preset not in presets:
        raise UsageError(unknown("preset", preset, presets))
    for board in boards:
        if preset in (None, board[0].record.preset):
            of_a, of_b = ([run for run in board if run.record.composer.name == name] for name in (a, b))
            if of_a and of_b:
                return of_a, of_b, board[0].record.preset
    asked = f" with preset {preset}" if preset else ""
    raise BenchmarkError(f"{a} and {b} have no records of the same recipe and data on {dataset}{asked}; run both")
