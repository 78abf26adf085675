"""What only the CSV files of boards say: the columns of a board, and those of a slice."""

from collections.abc import Callable, Mapping

from benchmark.leaderboard.boards import Board
from benchmark.leaderboard.levels import ORACLES
from benchmark.leaderboard.score_columns import Cell
from benchmark.leaderboard.scores import Score
from benchmark.scoring.metrics import SPREAD, WORST, contrast_chance_name, contrast_name
from benchmark.scoring.recall import KS, MAP_KS
from benchmark.tasks import Task


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


def slice_csv(task: Task | None) -> dict[str, Callable[[Score], Cell]]:
    """Return `SLICE_CSV` and the columns that tasks of tracks alone have."""
    found = dict(SLICE_CSV)
    for heading in task.contrasts if task else ():
        name = heading.replace(" ", "_")
        found |= {name: _named(contrast_name(heading)), f"{name}_chance": _named(contrast_chance_name(heading))}
    if task and task.shortcut:
        found |= {f"recall_{k}_shortcut": _named(f"shortcut@{k}") for k in KS}
    if task and task.queries_per_target > 1:
        found |= {f"worst_of_{task.queries_per_target}": _named(WORST), "spread": _named(SPREAD)}
    return found
