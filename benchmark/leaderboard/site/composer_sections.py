"""What a composer's page shows of one board: its row, and what its runs say beyond the numbers of the table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from benchmark.explanation.rendered import Rendered
from benchmark.explanation.summary import Tally, tally
from benchmark.explanation.track_kinds import Kind
from benchmark.leaderboard.boards import Board, Row
from benchmark.leaderboard.site.gallery import Shelf, Shown, examples_of_kinds, shelves
from benchmark.leaderboard.site.plots import Plot, curves
from benchmark.leaderboard.site.thumbnails import Thumbnails
from benchmark.recipe.label import written
from benchmark.recipe.schema import Recipe
from benchmark.records.store import StoredRecord


@dataclass(frozen=True)
class Section:
    """A composer on a board.

    Attributes:
        runs: those of the row, by seed.
        recipe: its keys and values.
        missing: why there are neither tallies nor shelves; empty where there are.
        tallies: the first images of all runs by kind; empty where the dataset cannot be rendered.
        examples: some of each kind, from the first run; the drawn target's are among the shelves.
        shelves: pictures from the run with seed `shelves_seed`; empty where no record has examples.
    """

    board: Board
    row: Row
    runs: tuple[StoredRecord, ...]
    recipe: tuple[tuple[str, str], ...]
    plots: tuple[Plot, ...]
    missing: str
    tallies: tuple[Tally, ...]
    examples: Mapping[Kind, tuple[Shown, ...]]
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
    missing = "" if isinstance(rendered, Rendered) else rendered
    kinds: list[tuple[Kind, ...]] = []
    if there:
        try:
            kinds = [there.answer_kinds(run.outcomes) for run in runs]
        except ValueError as error:
            there, missing = None, f"A record does not fit its dataset ({error}), so there are no pictures."
    with_examples = next((run for run in runs if run.record.examples), None)
    return Section(
        board=board,
        row=row,
        runs=tuple(runs),
        recipe=_recipe(runs[0].record.configuration),
        plots=curves([(run.record.seed, run.record.curve) for run in runs], name=f"plot{place}-"),
        missing=missing,
        tallies=tally(there.queries, kinds, kinds=there.kinds) if there else (),
        examples=examples_of_kinds(kinds[0], runs[0], there, thumbnails) if there else {},
        shelves=shelves(with_examples, there, thumbnails) if with_examples and there else (),
        shelves_seed=with_examples.record.seed if with_examples else None,
    )


def _recipe(configuration: dict[str, JsonValue]) -> tuple[tuple[str, str], ...]:
    """Every key that has an effect, as `--set` takes it; of a recipe of another version, what the record holds."""
    try:
        recipe = Recipe.from_content(configuration)
    except ValueError:
        return tuple((key, written(value)) for key, value in configuration.items())
    keys = [key for key in recipe.keys() if not recipe.is_inert(key)]  # noqa: SIM118  not a dict
    return tuple((key, written(recipe.value(key)) or "-") for key in keys)
