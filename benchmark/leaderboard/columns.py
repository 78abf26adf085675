"""The columns of every table: Markdown, CSV, terminal and pages show what is listed here, in this order.

To add a column, add it to `columns`. `BOARD_CSV` and `SLICE_CSV` hold what only the CSV file says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from benchmark.leaderboard.boards import Board, Row
from benchmark.leaderboard.cells import NOTHING, clock, duration, interval, macro_recall, mean, millions, reached, timed
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.fresh import MARK as MARK_FRESH
from benchmark.leaderboard.levels import MARK, ORACLES, Doubt, Level
from benchmark.leaderboard.optional_parts import title_of
from benchmark.leaderboard.scores import Score
from benchmark.scoring.recall import KS, MAP_KS
from benchmark.tasks import Task

Place = Literal["ranking", "cost", "terminal", "site"]
Cell = str | int | float | None


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a board.

    Attributes:
        heading: as it is shown.
        on: the tables that show it: "ranking" and "cost" are those of the Markdown page.
        text: the cell of a row.
        short: the cell on a terminal, which has 80 columns; None where it is `text`.
        level: the cell of a computed level, such as chance; see `levels`.
        k: what K its Recall@K is of, if it is one.
        left: whether cells are words, aligned to the left.
        kind: how pages show it: "number", "text", "composer" for a link to its page, or "wide" for a drawn interval.
        hint: what pages say when the heading is pointed at.
        sort: what pages sort by; None where it is `text`.
        csv: values by the names of columns in the CSV file.
    """

    heading: str
    on: tuple[Place, ...] = ()
    text: Callable[[Row], str] = lambda _: ""
    short: Callable[[Row], str] | None = None
    level: Callable[[Level, Score], str] = lambda *_: ""
    k: int | None = None
    left: bool = False
    kind: Literal["number", "text", "composer", "wide"] = "number"
    hint: str = ""
    sort: Callable[[Row], Cell] | None = None
    csv: Mapping[str, Callable[[Row], Cell]] = field(default_factory=dict)


def has_exact_answers(task: Task | None) -> bool:
    """`Task.has_exact_answers`; a task that is not installed here has none."""
    return task is not None and task.has_exact_answers


def columns(task: Task | None) -> tuple[Column, ...]:
    """Those of a task's boards; None for a task that is not installed here."""
    is_rendered = task is not None and task.is_rendered
    is_exact = has_exact_answers(task)
    return (
        Column(
            heading="#",
            on=("ranking", "terminal", "site"),
            text=lambda row: str(row.rank),
            sort=lambda row: row.rank,
            csv={"rank": lambda row: row.rank, "group": lambda row: row.group},
        ),
        Column(
            heading="Composer",
            on=("ranking", "cost", "terminal", "site"),
            text=title_of,
            level=lambda level, _: level.title,
            left=True,
            kind="composer",
            csv={
                "composer": lambda row: row.composer.name,
                "title": lambda row: row.composer.title,
                "paper": lambda row: row.composer.paper,
            },
        ),
        _recall(1),
        *((_FRESH,) if is_rendered else ()),
        Column(
            heading="95% interval",
            on=("ranking", "terminal", "site"),
            text=lambda row: interval(row.scores[ALL]),
            kind="wide",
            hint="by its lower end",
            sort=lambda row: found.low if (found := row.scores[ALL].interval) else -1,
        ),
        Column(heading="Group", on=("ranking", "site"), text=lambda row: row.group or NOTHING, kind="text"),
        *(_recall(k, everywhere=k < KS[-1] or not is_exact) for k in KS[1:]),
        *(_of_exact_answers() if is_exact else ()),
        *(_macro(task.averaged_over, k) for k in KS if task is not None and task.averaged_over),
        Column(
            heading="Seeds",
            on=("ranking", "site"),
            text=lambda row: str(len(row.seeds)),
            sort=lambda row: len(row.seeds),
            csv={"seeds": lambda row: " ".join(map(str, row.seeds))},
        ),
        Column(heading="n", on=("terminal",), text=lambda row: str(len(row.seeds))),
        Column(
            heading="Original" if is_rendered else "Published",
            on=("ranking",),
            text=lambda row: (
                f"{row.published.recall[1]} {row.published.source}"
                if row.published and 1 in row.published.recall
                else NOTHING
            ),
            csv={
                "published_recall_1": lambda row: row.published.recall.get(1) if row.published else None,
                "published_source": lambda row: row.published.source if row.published else None,
            },
        ),
        Column(
            heading="Year",
            on=("cost", "site"),
            text=lambda row: str(row.composer.year),
            sort=lambda row: row.composer.year,
            csv={"year": lambda row: row.composer.year, "url": lambda row: row.composer.url},
        ),
        Column(
            heading="Parameters",
            on=("cost", "site"),
            text=lambda row: millions(row.parameters.total),
            sort=lambda row: row.parameters.total,
            csv={"parameters": lambda row: row.parameters.total},
        ),
        Column(
            heading="Composer's own",
            on=("cost",),
            text=lambda row: millions(row.parameters.composer),
            csv={"composer_parameters": lambda row: row.parameters.composer},
        ),
        Column(
            heading="Queries/s",
            on=("cost",),
            text=lambda row: timed(f"{row.queries_per_second:.0f}", row),
            csv={"queries_per_second": lambda row: row.queries_per_second},
        ),
        Column(
            heading="Time",
            on=("cost", "terminal", "site"),
            text=lambda row: timed(duration(row.wall_seconds), row),
            short=lambda row: timed(clock(row.wall_seconds), row),
            sort=lambda row: row.wall_seconds,
            csv={"wall_seconds": lambda row: row.wall_seconds},
        ),
        Column(
            heading="Checked",
            on=("cost", "site"),
            text=lambda row: str(row.tier),
            left=True,
            kind="text",
            csv={"tier": lambda row: str(row.tier), "author": lambda row: row.author},
        ),
        Column(
            heading="Device",
            on=("cost",),
            text=lambda row: row.device,
            left=True,
            csv={"device": lambda row: row.device},
        ),
        Column(
            heading="Note",
            on=("cost",),
            text=lambda row: "; ".join(row.notes),
            left=True,
            csv={
                "timed_alike": lambda row: row.is_timed_alike,
                "notes": lambda row: "; ".join(row.notes),
            },
        ),
    )


_FRESH = Column(
    heading="Fresh",
    on=("ranking", "terminal", "site"),
    text=lambda row: f"{row.fresh.recall[1]:.1f}{MARK_FRESH if row.fresh.differs else ''}" if row.fresh else NOTHING,
    hint="R@1 on a test set that was rendered when the model was scored",
    sort=lambda row: row.fresh.recall[1] if row.fresh else -1,
    csv={
        "fresh_recall_1": lambda row: row.fresh.recall[1] if row.fresh else None,
        "fresh_differs": lambda row: row.fresh.differs if row.fresh else None,
    },
)


def shown_on(place: Place, task: Task | None) -> tuple[Column, ...]:
    """The columns of one kind of table."""
    return tuple(column for column in columns(task) if place in column.on)


def headings(shown: Sequence[Column], doubts: Mapping[int, Doubt]) -> list[str]:
    """The headings of a board's table, marked where Recall@K says little about composing."""
    return [f"{column.heading}{MARK}" if column.k in doubts else column.heading for column in shown]


def csv_fields(task: Task | None) -> dict[str, Callable[[Row], Cell]]:
    """What every line of the CSV file says of its row, by the names of columns."""
    return {name: value for column in columns(task) for name, value in column.csv.items()}


def _recall(k: int, *, everywhere: bool = True) -> Column:
    """Recall@K: `everywhere`, or on the site alone."""
    return Column(
        heading=f"R@{k}",
        on=("ranking", "terminal", "site") if everywhere else ("site",),
        text=lambda row: mean(row.scores[ALL], k, with_deviation=k == 1),
        short=lambda row: mean(row.scores[ALL], k, with_deviation=k == 1).replace(" ", ""),
        level=lambda level, score: reached(level, score, k),
        k=k,
        sort=lambda row: row.scores[ALL].mean[k],
    )


def _of_exact_answers() -> tuple[Column, ...]:
    """What is known where the scenes are: how well all relevant images are found, and the paper's Recall."""
    return (
        *(
            _score(f"mAP@{k}", f"map@{k}", "over all relevant images", on=("ranking", "site") if k == 10 else ("site",))
            for k in MAP_KS
        ),
        _score(
            "Drawn",
            "drawn_recall@1",
            "R@1 as the paper has it: of all relevant scenes the one that was drawn counts",
            on=("ranking", "site"),
        ),
        _score(
            "Ceiling",
            "ceiling",
            "the most that Drawn can be: a model that knows all relevant scenes, but not which was drawn",
            on=("ranking", "site"),
        ),
    )


def _score(heading: str, name: str, hint: str, *, on: tuple[Place, ...]) -> Column:
    return Column(
        heading=heading,
        on=on,
        text=lambda row: f"{row.scores[ALL].scores[name]:.1f}",
        hint=hint,
        sort=lambda row: row.scores[ALL].scores[name],
    )


def _macro(attribute: str, k: int) -> Column:
    return Column(
        heading=f"Mean R@{k}",
        on=("ranking", "site"),
        text=lambda row: NOTHING if (value := macro_recall(row, attribute, k)) is None else f"{value:.1f}",
        k=k,
        sort=lambda row: macro_recall(row, attribute, k),
        csv={f"mean_recall_{k}": lambda row: macro_recall(row, attribute, k)},
    )


def _of_slice(k: int) -> dict[str, Callable[[Score], Cell]]:
    return {
        f"recall_{k}": lambda score: score.mean.get(k),
        f"recall_{k}_deviation": lambda score: score.deviation.get(k),
        f"recall_{k}_low": lambda score: score.intervals[k].low if k in score.intervals else None,
        f"recall_{k}_high": lambda score: score.intervals[k].high if k in score.intervals else None,
        f"recall_{k}_chance": lambda score: score.chance.get(k),
        **{f"recall_{k}_{oracle.score}": _named(f"{oracle.score}@{k}") for oracle in ORACLES},
        f"drawn_recall_{k}": _named(f"drawn_recall@{k}"),
    }


def _named(score: str) -> Callable[[Score], Cell]:
    return lambda found: found.scores.get(score)


BOARD_CSV: Mapping[str, Callable[[Board], Cell]] = {
    "protocol": lambda board: board.protocol,
    "preset": lambda board: board.preset,
    "recipe": lambda board: board.recipe,
    "dataset": lambda board: board.dataset.fingerprint,
    "gallery": lambda board: board.dataset.gallery,
}
"""What every line of the CSV file says of its board, by the names of columns."""

SLICE_CSV: Mapping[str, Callable[[Score], Cell]] = {
    "queries": lambda score: score.queries,
    **{name: value for k in KS for name, value in _of_slice(k).items()},
    **{f"map_{k}": _named(f"map@{k}") for k in MAP_KS},
    "ceiling": _named("ceiling"),
}
"""What a line of the CSV file says of its slice, by the names of columns."""
