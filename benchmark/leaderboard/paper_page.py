"""The tables of a page such as docs/paper.md: what a paper reports next to what the CSV files of the boards hold.

A page has blocks, each between `<!-- WHAT NAME... -->` and `<!-- end -->`, whose contents are written here:

    <!-- composers css quick -->          the composers of the task's paper, and ours with that preset
    <!-- ablations tirg css quick -->     the settings of an ablation
    <!-- drop css css-2d3d quick -->      how much lower Recall@1 is on the second task
    <!-- tracks css quick -->             the task and every track: Recall@1 of each composer, and the levels beside it
    <!-- strengths css quick -->          the slices on which a composer ranks better, or worse, than on all queries

Ours are the runs of the preset or, where there are none, of the preset with pretrained weights; all runs of a block are
on one dataset with one recipe.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from scipy import stats

from benchmark import ablations, tasks
from benchmark.ablations import Setting
from benchmark.errors import BenchmarkError
from benchmark.leaderboard.cells import NOTHING, difference, number
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.markdown import markdown_table
from benchmark.recipe import presets
from benchmark.runs.recipes import label_on, recipe_on
from benchmark.tasks import Task
from css_gen.storage.atomic import write_atomically
from css_gen.storage.configuration import LEADERBOARD_FINGERPRINT
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
    board = _by_composer(_board(leaderboards / f"{task.name}.csv", task, preset))
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
            paper, its = row.recall.get(k), _value(line, f"drawn_recall_{k}")
            numbers += [number(paper), *([number(its), difference(its, paper)] if ours else [])]
            if k == 1 and paper is not None and its is not None:
                differences[title] = its - paper
        cells.append([title, f"`{row.method}`", row.source, *numbers])
    ends = f"{_ends(differences)}\n" if differences else ""
    about = _runs(ours.values(), preset) or f"Not measured here{_WHY_NOT if not task.is_rendered else ''}."
    return f"\n{markdown_table(header, cells, left=(0, 1, 2))}\n\n{ends}{about}\n"


def _ends(differences: Mapping[str, float]) -> str:
    least, most = (choose(differences, key=differences.__getitem__) for choose in (min, max))
    ends = (f"{difference(differences[each], 0)} ({each})" for each in (least, most))
    return f"Ours minus the paper's R@1: from {' to '.join(ends)}."


def _ablations(leaderboards: Path, composer: str, task_name: str, preset: str) -> str:
    """For each setting, the paper's and our Recall@1, and both differences from the full composer."""
    ablation, task = ablations.get(composer), tasks.get(task_name)
    board = _board(leaderboards / f"{composer}-ablations.csv", task, preset)
    lines = {line["setting"]: line for line in board if line["seeds"]}
    full = ablation.settings[0]
    cells = []
    for setting in ablation.settings:
        paper, its = _published_and_ours(setting, task, lines)
        of_full = _published_and_ours(full, task, lines)
        relative = [NOTHING] * 2 if setting is full else [difference(paper, of_full[0]), difference(its, of_full[1])]
        cells.append([setting.title, number(paper), relative[0], number(its), relative[1]])
    table = markdown_table(["Setting", "Paper", "from full", "Ours", "from full"], cells, left=(0,))
    about = _runs(lines.values(), preset)
    return f"\n{table}\n\n{about or ('Not run yet.' if task.is_rendered else f'Not measured here{_WHY_NOT}.')}\n"


def _published_and_ours(setting: Setting, task: Task, lines: Mapping[str, Line]) -> tuple[float | None, float | None]:
    return setting.published.get(task.name), _value(lines.get(setting.title), "drawn_recall_1")


def _drop(leaderboards: Path, first: str, second: str, preset: str) -> str:
    """By how much Recall@1 is lower on the second task than on the first, in the paper and in ours."""
    one, other = tasks.get(first), tasks.get(second)
    board = _board(leaderboards / f"{one.name}.csv", one, preset)
    dataset = board[0]["dataset"] if board else ""
    ours = [_by_composer(board), _by_composer(_board(leaderboards / f"{other.name}.csv", other, preset, dataset))]
    cells = []
    for row in sorted(one.published, key=lambda row: -row.recall.get(1, 0)):
        papers = [each.recall.get(1) if each else None for each in (row, other.published_of(row.method))]
        its = [_value(each.get(row.method), "drawn_recall_1") for each in ours]
        lost = [difference(pair[1], pair[0]) for pair in (papers, its)]
        cells.append([get(row.method).info.title, *map(number, papers), lost[0], *map(number, its), lost[1]])
    names = one.name, other.name
    header = ["Composer", *(f"Paper {name}" for name in names), "Drop", *(f"Ours {name}" for name in names), "Drop"]
    return f"\n{markdown_table(header, cells, left=(0,))}\n"


def _tracks(leaderboards: Path, task_name: str, preset: str) -> str:
    """Recall@1 of each composer on a task and on all tracks that have rows, and how alike the orders are."""
    first = tasks.get(task_name)
    shown = [first, *(task for task in map(tasks.get, tasks.names()) if task.track)]
    boards = {task.name: _by_composer(_board(leaderboards / f"{task.name}.csv", task, preset)) for task in shown}
    ours = boards[first.name]
    if not ours:
        return "\nNot run yet.\n"
    boards = {name: board for name, board in boards.items() if board}
    best = sorted(ours, key=lambda name: -float(ours[name]["recall_1"]))
    cells = [
        [get(name).info.title, *(number(_value(board.get(name), "recall_1")) for board in boards.values())]
        for name in best
    ]
    for level in ("source_oracle", "shortcut"):
        lines = (next(iter(board.values())) for board in boards.values())
        cells.append([f"*{level.replace('_', ' ')}*", *(number(_value(line, f"recall_1_{level}")) for line in lines)])
    cells.append([f"*Kendall's tau with {first.name}*", *(_alike(ours, board) for board in boards.values())])
    by_seeds: dict[str, list[str]] = defaultdict(list)
    for name, board in boards.items():
        by_seeds[_seeds(board.values())].append(name)
    about = "; ".join(f"{', '.join(names)}: {seeds}" for seeds, names in by_seeds.items())
    return f"\n{markdown_table(['Composer', *boards], cells, left=(0,))}\n\n{about}.\n"


_CLEAR = 3
"""Places between a composer's rank on a slice and its rank on all queries from which it is named."""


def _strengths(leaderboards: Path, task_name: str, preset: str) -> str:
    """For each composer its Recall@1, its rank, and the slices on which its rank is clearly better or worse."""
    task = tasks.get(task_name)
    lines = _board(leaderboards / f"{task.name}.csv", task, preset)
    names = [ALL, *(f"{each}={value}" for each, its in task.slices.items() if its.on_tables for value in its.values)]
    ranks = {name: rank for name in names if (rank := _ranks(lines, name))}
    cells = []
    for line in sorted(_by_composer(lines).values(), key=lambda line: -float(line["recall_1"])):
        own = ranks[ALL][line["composer"]]
        gains = {name: own - its[line["composer"]] for name, its in ranks.items()}
        better, worse = ([name for name in gains if sign * gains[name] >= _CLEAR] for sign in (1, -1))
        said = (
            ", ".join(f"{name.replace('=', ' ')} ({ranks[name][line['composer']]})" for name in each)
            for each in (better, worse)
        )
        cells.append([line["title"], number(float(line["recall_1"])), str(own), *said])
    header = ["Composer", "R@1", "Rank", "Ranks better on", "Ranks worse on"]
    return f"\n{markdown_table(header, cells, left=(0, 3, 4))}\n\n{_runs(lines, preset) or 'Not run yet.'}\n"


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


_KINDS: dict[str, tuple[int, Callable[..., str]]] = {
    "composers": (2, _composers),
    "ablations": (3, _ablations),
    "drop": (3, _drop),
    "tracks": (2, _tracks),
    "strengths": (2, _strengths),
}
"""By kind of block: how many names it has, the preset last, and what writes it."""

_WHY_NOT = ": only its owners distribute the data"


def _board(path: Path, task: Task, preset: str, dataset: str = "") -> list[Line]:
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


def _is_of(label: str, preset: str, task: Task) -> bool:
    """Whether a recipe is the preset, or the preset with what `--pretrained` changes on the task and nothing else."""
    start, _, end = label_on(task.name, recipe_on(task.name, preset, pretrained="*")).partition("*")
    weights = label.removeprefix(start).removesuffix(end)
    return label == preset or (label == f"{start}{weights}{end}" and ", " not in weights)


def _by_composer(board: list[Line]) -> dict[str, Line]:
    """The lines of all queries together."""
    return {line["composer"]: line for line in board if line["slice"] == ALL}


def _value(line: Line | None, name: str) -> float | None:
    return float(line[name]) if line and line.get(name) else None


def _runs(lines: Collection[Line], preset: str) -> str:
    """Say which runs the lines of a board are of; empty where there are none."""
    if not lines:
        return ""
    line = next(iter(lines))
    weights = "" if line["preset"] == preset else f"preset `{line['preset']}`, "
    return f"Dataset `{line['dataset'][:8]}`, {weights}recipe `{line['recipe']}`, {_seeds(lines)}."


def _seeds(lines: Collection[Line]) -> str:
    seeds = sorted({int(seed) for line in lines for seed in line["seeds"].split()})
    names = ", ".join(map(str, seeds))
    fewer = " (some rows have fewer)" if len({line["seeds"] for line in lines}) > 1 else ""
    return f"seed {names}" if len(seeds) == 1 else f"mean of seeds {names}{fewer}"
