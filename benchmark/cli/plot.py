"""tirg-bench plot: figures of the boards, for papers."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from benchmark.cli.options import FOLDER
from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmark.leaderboard.boards import Board, Row
    from benchmark.records.store import StoredRecord

KINDS = ("recall", "curves", "cost", "slices")
COSTS = ("time", "parameters")
FORMATS = ("svg", "png", "pdf")


@click.command()
@click.option(
    "--dataset", "datasets", multiple=True, metavar="NAME",
    help="A task whose boards to draw; may be given several times.  [default: all that have rows]",
)  # fmt: skip
@click.option("--preset", metavar="NAME", help="The recipe, as the tables call it.  [default: every one]")
@click.option(
    "--composer", "composers", multiple=True, metavar="NAME",
    help="A composer to draw; may be given several times.  [default: all but image_only and text_only]",
)  # fmt: skip
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="What to draw.  [default: all]")
@click.option(
    "--slice", "attributes", multiple=True, metavar="ATTRIBUTE",
    help="Draw slices by this attribute of queries, such as selection.  [default: every one]",
)  # fmt: skip
@click.option(
    "--cost", "costs", multiple=True, type=click.Choice(COSTS), help="Draw R@1 against this cost.  [default: both]"
)
@click.option(
    "--format", "formats", multiple=True, type=click.Choice(FORMATS), default=("svg", "png"), show_default=True,
    help="The format of files; may be given several times.",
)  # fmt: skip
@click.option(
    "--width", type=click.FloatRange(2.5, 20), default=6.9, show_default=True, metavar="INCHES",
    help="The width: 3.3 is one column of most papers, 6.9 are two.",
)  # fmt: skip
@click.option("--out", type=FOLDER, default=Path("plots"), show_default=True, help="The folder to write to.")
@click.option(
    "--leaderboards", "root", type=FOLDER, default=Path("leaderboards"), show_default=True,
    help="The folder of records and tables.",
)  # fmt: skip
def plot(root: Path, out: Path, formats: tuple[str, ...], **asked: Any) -> None:
    """Draw figures for a paper from the records: R@1 by composer, curves, R@1 against cost, and slices.

    \b
    recall   R@1 of each composer with its 95% interval
    curves   loss and validation R@1 by step, for every seed
    cost     R@1 against the time of a run, and against the composer's parameters
    slices   R@1 on the queries of each value of an attribute, a panel for each
    """
    from benchmark.leaderboard.figures import content_of
    from benchmark.leaderboard.files import load_records
    from css_gen.storage.atomic import write_atomically

    wanted = Wanted(**asked)
    if wanted.attributes and wanted.kinds and "slices" not in wanted.kinds:
        raise UsageError("--slice selects among slices: add --kind slices")
    if wanted.costs and wanted.kinds and "cost" not in wanted.kinds:
        raise UsageError("--cost selects among figures of cost: add --kind cost")
    stored, problems = load_records(root / "records")
    written = 0
    for name, runs, board in _boards(stored, wanted, root):
        rows = _rows(board, wanted.composers)
        for kind, figure in _figures(runs, board, rows, wanted):
            for ending in formats:
                path = out / f"{name}-{kind}.{ending}"
                content = content_of(figure, ending)  # type: ignore[arg-type]  # click has checked it
                try:
                    out.mkdir(parents=True, exist_ok=True)
                    write_atomically(path, content)
                except OSError as error:
                    raise BenchmarkError(f"{path} cannot be written ({error.strerror}); choose --out") from None
                written += 1
        absent = [row.composer.name for row in board.rows if row not in rows] if not wanted.composers else []
        without = f", without {' and '.join(absent)}" if absent else ""
        click.echo(f"{board.protocol}, preset {board.preset}: {len(rows)} composer{'s' * (len(rows) != 1)}{without}")
    if not written:
        raise BenchmarkError(f"{root / 'records'}: no run of these has a curve; draw another --kind")
    click.echo(f"{written} files are in {out}")
    for problem in problems:
        click.echo(f"tirg-bench: left out: {problem}", err=True)
    if problems:
        raise click.exceptions.Exit(1)


class Wanted(NamedTuple):
    """What was asked for; an empty one is everything."""

    datasets: tuple[str, ...]
    preset: str | None
    composers: tuple[str, ...]
    kinds: tuple[str, ...]
    attributes: tuple[str, ...]
    costs: tuple[str, ...]
    width: float


def _boards(
    stored: "Sequence[StoredRecord]", wanted: Wanted, root: Path
) -> "list[tuple[str, list[StoredRecord], Board]]":
    """Return the boards that were asked for: the start of their files' names, runs and rows.

    Raises:
        UsageError: a task, a preset, a composer or an attribute is on none of them.
        BenchmarkError: there are no records, or none of a task that was asked for.
    """
    from benchmark import tasks
    from benchmark.leaderboard.boards import build, comparable, label_of

    if not stored:
        raise BenchmarkError(f"{root / 'records'}: no board has a row yet; `tirg-bench run` makes records")
    named = _named(comparable(stored))
    asked = [task.name if (task := tasks.find(name)) else name for name in wanted.datasets]
    with_rows = {runs[0].record.protocol for runs in named.values()}
    _require("dataset", asked, with_rows | set(tasks.names()))
    if without := [name for name in asked if name not in with_rows]:
        raise BenchmarkError(f"{without[0]} has no rows in {root}; `tirg-bench run --dataset {without[0]}` makes some")
    named = {name: runs for name, runs in named.items() if not asked or runs[0].record.protocol in asked}
    _require("preset", [wanted.preset] if wanted.preset else [], {label_of(runs[0].record) for runs in named.values()})
    named = {name: runs for name, runs in named.items() if wanted.preset in (None, label_of(runs[0].record))}
    _require("composer", wanted.composers, {run.record.composer.name for runs in named.values() for run in runs})
    boards = [(name, runs, build(runs)[0]) for name, runs in named.items()]
    boards = [each for each in boards if _rows(each[2], wanted.composers)]
    _require("slice", wanted.attributes, {attribute for *_, board in boards for attribute in board.slices})
    return boards


def _require(kind: str, asked: Sequence[str], known: Collection[str]) -> None:
    from models.parts import unknown

    for name in asked:
        if name not in known:
            raise UsageError(unknown(kind, name, known))


def _named(boards: "Sequence[list[StoredRecord]]") -> "dict[str, list[StoredRecord]]":
    """Boards by TASK-PRESET, with the hashes of recipe and dataset where several have that name."""
    from benchmark.leaderboard.boards import label_of
    from benchmark.recipe.label import slug

    records = [runs[0].record for runs in boards]
    names = [f"{record.protocol}-{slug(label_of(record))}" for record in records]
    hashes = [f"-{record.recipe_hash[:8]}-{record.dataset.fingerprint[:8]}" for record in records]
    return {
        name + (digits if names.count(name) > 1 else ""): runs
        for name, digits, runs in zip(names, hashes, boards, strict=True)
    }


def _rows(board: "Board", composers: Collection[str]) -> "list[Row]":
    """The rows of these composers; without any, all that see both inputs, or all."""
    from benchmark.leaderboard.figures import ONE_INPUT

    if composers:
        return [row for row in board.rows if row.composer.name in composers]
    return [row for row in board.rows if row.composer.name not in ONE_INPUT] or list(board.rows)


def _figures(
    runs: "Sequence[StoredRecord]", board: "Board", rows: "Sequence[Row]", wanted: Wanted
) -> "Iterator[tuple[str, Figure]]":
    """Draw each figure of a board when it is asked for, with the end of its file's name."""
    from benchmark.leaderboard.figure_curves import QUANTITIES, draw_curves
    from benchmark.leaderboard.figures import draw_cost, draw_recall, draw_slices

    kinds, width = wanted.kinds or KINDS, wanted.width
    if "recall" in kinds:
        yield "recall", draw_recall(rows, width=width)
    if "curves" in kinds:
        order = {row.composer.name: place for place, row in enumerate(rows)}
        records = [run.record for run in runs if run.record.composer.name in order]
        records.sort(key=lambda record: (order[record.composer.name], record.seed))
        for quantity in QUANTITIES:
            if figure := draw_curves(records, quantity=quantity, width=width):
                yield f"curves-{quantity}", figure
    if "cost" in kinds:
        for cost in wanted.costs or COSTS:
            yield f"cost-{cost}", draw_cost(rows, cost=cost, width=width)  # type: ignore[arg-type]
    if "slices" in kinds:
        for attribute, values in board.slices.items():
            if attribute in (wanted.attributes or board.slices):
                panels = {f"{attribute}={value}": value for value in values}
                yield f"slices-{attribute}", draw_slices(rows, panels, about=f" by {attribute}", width=width)
