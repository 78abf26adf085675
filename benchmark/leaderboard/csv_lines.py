"""What the CSV file of a board says: its lines with one preset, and what they are of."""

import csv
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from benchmark.leaderboard.comparison import ALL
from benchmark.runs.recipes import label_on, recipe_on
from benchmark.tasks import Task
from css_gen.storage.configuration import LEADERBOARD_FINGERPRINT

Line = dict[str, str]
"""A line of a CSV file by the names of its columns."""


def lines_of(path: Path, task: Task, preset: str, dataset: str = "") -> list[Line]:
    """The lines of a CSV file on the task with the preset, all on one dataset with one recipe; none without a file.

    The data of the published leaderboards comes first, then the preset without pretrained weights.

    Args:
        dataset: the fingerprint of the only one that counts; "" for any.
    """
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if line.get("task", task.name) == task.name]
    labels = {label for label in {line["preset"] for line in lines} if _is_of(label, preset, task)}
    boards: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line["preset"] in labels and dataset in ("", line["dataset"]):
            boards[line["dataset"], line["recipe"]].append(line)

    def place(board: list[Line]) -> tuple[bool, bool]:
        return board[0]["dataset"] != LEADERBOARD_FINGERPRINT, board[0]["preset"] != preset

    return min(boards.values(), key=place, default=[])


def by_composer(board: list[Line]) -> dict[str, Line]:
    """The lines of all queries together."""
    return {line["composer"]: line for line in board if line["slice"] == ALL}


def value_of(line: Line | None, name: str) -> float | None:
    """The number in a column; None where there is no line, or nothing in the column."""
    return float(line[name]) if line and line.get(name) else None


def runs_of(lines: Collection[Line], preset: str) -> str:
    """Say which runs the lines of a board are of; empty where there are none."""
    if not lines:
        return ""
    line = next(iter(lines))
    weights = "" if line["preset"] == preset else f"preset `{line['preset']}`, "
    return f"Dataset `{line['dataset'][:8]}`, {weights}recipe `{line['recipe']}`, {seeds_of(lines)}."


def seeds_of(lines: Collection[Line]) -> str:
    """Say which seeds the lines are means of, such as "mean of seeds 0, 1, 2"."""
    seeds = sorted({int(seed) for line in lines for seed in line["seeds"].split()})
    names = ", ".join(map(str, seeds))
    fewer = " (some rows have fewer)" if len({line["seeds"] for line in lines}) > 1 else ""
    return f"seed {names}" if len(seeds) == 1 else f"mean of seeds {names}{fewer}"


def _is_of(label: str, preset: str, task: Task) -> bool:
    """Whether a recipe is the preset, or the preset with what `--pretrained` changes on the task and nothing else."""
    start, _, end = label_on(task.name, recipe_on(task.name, preset, pretrained="*")).partition("*")
    weights = label.removeprefix(start).removesuffix(end)
    return label == preset or (label == f"{start}{weights}{end}" and ", " not in weights)
