"""What a composer's page shows of one board: its row, and what its runs say beyond the numbers of the table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from benchmark.leaderboard.boards import Board, Row
from benchmark.leaderboard.site.errors_counted import ErrorKind, count_errors
from benchmark.leaderboard.site.gallery import Shelf, shelves
from benchmark.leaderboard.site.plots import Plot, curves
from benchmark.leaderboard.site.rendered import Rendered
from benchmark.leaderboard.site.thumbnails import Thumbnails
from benchmark.records.store import StoredRecord


@dataclass(frozen=True)
class Section:
    """A composer on a board.

    Attributes:
        runs: those of the row, by seed.
        recipe: the configuration's parts, flat: "training.steps" and its value.
        missing: why there are neither errors nor shelves; empty where there are.
        errors: wrong answers of all runs by kind; None where the dataset cannot be rendered.
        answers: how many answers all runs gave, right or wrong.
        shelves: pictures from the run with seed `shelves_seed`; empty where no record has examples.
    """

    board: Board
    row: Row
    runs: tuple[StoredRecord, ...]
    recipe: tuple[tuple[str, str], ...]
    plots: tuple[Plot, ...]
    missing: str
    errors: Mapping[ErrorKind, int] | None
    answers: int
    shelves: tuple[Shelf, ...]
    shelves_seed: int | None


def section(
    place: int,
    board: Board,
    row: Row,
    runs: Sequence[StoredRecord],
    rendered: Rendered | str,
    thumbnails: Thumbnails,
) -> Section:
    """The section of a row.

    Args:
        place: of the section on its page.
        runs: the row's.
        rendered: the board's dataset, or why it cannot be shown.
    """
    there = rendered if isinstance(rendered, Rendered) else None
    with_examples = next((run for run in runs if run.record.examples), None)
    return Section(
        board=board,
        row=row,
        runs=tuple(runs),
        recipe=tuple(_flat(runs[0].record.configuration)),
        plots=curves([(run.record.seed, run.record.curve) for run in runs], name=f"plot{place}-"),
        missing="" if isinstance(rendered, Rendered) else rendered,
        errors=count_errors(there.scenes, there.queries, [run.outcomes for run in runs]) if there else None,
        answers=sum(len(run.outcomes) for run in runs),
        shelves=shelves(with_examples, there, thumbnails) if with_examples and there else (),
        shelves_seed=with_examples.record.seed if with_examples else None,
    )


def _flat(values: Mapping[str, JsonValue], prefix: str = "") -> list[tuple[str, str]]:
    """Nested values as dotted keys, in their own order."""
    flat: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            flat += _flat(value, f"{name}.")
        else:
            flat.append(
                (name, f"{value:g}" if isinstance(value, float) else "-" if value in ("", None) else str(value))
            )
    return flat
