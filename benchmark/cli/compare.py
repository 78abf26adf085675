"""tirg-bench compare: two composers, or two recipes, on the same queries."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.cli.compared_sides import Side, runs_of_sides, trained
from benchmark.cli.options import LEADERBOARDS
from benchmark.errors import UsageError

if TYPE_CHECKING:
    from benchmark.cli.compared_sides import Runs
    from benchmark.records.store import StoredRecord
    from benchmark.scoring.recall import Outcomes


@click.command()
@click.argument("a", metavar="A[@RECIPE]")
@click.argument("b", metavar="B[@RECIPE]")
@click.option("--dataset", default="css", show_default=True, metavar="NAME", help="The task to compare on.")
@click.option("--preset", metavar="NAME", help="The recipe of both.  [default: the one with most steps that both have]")
@LEADERBOARDS
def compare(a: str, b: str, dataset: str, preset: str | None, out: Path) -> None:
    """Test whether A and B differ in Recall@1, overall and by slice.

    A and B are composers, trained with the same recipe. A model that was scored by its ranking is paired with any row
    on the same test data. Append @RECIPE to choose the recipe of each side, by its name in the tables or the first
    digits of its hash, for example to compare two recipes of one composer:

    \b
    tirg-bench compare tirg concat
    tirg-bench compare tirg@quick "tirg@quick, training.steps=100"
    tirg-bench compare tirg@quick tirg@6274ce34

    Intervals and p come from a paired t-test over source scenes and seeds. The variance between seeds is pooled over
    all composers of the recipe; p is Holm-corrected over the slices. A model has no seeds: its ranking is fixed.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from benchmark import tasks
    from benchmark.leaderboard.comparison import compare as differences
    from benchmark.leaderboard.files import load_rankings, load_records

    if task := tasks.find(dataset):
        dataset = task.name
    stored, problems = load_records(out / "records")
    sides = Side.of(a), Side.of(b)
    if sides[0] == sides[1]:
        raise UsageError(f"A and B are both {a}: name two composers, or two recipes such as tirg@quick and tirg@paper")
    rankings, further = load_rankings(out / "records")
    problems += further
    runs_a, runs_b = runs_of_sides(stored, rankings, sides, dataset, preset)
    title = Text(_title(runs_a, runs_b, dataset), style="bold")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Queries")
    for heading in ("n", "Difference", "95% interval", "p"):
        table.add_column(heading, justify="right", no_wrap=True)
    pooled = _runs_of_all_composers(stored, runs_a, runs_b)
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
    Console(highlight=False).print(table)
    if note := _note_on_seeds(runs_a, runs_b, pooled):
        click.echo(note)
    for problem in problems:
        click.echo(f"tirg-bench: left out: {problem}", err=True)
    if problems:
        raise click.exceptions.Exit(1)


def _runs_of_all_composers(stored: "list[StoredRecord]", runs_a: "Runs", runs_b: "Runs") -> "list[list[Outcomes]]":
    """Outcomes by composer on the boards of A and of B, over which the variance between seeds is pooled."""
    from benchmark.leaderboard.boards import comparable

    found: dict[tuple[str, str], list[Outcomes]] = {}
    for board in comparable(stored):
        if any(runs[0] in board for runs in (runs_a, runs_b)):
            for run in board:
                found.setdefault((run.record.recipe_hash, run.record.composer.name), []).append(run.outcomes)
    return list(found.values())


def _note_on_seeds(runs_a: "Runs", runs_b: "Runs", pooled: "list[list[Outcomes]]") -> str:
    """Say where the variance between seeds is from, if a composer has one seed; "" otherwise. A model has no seeds."""
    single = [runs[0].record.composer.name for runs in (trained(runs_a), trained(runs_b)) if len(runs) == 1]
    if not single:
        return ""
    freedom = sum(len(runs) - 1 for runs in pooled)
    if not freedom:
        return "No composer has two seeds here: the test ignores how much seeds vary. Run with --seeds 3 to include it."
    several = sum(len(runs) > 1 for runs in pooled)
    return (
        f"{' and '.join(dict.fromkeys(single))}: one seed. The variance between seeds is that of the {several} "
        "composer(s) with more."
    )


def _title(runs_a: "Runs", runs_b: "Runs", dataset: str) -> str:
    """Name both sides, with their recipes unless they are one; then it comes last."""
    from benchmark.leaderboard.boards import label_of
    from benchmark.records.rankings import StoredRanking

    of_composers = trained(runs_a), trained(runs_b)
    is_one_recipe = all(of_composers) and len({runs[0].record.recipe_hash for runs in of_composers}) == 1
    names = []
    for side, runs in zip((runs_a, runs_b), of_composers, strict=True):
        if runs:
            recipe = "" if is_one_recipe else f" with {label_of(runs[0].record)}"
            seeds = ", ".join(str(run.record.seed) for run in runs)
            names.append(f"{runs[0].record.composer.name}{recipe} (seeds {seeds})")
        else:
            names += [f"{run.record.name} (its ranking)" for run in side if isinstance(run, StoredRanking)]
    preset = f", preset {label_of(of_composers[0][0].record)}" if is_one_recipe else ""
    return f"{names[0]} minus {names[1]} on {dataset}{preset}: Recall@1"
