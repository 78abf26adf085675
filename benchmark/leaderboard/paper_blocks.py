"""Blocks of a page that set what a paper reports beside what the CSV files of the boards have."""

from collections.abc import Mapping
from pathlib import Path

from benchmark import ablations as registry
from benchmark import tasks
from benchmark.ablations import Setting
from benchmark.leaderboard.cells import NOTHING, difference, number
from benchmark.leaderboard.csv_lines import Line, by_composer, lines_of, runs_of, value_of
from benchmark.leaderboard.markdown import markdown_table
from benchmark.tasks import Task
from models.registry import get

_WHY_NOT = ": only its owners distribute the data"


def composers(leaderboards: Path, task_name: str, preset: str) -> str:
    """For each composer that the task's paper reports, its Recall, ours, and the difference; then a summary."""
    task = tasks.get(task_name)
    board = by_composer(lines_of(leaderboards / f"{task.name}.csv", task, preset))
    ours = {row.method: board[row.method] for row in task.published if row.method in board}
    ks = sorted({k for row in task.published for k in row.recall})
    header = ["Composer", "NAME", "Source"]
    for k in ks:
        header += [f"Paper R@{k}", *(["Ours", "Difference"] if ours else [])]
    cells, differences = [], {}
    for row in sorted(task.published, key=lambda row: -row.recall.get(ks[0], 0)):
        title, line = get(row.method).info.title, ours.get(row.method)
        numbers = []
        for k in ks:
            paper, its = row.recall.get(k), value_of(line, f"drawn_recall_{k}")
            numbers += [number(paper), *([number(its), difference(its, paper)] if ours else [])]
            if k == 1 and paper is not None and its is not None:
                differences[title] = its - paper
        cells.append([title, f"`{row.method}`", row.source, *numbers])
    ends = f"{_ends(differences)}\n" if differences else ""
    about = runs_of(ours.values(), preset) or f"Not measured here{_WHY_NOT if not task.is_rendered else ''}."
    return f"\n{markdown_table(header, cells, left=(0, 1, 2))}\n\n{ends}{about}\n"


def _ends(differences: Mapping[str, float]) -> str:
    least, most = (choose(differences, key=differences.__getitem__) for choose in (min, max))
    ends = (f"{difference(differences[each], 0)} ({each})" for each in (least, most))
    return f"Ours minus the paper's R@1: from {' to '.join(ends)}."


def ablations(leaderboards: Path, composer: str, task_name: str, preset: str) -> str:
    """For each setting, the paper's and our Recall@1, and both differences from the full composer."""
    ablation, task = registry.get(composer), tasks.get(task_name)
    board = lines_of(leaderboards / f"{composer}-ablations.csv", task, preset)
    lines = {line["setting"]: line for line in board if line["seeds"]}
    full = ablation.settings[0]
    cells = []
    for setting in ablation.settings:
        paper, its = _published_and_ours(setting, task, lines)
        of_full = _published_and_ours(full, task, lines)
        relative = [NOTHING] * 2 if setting is full else [difference(paper, of_full[0]), difference(its, of_full[1])]
        cells.append([setting.title, number(paper), relative[0], number(its), relative[1]])
    table = markdown_table(["Setting", "Paper", "from full", "Ours", "from full"], cells, left=(0,))
    about = runs_of(lines.values(), preset)
    return f"\n{table}\n\n{about or ('Not run yet.' if task.is_rendered else f'Not measured here{_WHY_NOT}.')}\n"


def _published_and_ours(setting: Setting, task: Task, lines: Mapping[str, Line]) -> tuple[float | None, float | None]:
    return setting.published.get(task.name), value_of(lines.get(setting.title), "drawn_recall_1")


def drop(leaderboards: Path, first: str, second: str, preset: str) -> str:
    """By how much Recall@1 is lower on the second task than on the first, in the paper and in ours."""
    one, other = tasks.get(first), tasks.get(second)
    board = lines_of(leaderboards / f"{one.name}.csv", one, preset)
    dataset = board[0]["dataset"] if board else ""
    ours = [by_composer(board), by_composer(lines_of(leaderboards / f"{other.name}.csv", other, preset, dataset))]
    cells = []
    for row in sorted(one.published, key=lambda row: -row.recall.get(1, 0)):
        papers = [each.recall.get(1) if each else None for each in (row, other.published_of(row.method))]
        its = [value_of(each.get(row.method), "drawn_recall_1") for each in ours]
        lost = [difference(pair[1], pair[0]) for pair in (papers, its)]
        cells.append([get(row.method).info.title, *map(number, papers), lost[0], *map(number, its), lost[1]])
    names = one.name, other.name
    header = ["Composer", *(f"Paper {name}" for name in names), "Drop", *(f"Ours {name}" for name in names), "Drop"]
    return f"\n{markdown_table(header, cells, left=(0,))}\n"
