"""tirg-bench compare: two composers, or two recipes, on the same queries."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from benchmark.cli.options import LEADERBOARDS
from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from benchmark.records.store import StoredRecord
    from benchmark.scoring.recall import Outcomes

_FEWEST_DIGITS = 4


class Side(NamedTuple):
    """A composer, and the label or first digits of the recipe that was asked for; "" for any."""

    composer: str
    recipe: str

    @classmethod
    def of(cls, argument: str) -> "Side":
        composer, _, recipe = argument.partition("@")
        return cls(composer.strip(), " ".join(recipe.split()))


@click.command()
@click.argument("a", metavar="A[@RECIPE]")
@click.argument("b", metavar="B[@RECIPE]")
@click.option("--dataset", default="css", show_default=True, metavar="NAME", help="The task to compare on.")
@click.option("--preset", metavar="NAME", help="The recipe of both.  [default: the one with most steps that both have]")
@LEADERBOARDS
def compare(a: str, b: str, dataset: str, preset: str | None, out: Path) -> None:
    """Test whether A and B differ in Recall@1, overall and by slice.

    A and B are composers, trained with the same recipe. With @RECIPE each names its own, as the tables call it or by
    the first digits of its hash, so that two recipes of one composer can be compared:

    \b
    tirg-bench compare tirg concat
    tirg-bench compare tirg@quick "tirg@quick, training.steps=100"
    tirg-bench compare tirg@quick tirg@6274ce34

    Intervals and p are of a paired t-test over source scenes and seeds. How much seeds vary is pooled over all
    composers of the recipe; over the slices, p is Holm-corrected.
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
    stored, problems = load_records(out / "records")
    sides = Side.of(a), Side.of(b)
    if sides[0] == sides[1]:
        raise UsageError(f"A and B are both {a}: name two composers, or two recipes such as tirg@quick and tirg@paper")
    runs_a, runs_b = _runs(stored, sides, dataset, preset)
    table = Table(
        title=Text(_title(runs_a, runs_b, dataset), style="bold"), title_justify="left", box=box.SIMPLE_HEAD,
        pad_edge=False,
    )  # fmt: skip
    table.add_column("Queries")
    for heading in ("n", "Difference", "95% interval", "p"):
        table.add_column(heading, justify="right", no_wrap=True)
    pooled = _runs_of_all_composers(stored, runs_a, runs_b)
    found = differences([run.outcomes for run in runs_a], [run.outcomes for run in runs_b], board=pooled)
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


def _runs_of_all_composers(
    stored: "list[StoredRecord]", runs_a: "list[StoredRecord]", runs_b: "list[StoredRecord]"
) -> "list[list[Outcomes]]":
    """Outcomes by composer on the boards of A and of B, over which the variance between seeds is pooled."""
    from benchmark.leaderboard.boards import comparable

    found: dict[tuple[str, str], list[Outcomes]] = {}
    for board in comparable(stored):
        if any(runs[0] in board for runs in (runs_a, runs_b)):
            for run in board:
                found.setdefault((run.record.recipe_hash, run.record.composer.name), []).append(run.outcomes)
    return list(found.values())


def _note_on_seeds(runs_a: "list[StoredRecord]", runs_b: "list[StoredRecord]", pooled: "list[list[Outcomes]]") -> str:
    """Say where the variance between seeds is from, if a side has one seed; "" if both have more."""
    single = [runs[0].record.composer.name for runs in (runs_a, runs_b) if len(runs) == 1]
    if not single:
        return ""
    freedom = sum(len(runs) - 1 for runs in pooled)
    if not freedom:
        return (
            "No composer has two seeds here: this compares two runs, and other seeds may differ otherwise (--seeds 3)."
        )
    several = sum(len(runs) > 1 for runs in pooled)
    return (
        f"{' and '.join(dict.fromkeys(single))}: one seed. How much seeds vary is taken from the {several} composer(s) "
        "that have more."
    )


def _title(runs_a: "list[StoredRecord]", runs_b: "list[StoredRecord]", dataset: str) -> str:
    from benchmark.leaderboard.boards import label_of

    labels = [label_of(runs[0].record) for runs in (runs_a, runs_b)]
    is_same = runs_a[0].record.recipe_hash == runs_b[0].record.recipe_hash
    names = [
        f"{runs[0].record.composer.name}{'' if is_same else f' with {label}'} "
        f"(seeds {', '.join(str(run.record.seed) for run in runs)})"
        for runs, label in zip((runs_a, runs_b), labels, strict=True)
    ]
    return f"{names[0]} minus {names[1]} on {dataset}{f', preset {labels[0]}' if is_same else ''}: Recall@1"


def _runs(
    stored: "list[StoredRecord]", sides: tuple[Side, Side], dataset: str, preset: str | None
) -> "tuple[list[StoredRecord], list[StoredRecord]]":
    """The runs of both sides: on the first board that has both, or, if recipes are named, on the same queries.

    Raises:
        UsageError: a name is unknown among the records.
        BenchmarkError: there are no records, or the two have none on the same recipe or the same queries.
    """
    from benchmark.leaderboard.boards import comparable, label_of
    from benchmark.recipe.spelling import unknown

    if not stored:
        raise BenchmarkError("there are no sound records; `tirg-bench run` makes them")
    boards = [board for board in comparable(stored) if board[0].record.protocol == dataset]
    if not boards:
        raise UsageError(unknown("dataset", dataset, {run.record.protocol for run in stored}))
    names = {run.record.composer.name for board in boards for run in board}
    for side in sides:
        if side.composer not in names:
            raise UsageError(unknown("composer", side.composer, names))
    labels = {label_of(board[0].record) for board in boards}
    if preset is not None and preset not in labels:
        raise UsageError(unknown("preset", preset, labels))
    candidates = [
        [(board, runs) for board in _boards_of(boards, side.recipe or preset or "") if (runs := _of(board, side))]
        for side in sides
    ]
    for side, found in zip(sides, candidates, strict=True):
        if side.recipe and not _boards_of(boards, side.recipe):
            raise UsageError(f"{unknown('recipe', side.recipe, labels)}; or give the first digits of its hash")
        if side.recipe and not found:
            raise BenchmarkError(f"{side.composer} has no records with recipe {side.recipe} on {dataset}; run it")
    has_recipes = any(side.recipe for side in sides)
    for board_a, of_a in candidates[0]:
        for board_b, of_b in candidates[1]:
            same_data = board_a[0].record.dataset.fingerprint == board_b[0].record.dataset.fingerprint
            if board_a is board_b or (has_recipes and same_data and of_a is not of_b):
                return of_a, of_b
    asked = f" with preset {preset}" if preset else ""
    both = f"{sides[0].composer} and {sides[1].composer}"
    what = "data" if has_recipes else "recipe and data"
    raise BenchmarkError(f"{both} have no records of the same {what} on {dataset}{asked}; run both")


def _boards_of(boards: "list[list[StoredRecord]]", recipe: str) -> "list[list[StoredRecord]]":
    """The boards whose recipe has that label, or a hash that begins so; all of them for ""."""
    from benchmark.leaderboard.boards import label_of

    is_hash = len(recipe) >= _FEWEST_DIGITS and set(recipe) <= set("0123456789abcdef")
    return [
        board for board in boards
        if not recipe or label_of(board[0].record) == recipe
        or (is_hash and board[0].record.recipe_hash.startswith(recipe))
    ]  # fmt: skip


def _of(board: "list[StoredRecord]", side: Side) -> "list[StoredRecord]":
    return [run for run in board if run.record.composer.name == side.composer]
