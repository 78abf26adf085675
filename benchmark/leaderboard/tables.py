"""Boards to text: the Markdown page and the CSV file of a protocol, and a table for the terminal."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from benchmark import tasks
from benchmark.leaderboard.boards import ALL, Board, Row, Score
from benchmark.scoring.recall import KS
from benchmark.tasks import SOURCES, Task
from models.registry import get

_WIDEST_WITH_INTERVALS = 4
_NOTHING = "-"


def markdown_page(protocol: str, boards: Sequence[Board]) -> str:
    """The page of a protocol; `boards` are its own, perhaps none."""
    # Markdown is no HTML: what comes from records is escaped by `_plain`.
    environment = Environment(
        loader=PackageLoader("benchmark.leaderboard"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    task = tasks.find(protocol)
    slices = task.slices if task else {}
    papers = {row.composer.name: row for board in boards for row in board.rows}
    return (
        environment.get_template("leaderboard.md.jinja")
        .render(
            title=task.title if task else _plain(protocol),
            anew=task is not None and task.is_rendered,
            of_owners=task is not None and not task.is_rendered,
            published=_published_table(task),
            ks=", ".join(map(str, KS)),
            sections=[
                {
                    "board": board,
                    "preset": _plain(board.preset),
                    "machine": _plain(str(board.origin.machine)),
                    "ranking": _ranking_table(board),
                    "cost": _cost_table(board),
                    "parts": _parts_table(board),
                    "slices": [
                        (slices[name].heading if name in slices else _plain(name), _slice_table(board, name))
                        for name in board.slices
                    ],
                }
                for board in boards
            ],
            composers=[
                (_plain(card.title), _plain(card.paper), card.year, _link(card.url), _plain(row.author))
                for card, row in ((papers[name].composer, papers[name]) for name in sorted(papers))
            ],
            sources=SOURCES,
            later=[
                (_plain(row.method), row.recall[1], row.source)
                for row in (task.later if task else ())
                if 1 in row.recall
            ],
        )
        .rstrip("\n")
        + "\n"
    )


def _ranking_table(board: Board) -> str:
    task = tasks.find(board.protocol)
    published = "Original" if task and task.is_rendered else "Published"
    header = ["#", "Composer", "R@1", "95% interval", "Group", *(f"R@{k}" for k in KS[1:]), "Seeds", published]
    lines = []
    for row in board.rows:
        score = row.scores[ALL]
        known = row.published
        cells = [str(row.rank), _plain(row.composer.title), _mean(score, 1), _interval(score), row.group]
        cells += [*(_mean(score, k) for k in KS[1:]), str(len(row.seeds))]
        lines.append([*cells, f"{known.recall[1]} {known.source}" if known else _NOTHING])
    chance = board.rows[0].scores[ALL].chance
    lines.append(["", "*chance*", _chance(chance[1]), "", "", *(_chance(chance[k]) for k in KS[1:]), "", ""])
    return _table(header, lines, left=(1,))


def _published_table(task: Task | None) -> str:
    """What the TIRG paper reports for a task, best Recall@1 first; empty where it reports nothing."""
    rows = sorted(task.published if task else (), key=lambda row: -row.recall[1])
    header = ["Composer", *(f"R@{k}" for k in KS), "Source"]
    lines = [
        [_plain(get(row.method).info.title), *(str(row.recall.get(k, _NOTHING)) for k in KS), row.source]
        for row in rows
    ]
    return _table(header, lines, left=(0,)) if rows else ""


def _parts_table(board: Board) -> str:
    """Recall of parts of the answer; empty where the task has none."""
    parts = board.rows[0].parts
    header = ["Composer", *(f"{part} R@{k}" for part in parts for k in KS)]
    lines = [
        [_plain(row.composer.title), *(f"{row.parts[part][k]:.1f}" for part in parts for k in KS)] for row in board.rows
    ]
    return _table(header, lines, left=(0,)) if parts else ""


def _cost_table(board: Board) -> str:
    header = ["Composer", "Year", "Parameters", "Composer's own", "Queries/s", "Time", "Checked", "Device", "Note"]
    lines = [
        [
            _plain(row.composer.title),
            str(row.composer.year),
            _millions(row.parameters.total),
            _millions(row.parameters.composer),
            _timed(f"{row.queries_per_second:.0f}", row),
            _timed(duration(row.wall_seconds), row),
            str(row.tier),
            _plain(row.device),
            _plain("; ".join(row.notes)),
        ]
        for row in board.rows
    ]
    return _table(header, lines, left=(0, 6, 7, 8))


def _timed(text: str, row: Row) -> str:
    """A time; in brackets if it does not compare with those of the other rows."""
    return text if row.is_timed_alike else f"({text})"


def _slice_table(board: Board, attribute: str) -> str:
    """Recall@1 by slice; where there are many slices, without intervals."""
    values = board.slices[attribute]
    names = [f"{attribute}={value}" for value in values]
    lines = []
    for row in board.rows:
        scores = [row.scores[name] for name in names]
        cells = [_mean(score, 1, with_deviation=False) for score in scores]
        if len(values) <= _WIDEST_WITH_INTERVALS:
            cells = [f"{cell} {_interval(score)}".strip() for cell, score in zip(cells, scores, strict=True)]
        lines.append([_plain(row.composer.title), *cells])
    first = [board.rows[0].scores[name] for name in names]
    lines.append(["*chance*", *(_chance(score.chance[1]) if score.queries else _NOTHING for score in first)])
    lines.append(["*queries*", *(f"{score.queries:,}" for score in first)])
    return _table(["Composer", *map(_plain, values)], lines, left=(0,))


def csv_table(boards: Sequence[Board]) -> str:
    """A line for every row and slice, numbers to the last digit; empty where there is no number."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    header = [
        "protocol",
        "preset",
        "recipe",
        "dataset",
        "gallery",
        "rank",
        "group",
        "composer",
        "title",
        "paper",
        "year",
        "url",
    ]
    header += ["tier", "author", "seeds", "parameters", "composer_parameters", "queries_per_second", "wall_seconds"]
    header += ["device", "timed_alike", "notes"]
    header += ["published_recall_1", "published_source", "slice", "queries"]
    header += [f"recall_{k}{part}" for k in KS for part in ("", "_deviation", "_low", "_high", "_chance")]
    writer.writerow(header)
    for board in boards:
        for row in board.rows:
            card, known = row.composer, row.published
            about = [
                board.protocol,
                board.preset,
                board.recipe,
                board.dataset.fingerprint,
                board.dataset.gallery,
                row.rank,
                row.group,
            ]
            about += [card.name, card.title, card.paper, card.year, card.url, row.tier, row.author]
            about += [
                " ".join(map(str, row.seeds)),
                row.parameters.total,
                row.parameters.composer,
                row.queries_per_second,
                row.wall_seconds,
                row.device,
                row.is_timed_alike,
                "; ".join(row.notes),
            ]
            about += [known.recall[1], known.source] if known else [None, None]
            for name, score in row.scores.items():
                numbers: list[float | None] = []
                for k in KS:
                    bounds = score.intervals.get(k) or (None, None)
                    numbers += [score.mean.get(k), score.deviation.get(k), *bounds, score.chance.get(k)]
                writer.writerow([*about, name, score.queries, *numbers])
    return sink.getvalue()


def _table(header: Sequence[str], lines: Sequence[Sequence[str]], *, left: Sequence[int]) -> str:
    """A Markdown table whose columns stand under each other; all but the `left` ones are right-aligned."""
    widths = [max(3, *(len(cells[index]) for cells in (header, *lines))) for index in range(len(header))]
    rule = [":" + "-" * (width - 1) if index in left else "-" * (width - 1) + ":" for index, width in enumerate(widths)]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    return "\n".join(map(line, (header, rule, *lines)))


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|~#])", r"\\\1", " ".join(text.split()))


def _link(url: str) -> str:
    """An address that does not end a Markdown link early."""
    return url.replace("(", "%28").replace(")", "%29")


def _mean(score: Score, k: int, *, with_deviation: bool = True) -> str:
    if not score.queries:
        return _NOTHING
    deviation = score.deviation[k] if with_deviation else None
    return f"{score.mean[k]:.1f}" + ("" if deviation is None else f" ± {deviation:.1f}")


def _interval(score: Score) -> str:
    return "" if score.interval is None else f"[{score.interval.low:.1f}, {score.interval.high:.1f}]"


def _chance(percent: float) -> str:
    return f"{percent:.2g}"


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f} M"


def duration(seconds: float) -> str:
    """In hours and minutes, minutes and seconds, or seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def print_table(boards: Sequence[Board], failures: Mapping[str, str] | None = None) -> Group:
    """A table for every board for the terminal, at most 80 columns wide; nothing is printed here.

    Args:
        failures: reason by name of the run, for runs that gave no record; they stand below the tables.
    """
    lost = [Text(f"{name} failed: {reason}", style="red") for name, reason in (failures or {}).items()]
    return Group(*map(_terminal_table, boards), *lost)


def _clock(seconds: float) -> str:
    """As 2:31 or 1:02:31: the whole table has to fit 80 columns."""
    return str(timedelta(seconds=round(seconds))).removeprefix("0:").removeprefix("0")


def _terminal_table(board: Board) -> Table:
    title = Text(f"{board.protocol}, preset {board.preset}", style="bold")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("#", justify="right")
    table.add_column("Composer", min_width=21)
    for heading in ("R@1", "95% interval", *(f"R@{k}" for k in KS[1:]), "n", "Time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in board.rows:
        score = row.scores[ALL]
        cells = [str(row.rank), row.composer.title, _mean(score, 1).replace(" ", ""), _interval(score)]
        cells += [*(_mean(score, k, with_deviation=False) for k in KS[1:]), str(len(row.seeds))]
        table.add_row(*map(Text, [*cells, _timed(_clock(row.wall_seconds), row)]))
    chance = board.rows[0].scores[ALL].chance
    levels = [_chance(chance[1]), "", *(_chance(chance[k]) for k in KS[1:])]
    table.add_row("", *(Text(cell, style="dim") for cell in ("chance", *levels)))
    return table
