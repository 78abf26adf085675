"""The page and the CSV file of the curves over training images, from records alone."""

import csv
import io
from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from benchmark.leaderboard.cells import NOTHING, number
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.markdown import markdown_table, markdown_template
from benchmark.leaderboard.scaling import NOVEL, Line, Section, Slope, sections
from benchmark.records.store import StoredRecord

NAME = "scaling"
"""Of the page and of the CSV file, without their endings."""

HEADINGS = {ALL: "all queries", NOVEL: "novel combinations"}
_CSV = (
    "task", "preset", "recipe", "test_images", "composer", "train_images", "dataset", "seeds", "recall_1",
    "novel_recall_1", "slope", "slope_low", "slope_high", "novel_slope", "novel_slope_low", "novel_slope_high", "notes",
)  # fmt: skip


def scaling_tables(stored: Sequence[StoredRecord]) -> dict[str, str]:
    """Return the text of the page and of the CSV file by the name of the file; nothing where there are no records."""
    found = sections(stored)
    if not found:
        return {}
    template = markdown_template("scaling.md.jinja")
    page = template.render(sections=found, tables=_tables)
    return {f"{NAME}.md": page.rstrip("\n") + "\n", f"{NAME}.csv": _csv(found)}


def terminal_tables(section: Section) -> Iterator[Table]:
    """Yield a section's tables for the terminal: R@1 on all queries, and on novel combinations."""
    for of, heading in _headings(section):
        of_test = f"{section.test_images:,} test images"
        title = Text(f"{section.task}, preset {section.preset}, {of_test}: R@1 on {heading}", style="bold")
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for place, name in enumerate(_header(section)):
            table.add_column(name, justify="right" if place else "left", no_wrap=True)
        for line in section.lines:
            table.add_row(*map(Text, _cells(section, line, of)))
        yield table


def _tables(section: Section) -> list[tuple[str, str]]:
    """Return the headings and the tables of a section."""
    has_notes = any(line.notes for line in section.lines)
    header = [*_header(section), *(["Note"] if has_notes else [])]
    left = (0, len(header) - 1) if has_notes else (0,)
    return [
        (
            heading,
            markdown_table(
                header,
                [[*_cells(section, line, of), *(["; ".join(line.notes)] * has_notes)] for line in section.lines],
                left=left,
            ),
        )
        for of, heading in _headings(section)
    ]


def _headings(section: Section) -> list[tuple[str, str]]:
    return [(of, heading) for of, heading in HEADINGS.items() if any(of in line.curves for line in section.lines)]


def _header(section: Section) -> list[str]:
    return ["Composer", *(f"{images:,}" for images in section.datasets), "per doubling", "95% interval", "Seeds"]


def _cells(section: Section, line: Line, of: str) -> list[str]:
    curve = line.curves[of]
    counts = sorted({len(seeds) for seeds in line.seeds.values()})
    return [
        line.composer.title,
        *(number(curve.recall.get(images)) for images in section.datasets),
        NOTHING if curve.slope is None else f"{curve.slope.value:+z.2f}",
        _interval(curve.slope),
        str(counts[0]) if len(counts) == 1 else f"{counts[0]}-{counts[-1]}",
    ]


def _interval(slope: Slope | None) -> str:
    found = slope.interval if slope else None
    return f"[{found.low:+z.2f}, {found.high:+z.2f}]" if found else ""


def _csv(found: Sequence[Section]) -> str:
    """Return a line for every composer and size of every section; empty where there is no number."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(_CSV)
    for section in found:
        for line in section.lines:
            slopes = [value for of in HEADINGS for value in _numbers(line, of)]
            for images, seeds in line.seeds.items():
                writer.writerow(
                    [
                        section.task, section.preset, section.recipe, section.test_images, line.composer.name, images,
                        section.datasets[images], " ".join(map(str, seeds)),
                        *(line.curves[of].recall[images] if of in line.curves else None for of in HEADINGS),
                        *slopes, "; ".join(line.notes),
                    ]
                )  # fmt: skip
    return sink.getvalue()


def _numbers(line: Line, of: str) -> tuple[float | None, float | None, float | None]:
    """Return a slope and the bounds of its interval."""
    slope = line.curves[of].slope if of in line.curves else None
    if slope is None:
        return None, None, None
    low, high = slope.interval or (None, None)
    return slope.value, low, high
