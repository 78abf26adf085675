"""Blocks of a page that say what the CSV files of the boards have: over tracks, and over the slices of a task."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from scipy import stats

from benchmark import tasks
from benchmark.errors import BenchmarkError
from benchmark.leaderboard.cells import NOTHING, number
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.csv_lines import Line, by_composer, lines_of, runs_of, seeds_of, value_of
from benchmark.leaderboard.markdown import markdown_table
from models.registry import get


def tracks(leaderboards: Path, task_name: str, preset: str) -> str:
    """Recall@1 of each composer on a task and on all tracks that have rows, and how alike the orders are."""
    first = tasks.get(task_name)
    shown = [first, *(task for task in map(tasks.get, tasks.names()) if task.track)]
    boards = {task.name: by_composer(lines_of(leaderboards / f"{task.name}.csv", task, preset)) for task in shown}
    ours = boards[first.name]
    if not ours:
        return "\nNot run yet.\n"
    boards = {name: board for name, board in boards.items() if board}
    best = sorted(ours, key=lambda name: -float(ours[name]["recall_1"]))
    cells = [
        [get(name).info.title, *(number(value_of(board.get(name), "recall_1")) for board in boards.values())]
        for name in best
    ]
    for level in ("source_oracle", "shortcut"):
        lines = (next(iter(board.values())) for board in boards.values())
        cells.append([f"*{level.replace('_', ' ')}*", *(number(value_of(line, f"recall_1_{level}")) for line in lines)])
    cells.append([f"*Kendall's tau with {first.name}*", *(_alike(ours, board) for board in boards.values())])
    by_seeds: dict[str, list[str]] = defaultdict(list)
    for name, board in boards.items():
        by_seeds[seeds_of(board.values())].append(name)
    about = "; ".join(f"{', '.join(names)}: {seeds}" for seeds, names in by_seeds.items())
    return f"\n{markdown_table(['Composer', *boards], cells, left=(0,))}\n\n{about}.\n"


def slices(leaderboards: Path, task_name: str, *names: str) -> str:
    """For each composer its Recall@1 on all queries, and on those of each value of some attributes.

    Args:
        names: attributes of the task's slices, then the preset.

    Raises:
        BenchmarkError: the task has no slices by one of them.
    """
    task, (*attributes, preset) = tasks.get(task_name), names
    if unknown := [each for each in attributes if each not in task.slices]:
        raise BenchmarkError(f"{task.name} has no slices by {unknown[0]!r}; there are {', '.join(task.slices)}")
    lines = lines_of(leaderboards / f"{task.name}.csv", task, preset)
    recalls = {(line["composer"], line["slice"]): value_of(line, "recall_1") for line in lines}
    found = dict.fromkeys(line["slice"] for line in lines)
    shown = [ALL, *(name for each in attributes for name in found if name.startswith(f"{each}="))]
    cells = [
        [line["title"], *(number(recalls.get((line["composer"], name))) for name in shown)]
        for line in _best_first(lines)
    ]
    header = ["Composer", "R@1", *(name.replace("=", ": ") for name in shown[1:])]
    return f"\n{markdown_table(header, cells, left=(0,))}\n\n{runs_of(lines, preset) or 'Not run yet.'}\n"


_CLEAR = 3
"""Places between a composer's rank on a slice and its rank on all queries from which it is named."""


def strengths(leaderboards: Path, task_name: str, preset: str) -> str:
    """For each composer its Recall@1, its rank, and the slices on which its rank is clearly better or worse."""
    task = tasks.get(task_name)
    lines = lines_of(leaderboards / f"{task.name}.csv", task, preset)
    names = [ALL, *(f"{each}={value}" for each, its in task.slices.items() if its.on_tables for value in its.values)]
    ranks = {name: rank for name in names if (rank := _ranks(lines, name))}
    cells = []
    for line in _best_first(lines):
        own = ranks[ALL][line["composer"]]
        gains = {name: own - its[line["composer"]] for name, its in ranks.items()}
        better, worse = ([name for name in gains if sign * gains[name] >= _CLEAR] for sign in (1, -1))
        said = (
            ", ".join(f"{name.replace('=', ' ')} ({ranks[name][line['composer']]})" for name in each)
            for each in (better, worse)
        )
        cells.append([line["title"], number(float(line["recall_1"])), str(own), *said])
    header = ["Composer", "R@1", "Rank", "Ranks better on", "Ranks worse on"]
    return f"\n{markdown_table(header, cells, left=(0, 3, 4))}\n\n{runs_of(lines, preset) or 'Not run yet.'}\n"


def _best_first(lines: list[Line]) -> list[Line]:
    """The lines of all queries together, by falling Recall@1."""
    return sorted(by_composer(lines).values(), key=lambda line: -float(line["recall_1"]))


def _ranks(lines: Sequence[Line], name: str) -> dict[str, int]:
    """The ranks of all composers by Recall@1 on a slice, from 1; those of equal Recall share one."""
    found = {line["composer"]: float(line["recall_1"]) for line in lines if line["slice"] == name}
    return {composer: 1 + sum(other > recall for other in found.values()) for composer, recall in found.items()}


def _alike(one: Mapping[str, Line], other: Mapping[str, Line]) -> str:
    """Kendall's tau of the Recall@1 of the composers that both boards have."""
    both = [name for name in one if name in other]
    if len(both) < 3 or one is other:
        return NOTHING
    ours, theirs = ([float(board[name]["recall_1"]) for name in both] for board in (one, other))
    return f"{stats.kendalltau(ours, theirs).statistic:.2f}"
