"""The tables of ablations: for each composer that has some a Markdown page and a CSV file, from records alone."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from benchmark import ablations
from benchmark.ablations import Ablation
from benchmark.leaderboard.ablation_sections import Line, Section, drawn, sections
from benchmark.leaderboard.cells import NOTHING, difference, interval, mean, number
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.markdown import markdown_table, markdown_template
from benchmark.records.store import StoredRecord
from benchmark.tasks import SOURCES

INTERVAL = "95% interval"
HEADER = ("Setting", "Drawn", "from full", "Paper", "from full", "R@1", INTERVAL, "Seeds")


def ablation_tables(on_boards: Sequence[StoredRecord], own: Sequence[StoredRecord]) -> dict[str, str]:
    """The text of each table by the name of its file; only ablations that have a record of their own have tables.

    Args:
        on_boards: the records of the leaderboards, which the settings share with them are read from.
        own: the records in the folder of ablations.
    """
    texts: dict[str, str] = {}
    for name in ablations.names():
        ablation = ablations.get(name)
        if found := sections(ablation, on_boards, own):
            texts[f"{name}-ablations.md"] = _page(ablation, found)
            texts[f"{name}-ablations.csv"] = _csv(ablation, found)
    return texts


def _page(ablation: Ablation, found: Sequence[Section]) -> str:
    template = markdown_template("ablations.md.jinja")
    text = template.render(ablation=ablation, sections=found, table=_table, source=SOURCES[ablation.source])
    return text.rstrip("\n") + "\n"


def _table(section: Section) -> str:
    has_notes = any(line.notes for line in section.lines)
    cells = [[*row, *(["; ".join(line.notes)] if has_notes else [])] for row, line in _rows(section)]
    header = [*HEADER, *(["Note"] if has_notes else [])]
    return markdown_table(header, cells, left=(0, len(HEADER)))


def terminal_table(section: Section) -> Table:
    """A section for the terminal, at most 80 columns wide."""
    title = Text(f"{section.task}, preset {section.preset}", style="bold")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    shown = [place for place, heading in enumerate(HEADER) if heading != INTERVAL]
    for place in shown:
        table.add_column(HEADER[place], justify="right" if place else "left", no_wrap=True)
    for row, _ in _rows(section):
        table.add_row(*(Text(row[place]) for place in shown))
    return table


def _rows(section: Section) -> Iterator[tuple[list[str], Line]]:
    """The cells of each setting, the full composer first."""
    full = section.lines[0]
    for line in section.lines:
        published, of_full = (each.setting.published.get(section.task) for each in (line, full))
        score = line.row.scores[ALL] if line.row else None
        cells = [
            line.setting.title,
            number(drawn(line.row)),
            NOTHING if line is full else difference(drawn(line.row), drawn(full.row)),
            number(published),
            NOTHING if line is full else difference(published, of_full),
            mean(score, 1) if score else NOTHING,
            interval(score) if score else "",
            str(len(line.row.seeds)) if line.row else NOTHING,
        ]
        yield cells, line


_CSV: Mapping[str, Callable[[Ablation, Section, Line], object]] = {
    "ablation": lambda ablation, _, __: ablation.composer,
    "task": lambda _, section, __: section.task,
    "preset": lambda _, section, __: section.preset,
    "recipe": lambda _, section, __: section.recipe.hash[:8],
    "dataset": lambda _, section, __: section.dataset,
    "setting": lambda _, __, line: line.setting.title,
    "seeds": lambda _, __, line: " ".join(map(str, line.row.seeds)) if line.row else None,
    "drawn_recall_1": lambda _, __, line: drawn(line.row),
    "recall_1": lambda _, __, line: line.row.scores[ALL].mean[1] if line.row else None,
    "recall_1_low": lambda _, __, line: found.low if line.row and (found := line.row.scores[ALL].interval) else None,
    "recall_1_high": lambda _, __, line: found.high if line.row and (found := line.row.scores[ALL].interval) else None,
    "published_recall_1": lambda _, section, line: line.setting.published.get(section.task),
    "published_source": lambda ablation, _, __: ablation.source,
    "tier": lambda _, __, line: str(line.row.tier) if line.row else None,
    "notes": lambda _, __, line: "; ".join(line.notes),
}


def _csv(ablation: Ablation, found: Sequence[Section]) -> str:
    """A line for every setting of every section; empty where there is no number."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(_CSV)
    for section in found:
        writer.writerows([value(ablation, section, line) for value in _CSV.values()] for line in section.lines)
    return sink.getvalue()
