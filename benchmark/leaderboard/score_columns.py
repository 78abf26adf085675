"""The columns of scores: Recall, what is known where answers are exact, contrasts of tracks, groups of queries."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from benchmark.leaderboard.boards import Row
from benchmark.leaderboard.cells import NOTHING, macro_recall, mean, number, reached
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.levels import CHANCE, Level
from benchmark.leaderboard.scores import Score
from benchmark.scoring.metrics import SPREAD, WORST, contrast_chance_name, contrast_name
from benchmark.scoring.recall import KS, MAP_KS
from benchmark.tasks import Task

Place = Literal["ranking", "cost", "terminal", "site"]
Cell = str | int | float | None

EVERYWHERE: tuple[Place, ...] = ("ranking", "terminal", "site")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a board.

    Attributes:
        heading: as it is shown.
        short_heading: on a terminal; "" where it is the same.
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
    short_heading: str = ""
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


def places_of_recall(k: int, task: Task | None) -> tuple[Place, ...]:
    """K = 50 says little where answers are exact; and a terminal has room for the columns of a track, or for these."""
    if k == KS[-1] and has_exact_answers(task):
        return ("site",)
    return ("ranking", "site") if task and task.track else EVERYWHERE


def recall(k: int, *, on: tuple[Place, ...] = EVERYWHERE) -> Column:
    return Column(
        heading=f"R@{k}",
        on=on,
        text=lambda row: mean(row.scores[ALL], k, with_deviation=k == 1),
        short=lambda row: mean(row.scores[ALL], k, with_deviation=k == 1).replace(" ", ""),
        level=lambda level, score: reached(level, score, k),
        k=k,
        sort=lambda row: row.scores[ALL].mean[k],
    )


def of_exact_answers() -> tuple[Column, ...]:
    """What is known where the scenes are: how well all relevant images are found, and the paper's Recall."""
    return (
        *(
            score_column(
                f"mAP@{k}", f"map@{k}", "over all relevant images", on=("ranking", "site") if k == 10 else ("site",)
            )
            for k in MAP_KS
        ),
        score_column(
            "Drawn",
            "drawn_recall@1",
            "R@1 as the paper has it: of all relevant scenes the one that was drawn counts",
            on=("ranking", "site"),
        ),
        score_column(
            "Ceiling",
            "ceiling",
            "the most that Drawn can be: a model that knows all relevant scenes, but not which was drawn",
            on=("ranking", "site"),
        ),
    )


def score_column(heading: str, name: str, hint: str, *, on: tuple[Place, ...]) -> Column:
    return Column(
        heading=heading,
        on=on,
        text=lambda row: number(row.scores[ALL].scores.get(name)),
        hint=hint,
        sort=lambda row: row.scores[ALL].scores.get(name, -1.0),
    )


def contrast(heading: str) -> Column:
    """The share of queries for which a contrast holds, and its chance."""
    chance = contrast_chance_name(heading)
    shown = score_column(
        heading.capitalize(),
        contrast_name(heading),
        "the share of queries, in percent, whose target is ranked above all wrong answers of this kind",
        on=EVERYWHERE,
    )
    return replace(
        shown,
        short_heading=shown.heading.replace(" accuracy", "\nacc."),
        level=lambda level, score: number(score.scores.get(chance)) if level == CHANCE else "",
    )


def of_groups(size: int) -> tuple[Column, ...]:
    """Of queries that share a target: whether all are answered, and whether some are and some are not."""
    about = {
        f"Worst of {size}": (WORST, f"R@1 where a target counts if all {size} texts for it are answered"),
        "Spread": (SPREAD, f"the share of targets, in percent, for which some of {size} texts are answered, not all"),
    }
    return tuple(score_column(heading, name, hint, on=EVERYWHERE) for heading, (name, hint) in about.items())


def macro(attribute: str, k: int) -> Column:
    return Column(
        heading=f"Mean R@{k}",
        on=("ranking", "site"),
        text=lambda row: NOTHING if (value := macro_recall(row, attribute, k)) is None else f"{value:.1f}",
        k=k,
        sort=lambda row: macro_recall(row, attribute, k),
        csv={f"mean_recall_{k}": lambda row: macro_recall(row, attribute, k)},
    )
