"""tirg-bench compare: composers, or recipes, on the same queries; two by slice, more as a matrix."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.cli.compared_sides import Side, listed, runs_of_sides, trained
from benchmark.cli.options import LEADERBOARDS
from benchmark.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from benchmark.cli.compared_sides import Runs
    from benchmark.records.store import StoredRecord
    from benchmark.scoring.recall import Outcomes

_LEVEL = 0.05
_WIDEST = 10_000


@click.command()
@click.argument("sides", metavar="A[@RECIPE] B[@RECIPE] [C[@RECIPE] ...]", nargs=-1, required=True)
@click.option("--dataset", default="css", show_default=True, metavar="NAME", help="The task to compare on.")
@click.option(
    "--preset", metavar="NAME", help="The recipe of all.  [default: the one with most steps that all of them have]"
)
@LEADERBOARDS
def compare(sides: tuple[str, ...], dataset: str, preset: str | None, out: Path) -> None:
    """Test whether A and B differ in Recall@1, overall and by slice; of three or more, every pair, overall.

    All are composers, trained with the same recipe. A model that was scored by its ranking is paired with any row on
    the same test data. Append @RECIPE to choose the recipe of each side, by its name in the tables or the first digits
    of its hash, for example to compare two recipes of one composer:

    \b
    tirg-bench compare tirg concat
    tirg-bench compare tirg concat film mrn
    tirg-bench compare tirg@quick "tirg@quick, training.steps=100"
    tirg-bench compare tirg@quick tirg@6274ce34

    Intervals and p come from a paired t-test over source scenes and seeds. The variance between seeds is pooled over
    all composers of the recipe; p is Holm-corrected over the slices, or over the pairs. A model has no seeds: its
    ranking is fixed.
    """
    from rich.console import Console

    from benchmark import tasks
    from benchmark.leaderboard.files import load_rankings, load_records

    if task := tasks.find(dataset):
        dataset = task.name
    if len(sides) < 2:
        raise UsageError(f"{sides[0]} is alone: name two composers or more, or two recipes")
    stored, problems = load_records(out / "records")
    asked = [Side.of(side) for side in sides]
    if twice := next((side for place, side in enumerate(sides) if asked[place] in asked[:place]), ""):
        what = f"A and B are both {twice}" if len(sides) == 2 else f"{twice} is named twice"
        raise UsageError(f"{what}: name two composers, or two recipes such as tirg@quick and tirg@paper")
    rankings, further = load_rankings(out / "records")
    problems += further
    found = runs_of_sides(stored, rankings, asked, dataset, preset)
    pooled = _runs_of_all_composers(stored, found)
    table = _slices(found, dataset, pooled) if len(found) == 2 else _matrix(found, dataset, pooled)
    console = Console(highlight=False)
    if len(found) > 2:  # a matrix that does not fit is not cut: a terminal wraps it, a file has it as it is
        console.width = max(
            console.width, console.measure(table, options=console.options.update(width=_WIDEST)).maximum
        )
    console.print(table)
    if note := _note_on_seeds(found, pooled):
        click.echo(note)
    for problem in problems:
        click.echo(f"tirg-bench: left out: {problem}", err=True)
    if problems:
        raise click.exceptions.Exit(1)


def _slices(sides: "list[Runs]", dataset: str, pooled: "list[list[Outcomes]]") -> "Table":
    """The difference of two sides: a line for all queries and for each slice."""
    from rich.text import Text

    from benchmark.leaderboard.comparison import compare as differences

    runs_a, runs_b = sides
    (name_a, name_b), preset = _names(sides)
    table = _table(f"{name_a} minus {name_b} on {dataset}{preset}: Recall@1")
    table.add_column("Queries")
    for heading in ("n", "Difference", "95% interval", "p"):
        table.add_column(heading, justify="right", no_wrap=True)
    found = differences(
        [run.outcomes for run in runs_a],
        [run.outcomes for run in runs_b],
        board=pooled,
        trained=(bool(trained(runs_a)), bool(trained(runs_b))),
    )
    for name, each in found.items():
        points = "-" if each.points is None else f"{each.points:+.1f}"
        interval = "" if each.interval is None else f"[{each.interval.low:+.1f}, {each.interval.high:+.1f}]"
        p = "" if each.p is None else f"{each.p:.2g}" if each.p >= 1e-3 else "<0.001"
        table.add_row(*map(Text, (name, f"{each.queries:,}", points, interval, p)))
    return table


def _matrix(sides: "list[Runs]", dataset: str, pooled: "list[list[Outcomes]]") -> "Table":
    """The difference of every pair of sides on all queries, row minus column, best first."""
    from rich.text import Text

    from benchmark.leaderboard.comparison import compare_all

    recalls = [100 * sum(float((run.outcomes.ranks == 1).mean()) for run in runs) / len(runs) for runs in sides]
    order = sorted(range(len(sides)), key=lambda place: -recalls[place])
    sides, recalls = [sides[place] for place in order], [recalls[place] for place in order]
    names, preset = _names(sides)
    found = compare_all(
        [[run.outcomes for run in runs] for runs in sides],
        board=pooled,
        trained=[bool(trained(runs)) for runs in sides],
    )
    table = _table(f"Recall@1 on {dataset}{preset}: row minus column")
    table.caption = (
        f"* p < {_LEVEL}, Holm-corrected over {len(found)} pairs; {sides[0][0].outcomes.ranks.size:,} queries"
    )
    table.caption_justify = "left"
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for heading in ("R@1", *(str(number) for number in range(1, len(sides) + 1))):
        table.add_column(heading, justify="right", no_wrap=True)
    for row, (name, recall) in enumerate(zip(names, recalls, strict=True)):
        cells = []
        for column in range(len(sides)):
            each = found.get((min(row, column), max(row, column)))
            points = 0.0 if each is None or each.points is None else each.points if row < column else 0.0 - each.points
            mark = "*" if each and each.p is not None and each.p < _LEVEL else " "
            cells.append(f"{points:+.1f}{mark}" if each else "")
        table.add_row(*map(Text, (str(row + 1), name, f"{recall:.1f}", *cells)))
    return table


def _table(title: str) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    return Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


def _runs_of_all_composers(stored: "list[StoredRecord]", sides: "list[Runs]") -> "list[list[Outcomes]]":
    """Outcomes by composer on the boards of the sides, over which the variance between seeds is pooled."""
    from benchmark.leaderboard.boards import comparable

    found: dict[tuple[str, str], list[Outcomes]] = {}
    for board in comparable(stored):
        if any(runs[0] in board for runs in sides):
            for run in board:
                found.setdefault((run.record.recipe_hash, run.record.composer.name), []).append(run.outcomes)
    return list(found.values())


def _note_on_seeds(sides: "list[Runs]", pooled: "list[list[Outcomes]]") -> str:
    """Say where the variance between seeds is from, if a composer has one seed; "" otherwise. A model has no seeds."""
    single = [runs[0].record.composer.name for runs in map(trained, sides) if len(runs) == 1]
    if not single:
        return ""
    freedom = sum(len(runs) - 1 for runs in pooled)
    if not freedom:
        return "No composer has two seeds here: the test ignores how much seeds vary. Run with --seeds 3 to include it."
    several = sum(len(runs) > 1 for runs in pooled)
    return f"{listed(single)}: one seed. The variance between seeds is that of the {several} composer(s) with more."


def _names(sides: "list[Runs]") -> tuple[list[str], str]:
    """Name all sides, with their recipes unless they are one; then it is the second."""
    from benchmark.leaderboard.boards import label_of
    from benchmark.records.rankings import StoredRanking

    of_composers = [trained(runs) for runs in sides]
    is_one_recipe = all(of_composers) and len({runs[0].record.recipe_hash for runs in of_composers}) == 1
    names = []
    for side, runs in zip(sides, of_composers, strict=True):
        if runs:
            recipe = "" if is_one_recipe else f" with {label_of(runs[0].record)}"
            seeds = ", ".join(str(run.record.seed) for run in runs)
            names.append(f"{runs[0].record.composer.name}{recipe} (seeds {seeds})")
        else:
            names += [f"{run.record.name} (its ranking)" for run in side if isinstance(run, StoredRanking)]
    return names, f", preset {label_of(of_composers[0][0].record)}" if is_one_recipe else ""
