"""The tables of a page such as docs/paper.md: what a paper reports next to what the CSV files of the boards hold.

A page has blocks, each between `<!-- WHAT NAME... -->` and `<!-- end -->`, whose contents are written here:

    <!-- composers css quick -->          the composers of the task's paper, and ours with that preset
    <!-- ablations tirg css quick -->     the settings of an ablation
    <!-- drop css css-2d3d quick -->      how much lower Recall@1 is on the second task
"""

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmark import ablations, tasks
from benchmark.errors import BenchmarkError
from benchmark.leaderboard.cells import NOTHING
from benchmark.leaderboard.markdown import markdown_table
from benchmark.recipe import presets
from benchmark.tasks import Task
from css_gen.storage.atomic import write_atomically
from models.registry import get

_BLOCK = re.compile(r"<!-- (\w+) ([^>\n]*) -->\n(.*?)<!-- end -->", re.DOTALL)

Line = dict[str, str]
"""A line of a CSV file by the names of its columns."""


def update(path: Path, leaderboards: Path) -> None:
    """Write the blocks of a page again.

    Raises:
        BenchmarkError: as `updated`, or the page cannot be read or written.
    """
    try:
        write_atomically(path, updated(path.read_text(encoding="utf-8"), leaderboards).encode())
    except BenchmarkError as error:
        raise BenchmarkError(f"{path}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path}: is not a page that can be read and written ({error})") from None


def updated(page: str, leaderboards: Path) -> str:
    """The page with every block as the files in `leaderboards` have it; what surrounds the blocks stays as it is.

    Raises:
        BenchmarkError: a block has an unknown kind or wrong names, or there is an end without a block.
    """
    if page.count("<!-- end -->") != len(_BLOCK.findall(page)):
        raise BenchmarkError("the page has an <!-- end --> without a block, or a block inside another; see its source")

    def written(match: re.Match[str]) -> str:
        kind, names = match[1], match[2].split()
        if kind not in _KINDS:
            raise BenchmarkError(f"<!-- {kind} {match[2]} -->: unknown kind; there are {', '.join(_KINDS)}")
        count, write = _KINDS[kind]
        if len(names) != count:
            raise BenchmarkError(f"<!-- {kind} {match[2]} -->: expected {count} names, found {len(names)}")
        presets.preset(names[-1])
        return f"<!-- {kind} {match[2]} -->\n{write(leaderboards, *names)}\n<!-- end -->"

    return _BLOCK.sub(written, page)


def _composers(leaderboards: Path, task_name: str, preset: str) -> str:
    """For each composer that the task's paper reports, its Recall, ours, and the difference; then a summary."""
    task = tasks.get(task_name)
    ours = {line["composer"]: line for line in _lines(leaderboards / f"{task.name}.csv", preset) if _is_total(line)}
    ks = sorted({k for row in task.published for k in row.recall})
    header = ["Composer", "NAME", "Source"]
    for k in ks:
        header += [f"Paper R@{k}", *(["Ours", "Difference"] if ours else [])]
    cells, differences = [], {}
    for row in sorted(task.published, key=lambda row: -row.recall.get(ks[0], 0)):
        title, line = get(row.method).info.title, ours.get(row.method)
        numbers = []
        for k in ks:
            paper, its = row.recall.get(k), _value(line, f"drawn_recall_{k}")
            numbers += [_shown(paper), *([_shown(its), _difference(its, paper)] if ours else [])]
            if k == 1 and paper is not None and its is not None:
                differences[title] = its - paper
        cells.append([title, f"`{row.method}`", row.source, *numbers])
    table = markdown_table(header, cells, left=(0, 1, 2))
    return f"\n{table}\n\n{_about(task, ours, differences)}\n"


def _about(task: Task, ours: dict[str, Line], differences: dict[str, float]) -> str:
    if not ours:
        why = "" if task.is_rendered else ": only its owners distribute the data"
        return f"Not measured here{why}."
    line = next(iter(ours.values()))
    run = f"Dataset `{line['dataset'][:8]}`, recipe `{line['recipe']}`, {_seeds(line)}."
    if not differences:
        return run
    least, most = (choose(differences, key=differences.__getitem__) for choose in (min, max))
    ends = (f"{differences[each]:+.1f} ({each})" for each in (least, most))
    return f"Ours minus the paper's R@1: from {' to '.join(ends)}.\n{run}"


def _ablations(leaderboards: Path, composer: str, task_name: str, preset: str) -> str:
    """For each setting, the paper's and our Recall@1, and both differences from the full composer."""
    ablation, task = ablations.get(composer), tasks.get(task_name)
    lines = [line for line in _lines(leaderboards / f"{composer}-ablations.csv", preset) if line["task"] == task.name]
    ours = {line["setting"]: _value(line, "drawn_recall_1") for line in lines}
    full = ablation.settings[0]
    cells = []
    for setting in ablation.settings:
        paper, its = setting.published.get(task.name), ours.get(setting.title)
        of_full = (full.published.get(task.name), ours.get(full.title))
        relative = [NOTHING] * 2 if setting is full else [_difference(paper, of_full[0]), _difference(its, of_full[1])]
        cells.append([setting.title, _shown(paper), relative[0], _shown(its), relative[1]])
    table = markdown_table(["Setting", "Paper", "from full", "Ours", "from full"], cells, left=(0,))
    if not lines:
        about = "Not measured here: only its owners distribute the data." if not task.is_rendered else "Not run yet."
    else:
        about = f"Dataset `{lines[0]['dataset'][:8]}`, recipe `{lines[0]['recipe']}`, {_seeds(lines[0])}."
    return f"\n{table}\n\n{about}\n"


def _drop(leaderboards: Path, first: str, second: str, preset: str) -> str:
    """By how much Recall@1 is lower on the second task than on the first, in the paper and in ours."""
    names = [tasks.get(name).name for name in (first, second)]
    ours = [
        {line["composer"]: line for line in _lines(leaderboards / f"{name}.csv", preset) if _is_total(line)}
        for name in names
    ]
    cells = []
    for row in sorted(tasks.get(first).published, key=lambda row: -row.recall.get(1, 0)):
        other = tasks.get(second).published_of(row.method)
        papers = [each.recall.get(1) if each else None for each in (row, other)]
        its = [_value(board.get(row.method), "drawn_recall_1") for board in ours]
        lost = [_difference(pair[1], pair[0]) for pair in (papers, its)]
        cells.append([get(row.method).info.title, *map(_shown, papers), lost[0], *map(_shown, its), lost[1]])
    header = ["Composer", *(f"Paper {name}" for name in names), "Drop", *(f"Ours {name}" for name in names), "Drop"]
    return f"\n{markdown_table(header, cells, left=(0,))}\n"


_KINDS: dict[str, tuple[int, Callable[..., str]]] = {
    "composers": (2, _composers),
    "ablations": (3, _ablations),
    "drop": (3, _drop),
}
"""By kind of block: how many names it has, the preset last, and what writes it."""


def _lines(path: Path, preset: str) -> list[Line]:
    """The lines of a CSV file with that preset, of the first dataset that it holds; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if line["preset"] == preset]
    return [line for line in lines if line["dataset"] == lines[0]["dataset"]]


def _is_total(line: Line) -> bool:
    return line["slice"] == "all"


def _value(line: Line | None, name: str) -> float | None:
    return float(line[name]) if line and line.get(name) else None


def _shown(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}"


def _difference(value: float | None, other: float | None) -> str:
    return NOTHING if value is None or other is None else f"{value - other:+.1f}"


def _seeds(line: Line) -> str:
    seeds: Sequence[str] = line["seeds"].split()
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"mean of seeds {', '.join(seeds)}"
