"""Tables of the models that are known by their rankings alone; they stay apart from the composers' boards."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmark.leaderboard.boards import Board
from benchmark.leaderboard.cells import interval, mean, number
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.score_columns import has_exact_answers
from benchmark.leaderboard.scores import Score, scores_of
from benchmark.records.rankings import RankingRecord, StoredRanking
from benchmark.records.store import DatasetCard, Tier
from benchmark.scoring.metrics import WORST, contrast_name
from benchmark.scoring.recall import KS
from benchmark.tasks import Task

PRESET = "any model"
"""What the CSV file says where a composer's row has the name of its recipe."""

Cell = str | int | float | None
Table = TypeVar("Table", Board, "ModelTable")


@dataclass(frozen=True)
class ModelRow:
    """A model; `scores` by slice are those of `boards.Row`."""

    record: RankingRecord
    scores: Mapping[str, Score]


@dataclass(frozen=True)
class ModelTable:
    """The models of one task and one dataset, the best Recall@1 first. They have no ranks and no groups."""

    protocol: str
    dataset: DatasetCard
    rows: tuple[ModelRow, ...]


@dataclass(frozen=True)
class ModelColumn:
    """A column of a table of models.

    Attributes:
        left: whether its cells are words.
        wide: whether a terminal of 80 columns leaves it out.
        sort: what pages sort by; None where it is `text`.
    """

    heading: str
    text: Callable[[ModelRow], str]
    left: bool = False
    wide: bool = False
    sort: Callable[[ModelRow], Cell] | None = None


def model_tables(rankings: Iterable[StoredRanking]) -> tuple[ModelTable, ...]:
    """The tables of these records, by task and dataset. The result does not depend on their order."""
    groups: dict[tuple[str, str], list[ModelRow]] = defaultdict(list)
    for ranking in sorted(rankings, key=lambda ranking: ranking.record.name):
        record = ranking.record
        groups[record.protocol, record.dataset.fingerprint].append(
            ModelRow(record, scores_of({record.name: [ranking]})[record.name])
        )
    return tuple(
        ModelTable(protocol, rows[0].record.dataset, tuple(sorted(rows, key=_best_first)))
        for (protocol, _), rows in sorted(groups.items())
    )


def model_columns(task: Task | None) -> tuple[ModelColumn, ...]:
    """Those of Markdown, terminal and site; None for a task that is not installed here."""
    return (
        ModelColumn("Model", lambda row: row.record.title, left=True),
        _recall(1),
        ModelColumn(
            "95% interval",
            lambda row: interval(row.scores[ALL]),
            sort=lambda row: found.low if (found := row.scores[ALL].interval) else -1,
        ),
        *(_recall(k) for k in KS[1:-1]),
        *(
            (
                _score("mAP@10", "map@10", wide=True),
                _score("Drawn", "drawn_recall@1"),
                _score("Ceiling", "ceiling", wide=True),
            )
            if has_exact_answers(task)
            else (_recall(KS[-1]),)
        ),
        *(_score(heading.capitalize(), contrast_name(heading)) for heading in (task.contrasts if task else ())),
        *((_score(f"Worst of {task.queries_per_target}", WORST),) if task and task.queries_per_target > 1 else ()),
        ModelColumn("Author", lambda row: row.record.author, left=True),
        ModelColumn("Scored from", lambda row: row.record.given, left=True, wide=True),
        ModelColumn("Checked", lambda _: str(Tier.SELF_REPORTED), left=True, wide=True),
    )


MODEL_CSV: Mapping[str, Callable[[ModelRow], Cell]] = {
    "protocol": lambda row: row.record.protocol,
    "preset": lambda _: PRESET,
    "dataset": lambda row: row.record.dataset.fingerprint,
    "gallery": lambda row: row.record.dataset.gallery,
    "composer": lambda row: row.record.name,
    "title": lambda row: row.record.title,
    "url": lambda row: row.record.url,
    "tier": lambda _: str(Tier.SELF_REPORTED),
    "author": lambda row: row.record.author,
    "notes": lambda row: row.record.about,
}
"""What a line of the CSV file says of a model, by the names of the composers' columns; the others stay empty."""


def of_protocol(tables: Sequence[Table], protocol: str) -> list[Table]:
    return [table for table in tables if table.protocol == protocol]


def _best_first(row: ModelRow) -> tuple[float | str, ...]:
    return (*(-row.scores[ALL].mean[k] for k in KS), row.record.name)


def _recall(k: int) -> ModelColumn:
    return ModelColumn(f"R@{k}", lambda row: mean(row.scores[ALL], k))


def _score(heading: str, name: str, *, wide: bool = False) -> ModelColumn:
    return ModelColumn(heading, lambda row: number(row.scores[ALL].scores.get(name)), wide=wide)
