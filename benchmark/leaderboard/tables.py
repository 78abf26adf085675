"""Turn boards into text: the Markdown page and the CSV file of a task, and a table for the terminal."""

import csv
import io
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from benchmark import tasks
from benchmark.leaderboard.any_model import MODEL_CSV, ModelTable, model_columns, of_protocol
from benchmark.leaderboard.boards import Board, Row
from benchmark.leaderboard.cells import NOTHING, gap, interval, mean, reached
from benchmark.leaderboard.columns import csv_fields, headings, short_headings, shown_on
from benchmark.leaderboard.csv_columns import BOARD_CSV, slice_csv
from benchmark.leaderboard.fresh import NOTE
from benchmark.leaderboard.levels import MARK, ORACLES, doubts_of, levels_of, note_on
from benchmark.leaderboard.markdown import markdown_table as _table
from benchmark.leaderboard.markdown import markdown_template, plain
from benchmark.leaderboard.optional_parts import notes_on_parts
from benchmark.leaderboard.score_columns import Column, has_exact_answers
from benchmark.leaderboard.scores import has_gaps
from benchmark.scoring.recall import KS
from benchmark.tasks import SOURCES, Published
from models.registry import get, names

_WIDEST_WITH_INTERVALS = 4


def markdown_page(protocol: str, boards: Sequence[Board], models: Sequence[ModelTable] = ()) -> str:
    """The page of a protocol; `boards` and `models` are its own, perhaps none."""
    # What comes from records is escaped by `plain`.
    task = tasks.find(protocol)
    papers = {row.composer.name: row for board in boards for row in board.rows}
    return (
        markdown_template("leaderboard.md.jinja")
        .render(
            title=task.title if task else plain(protocol),
            summary=task.summary if task else "",
            rendered=task is not None and task.is_rendered,
            exact_answers=has_exact_answers(task),
            of_owners=task is not None and not task.is_rendered,
            published=_published_table(task.published if task else (), of_ours=True),
            later=_published_table(task.later if task else (), of_ours=False),
            averaged_over=task.averaged_over if task else None,
            contrasts=[heading.capitalize() for heading in task.contrasts] if task else [],
            has_gaps=any(has_gaps(row.scores) for board in boards for row in board.rows),
            queries_per_target=task.queries_per_target if task else 1,
            sections=[
                {
                    "board": board,
                    "preset": plain(board.preset),
                    "ranking": _ranking_table(board),
                    "doubts": note_on(doubts_of(board), _ks(shown_on("ranking", task))),
                    "differs": _note_on_fresh(board),
                    "parts_used": notes_on_parts(board.rows),
                    "cost": _cost_table(board),
                    "machine": plain(str(board.origin.machine)),
                    "parts": _parts_table(board),
                    "slices": _slice_tables(board),
                }
                for board in boards
            ],
            composers=[
                (plain(card.title), plain(card.paper), card.year, _link(card.url), plain(row.author))
                for card, row in ((papers[name].composer, papers[name]) for name in sorted(papers))
            ],
            levels=(levels := dict.fromkeys(level for board in boards for level, _ in levels_of(board))),
            oracles=levels.keys() & set(ORACLES),
            mark=MARK,
            sources=SOURCES,
            models=[
                {
                    "dataset": table.dataset,
                    "presets": [plain(board.preset) for board in boards if _is_of_data(board, table)],
                    "table": _models_table(table),
                    "notes": [
                        (plain(each.title), _link(each.url), plain(each.author), plain(each.about or ""))
                        for each in (row.record for row in table.rows)
                    ],
                }
                for table in models
            ],
        )
        .rstrip("\n")
        + "\n"
    )


def _is_of_data(board: Board, table: ModelTable) -> bool:
    return board.dataset.fingerprint == table.dataset.fingerprint


def _models_table(table: ModelTable) -> str:
    shown = model_columns(tasks.find(table.protocol))
    lines = [[plain(column.text(row)) if column.left else column.text(row) for column in shown] for row in table.rows]
    left = [place for place, column in enumerate(shown) if column.left]
    return _table([column.heading for column in shown], lines, left=left)


def _ranking_table(board: Board) -> str:
    shown = shown_on("ranking", tasks.find(board.protocol))
    lines = [_cells(shown, row) for row in board.rows]
    for level, score in levels_of(board):
        lines.append([f"*{level.title}*" if column.left else column.level(level, score) for column in shown])
    return _table(headings(shown, doubts_of(board)), lines, left=_left(shown))


def _cost_table(board: Board) -> str:
    shown = shown_on("cost", tasks.find(board.protocol))
    lines = [_cells(shown, row) for row in board.rows]
    return _table([column.heading for column in shown], lines, left=_left(shown))


def _cells(shown: Sequence[Column], row: Row) -> list[str]:
    """Words come from records and are escaped; numbers are made here."""
    return [plain(column.text(row)) if column.left else column.text(row) for column in shown]


def _ks(shown: Sequence[Column]) -> set[int]:
    """The K of their Recall@K."""
    return {column.k for column in shown if column.k}


def _left(shown: Sequence[Column]) -> tuple[int, ...]:
    return tuple(place for place, column in enumerate(shown) if column.left)


def _title(composer: str) -> str:
    """A composer's title, or the name itself if it is not installed here."""
    return get(composer).info.title if composer in names() else composer


def _published_table(published: Sequence[Published], *, of_ours: bool) -> str:
    """What papers report, best first; empty where they report nothing. Our composers are shown by their titles."""
    rows = sorted(published, key=lambda row: [-row.recall.get(k, 0) for k in KS])
    lines = []
    for row in rows:
        title, encoder = (_title(row.method), []) if of_ours else (row.method, [plain(row.encoder)])
        lines.append([plain(title), *encoder, *(str(row.recall.get(k, NOTHING)) for k in KS), row.source])
    header = ["Composer"] if of_ours else ["Method", "Image encoder"]
    table = [*header, *(f"R@{k}" for k in KS), "Source"]
    return _table(table, lines, left=range(len(header))) if rows else ""


def _parts_table(board: Board) -> str:
    """Recall of parts of the answer; empty where the task has none."""
    parts = board.rows[0].parts
    header = ["Composer", *(f"{part} R@{k}" for part in parts for k in KS)]
    lines = [
        [plain(row.composer.title), *(f"{row.parts[part][k]:.1f}" for part in parts for k in KS)] for row in board.rows
    ]
    return _table(header, lines, left=(0,)) if parts else ""


def _slice_tables(board: Board) -> list[tuple[str, str]]:
    """(heading, table) for each attribute on the page: Recall@1, or for the one that is averaged over, every Recall."""
    task = tasks.find(board.protocol)
    found = []
    for name in board.slices:
        about = task.slices.get(name) if task else None
        if about and not about.on_tables:
            continue
        heading = about.heading if about else name
        for k in KS if task and task.averaged_over == name else (1,):
            mark = MARK if k in doubts_of(board) else ""
            found.append((f"R@{k}{mark} by {plain(heading)}", _slice_table(board, name, k)))
        if about and about.seen and any(has_gaps(row.scores, name) for row in board.rows):
            found.append((f"Gap in R@1 to *{plain(about.seen)}*, by {plain(heading)}", _gap_table(board, name)))
    return found


def _gap_table(board: Board, attribute: str) -> str:
    """By how many points Recall@1 is lower on each slice that training never shows, with 95% intervals."""
    names = {value: f"{attribute}={value}" for value in board.slices[attribute]}
    shown = [value for value, name in names.items() if any(row.scores[name].gap for row in board.rows)]
    gaps = [(row, [row.scores[names[value]].gap for value in shown]) for row in board.rows]
    lines = [[plain(row.composer.title), *map(gap, of_row)] for row, of_row in gaps]
    return _table(["Composer", *map(plain, shown)], lines, left=(0,))


def _slice_table(board: Board, attribute: str, k: int) -> str:
    """Recall@K by slice; where there are many slices, without intervals."""
    values = board.slices[attribute]
    names = [f"{attribute}={value}" for value in values]
    lines = []
    for row in board.rows:
        scores = [row.scores[name] for name in names]
        cells = [mean(score, k, with_deviation=False) for score in scores]
        if len(values) <= _WIDEST_WITH_INTERVALS and k == 1:
            cells = [f"{cell} {interval(score)}".strip() for cell, score in zip(cells, scores, strict=True)]
        lines.append([plain(row.composer.title), *cells])
    first = [board.rows[0].scores[name] for name in names]
    of_slices = [dict(levels_of(board, name)) for name in names]
    for level, _ in levels_of(board):
        lines.append([f"*{level.title}*", *(reached(level, scores[level], k) for scores in of_slices)])
    if has_exact_answers(tasks.find(board.protocol)):
        lines.append(["*ceiling of Drawn*", *(f"{score.scores['ceiling']:.1f}" for score in first)])
    lines.append(["*queries*", *(f"{score.queries:,}" for score in first)])
    return _table(["Composer", *map(plain, values)], lines, left=(0,))


def csv_table(protocol: str, boards: Sequence[Board], models: Sequence[ModelTable] = ()) -> str:
    """A line for every row and slice, numbers to the last digit; empty where there is no number. Models come last."""
    task = tasks.find(protocol)
    fields, of_slices = csv_fields(task), slice_csv(task)
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow([*BOARD_CSV, *fields, "slice", *of_slices])
    for board in boards:
        of_board = [value(board) for value in BOARD_CSV.values()]
        for row in board.rows:
            about = [value(row) for value in fields.values()]
            for name, score in row.scores.items():
                writer.writerow([*of_board, *about, name, *(value(score) for value in of_slices.values())])
    for model in (row for table in models for row in table.rows):
        said = [MODEL_CSV[name](model) if name in MODEL_CSV else None for name in (*BOARD_CSV, *fields)]
        for name, score in model.scores.items():
            writer.writerow([*said, name, *(value(score) for value in of_slices.values())])
    return sink.getvalue()


def _link(url: str) -> str:
    """An address that does not end a Markdown link early."""
    return url.replace("(", "%28").replace(")", "%29")


def print_table(
    boards: Sequence[Board], failures: Mapping[str, str] | None = None, models: Sequence[ModelTable] = ()
) -> Group:
    """A table for every board for the terminal, at most 80 columns wide; nothing is printed here. The models of a task
    come below its boards.

    Args:
        failures: reason by name of the run, for runs that gave no record; they are listed below the tables.
    """
    lost = [Text(f"{name} failed: {reason}", style="red") for name, reason in (failures or {}).items()]
    protocols = dict.fromkeys([*(board.protocol for board in boards), *(table.protocol for table in models)])
    tables = [
        table
        for protocol in protocols
        for table in (
            *map(_terminal_table, of_protocol(boards, protocol)),
            *map(_terminal_models, of_protocol(models, protocol)),
        )
    ]
    return Group(*tables, *lost)


def _terminal_models(models: ModelTable) -> Table:
    name = f"{models.protocol}, any model (self-reported), dataset {models.dataset.fingerprint[:8]}"
    title = Text(name, style="bold")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    shown = [column for column in model_columns(tasks.find(models.protocol)) if not column.wide]
    for column in shown:
        table.add_column(column.heading, justify="left" if column.left else "right", no_wrap=not column.left)
    for row in models.rows:
        table.add_row(*(Text(column.text(row)) for column in shown))
    return table


def _terminal_table(board: Board) -> Table:
    title = Text(f"{board.protocol}, preset {board.preset}", style="bold")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    shown, doubts = shown_on("terminal", tasks.find(board.protocol)), doubts_of(board)
    for column, heading in zip(shown, short_headings(shown, doubts), strict=True):
        style = "dim" if column.k in doubts else ""
        if column.left:
            table.add_column(heading, min_width=21)
        else:
            table.add_column(heading, justify="right", no_wrap=True, style=style, header_style=style)
    for row in board.rows:
        table.add_row(*(Text((column.short or column.text)(row)) for column in shown))
    for level, score in levels_of(board):
        table.add_row(*(Text(column.level(level, score), style="dim") for column in shown))
    notes = [note_on(doubts, _ks(shown)), _note_on_fresh(board), *notes_on_parts(board.rows)]
    if notes := [note for note in notes if note]:
        table.caption, table.caption_justify = Text("".join(f"{note}\n" for note in notes), style="dim"), "left"
    return table


def _note_on_fresh(board: Board) -> str:
    """What the mark of a fresh Recall@1 means; empty where no row has it."""
    return NOTE if any(row.is_doubtful for row in board.rows) else ""
