"""The columns of every table: Markdown, CSV, terminal and pages show what is listed here, in this order.

To add a column, add it to `columns`. What only the CSV file says is in `csv_columns`.
"""

from collections.abc import Callable, Mapping, Sequence

from benchmark.leaderboard.boards import Row
from benchmark.leaderboard.cells import (
    NOTHING,
    clock,
    duration,
    interval,
    millions,
    timed,
)
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.fresh import MARK as MARK_FRESH
from benchmark.leaderboard.levels import MARK, Doubt
from benchmark.leaderboard.optional_parts import title_of
from benchmark.leaderboard.score_columns import (
    EVERYWHERE,
    Cell,
    Column,
    Place,
    contrast,
    has_exact_answers,
    macro,
    of_exact_answers,
    of_groups,
    places_of_recall,
    recall,
)
from benchmark.scoring.recall import KS
from benchmark.tasks import Task


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
        recall(1),
        *((_FRESH,) if is_rendered else ()),
        Column(
            heading="95% interval",
            on=("ranking", "site") if task and task.track else EVERYWHERE,
            text=lambda row: interval(row.scores[ALL]),
            kind="wide",
            hint="by its lower end",
            sort=lambda row: found.low if (found := row.scores[ALL].interval) else -1,
        ),
        Column(heading="Group", on=("ranking", "site"), text=lambda row: row.group or NOTHING, kind="text"),
        *(contrast(heading) for heading in (task.contrasts if task else ())),
        *(of_groups(task.queries_per_target) if task and task.queries_per_target > 1 else ()),
        *(recall(k, on=places_of_recall(k, task)) for k in KS[1:]),
        *(of_exact_answers() if is_exact else ()),
        *(macro(task.averaged_over, k) for k in KS if task is not None and task.averaged_over),
        Column(
            heading="Seeds",
            on=("ranking", "site"),
            text=lambda row: str(len(row.seeds)),
            sort=lambda row: len(row.seeds),
            csv={"seeds": lambda row: " ".join(map(str, row.seeds))},
        ),
        Column(heading="n", on=("terminal",), text=lambda row: str(len(row.seeds))),
        *_published(task),
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


def _published(task: Task | None) -> tuple[Column, ...]:
    """What papers report; none for a rendered task that no paper has."""
    is_rendered = task is not None and task.is_rendered
    if task is not None and is_rendered and not task.published:
        return ()
    column = Column(
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
    )
    return (column,)


def shown_on(place: Place, task: Task | None) -> tuple[Column, ...]:
    """The columns of one kind of table."""
    return tuple(column for column in columns(task) if place in column.on)


def headings(shown: Sequence[Column], doubts: Mapping[int, Doubt]) -> list[str]:
    """The headings of a board's table, marked where Recall@K says little about composing."""
    return [_marked(column.heading, column, doubts) for column in shown]


def short_headings(shown: Sequence[Column], doubts: Mapping[int, Doubt]) -> list[str]:
    """The same for a terminal."""
    return [_marked(column.short_heading or column.heading, column, doubts) for column in shown]


def _marked(heading: str, column: Column, doubts: Mapping[int, Doubt]) -> str:
    return f"{heading}{MARK}" if column.k in doubts else heading


def csv_fields(task: Task | None) -> dict[str, Callable[[Row], Cell]]:
    """What every line of the CSV file says of its row, by the names of columns."""
    return {name: value for column in columns(task) for name, value in column.csv.items()}
