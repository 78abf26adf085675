"""Levels to read Recall@K by: what is reached without the source, without the text, or without either."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from benchmark import tasks
from benchmark.leaderboard.boards import Board
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.scores import Score
from benchmark.scoring.recall import KS
from benchmark.tasks import Task

MARK = "†"
"""Follows the heading of a column that says little about composing."""


@dataclass(frozen=True)
class Level:
    """A row below the composers, computed and not trained.

    Attributes:
        score: the name of its metrics, before "@K".
        title: as tables show it.
        lacks: the modality that it does without.
        meaning: the rest of the sentence that begins with its title.
    """

    score: str
    title: str
    lacks: str
    meaning: str

    def at(self, score: Score, k: int) -> float | None:
        """Return Recall@K in percent; None where it is not known."""
        return score.scores.get(f"{self.score}@{k}")


CHANCE = Level("chance", "chance", "source and text", "is what a random order of the gallery gets.")
ORACLES = (
    Level(
        "source_oracle",
        "source oracle",
        "the text",
        "ignores the text: for each source it knows the relevant images of all test queries, and ranks those first "
        "that are relevant to most of them.",
    ),
    Level(
        "text_oracle",
        "text oracle",
        "the source",
        "ignores the source: it ranks in random order the images that the text can make of any source.",
    ),
)
"""Searchers that miss one modality, as `scoring.levels` describes them."""

_SHORTCUT = "shortcut"


def shortcut(task: Task) -> Level | None:
    """Return the level of the shortcut that a track is built against; None where the task is of no track."""
    if not task.shortcut:
        return None
    return Level(
        _SHORTCUT,
        task.shortcut,
        "the part that the track tests",
        "lacks the part that this track tests: it ranks in random order the images that it takes for right.",
    )


class Doubt(NamedTuple):
    """An oracle above half of the best composer, and the Recall@K of both in percent."""

    oracle: Level
    value: float
    best: float


def levels_of(board: Board, part: str = ALL) -> tuple[tuple[Level, Score], ...]:
    """Return the levels that are known on a slice, in the order of the tables, each with a score that holds it."""
    scores = [row.scores[part] for row in board.rows]
    task = tasks.find(board.protocol)
    of_track = shortcut(task) if task else None
    levels = (CHANCE, *ORACLES, *([of_track] if of_track else []))
    first = ((level, next((s for s in scores if level.at(s, KS[0]) is not None), None)) for level in levels)
    return tuple((level, score) for level, score in first if score)


def doubts_of(board: Board) -> Mapping[int, Doubt]:
    """Return the K at which an oracle that misses one modality is above half of the best composer, over all queries.

    Recall@K says little about composing there. Every table asks this function which columns it prints in grey or marks.
    Tasks without exact answers have none: images do not tell which of many labels the test queries ask for, so the
    source oracle is far above what a model without the text can reach.
    """
    task = tasks.find(board.protocol)
    if task is None or not task.has_exact_answers:
        return {}
    known = [(level, score) for level, score in levels_of(board) if level in ORACLES]
    found: dict[int, Doubt] = {}
    for k in KS:
        best = max(row.scores[ALL].mean[k] for row in board.rows)
        reached = [Doubt(level, value, best) for level, score in known if (value := level.at(score, k)) is not None]
        if reached and (highest := max(reached, key=lambda doubt: doubt.value)).value > best / 2:
            found[k] = highest
    return found


def note_on(doubts: Mapping[int, Doubt], shown: Collection[int]) -> str:
    """Return the line below a table that shows these K; empty where none of them is in doubt."""
    sentences = []
    for oracle in ORACLES:
        of_oracle = {k: doubt for k, doubt in doubts.items() if doubt.oracle == oracle and k in shown}
        if of_oracle:
            reached = _listed([f"{doubt.value:.1f} in R@{k}" for k, doubt in of_oracle.items()])
            best = _listed([f"{doubt.best:.1f}" for doubt in of_oracle.values()])
            sentences.append(
                f"without {oracle.lacks}, the {oracle.title} reaches {reached}, more than half of the best composer's "
                f"{best}"
            )
    return f"{MARK} says little about composing: {'; '.join(sentences)}." if sentences else ""


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
