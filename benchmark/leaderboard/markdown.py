"""Pages and tables in Markdown."""

import re
from collections.abc import Sequence
from functools import cache

from jinja2 import Template

from benchmark.leaderboard.page_templates import page_templates


@cache
def markdown_template(name: str) -> Template:
    """The template of a Markdown page."""
    return page_templates("benchmark.leaderboard", is_html=False).get_template(name)


def markdown_table(header: Sequence[str], lines: Sequence[Sequence[str]], *, left: Sequence[int]) -> str:
    """A Markdown table whose columns are aligned in its source, too; all but the `left` ones are right-aligned."""
    widths = [max(3, *(len(cells[index]) for cells in (header, *lines))) for index in range(len(header))]
    rule = [":" + "-" * (width - 1) if index in left else "-" * (width - 1) + ":" for index, width in enumerate(widths)]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    return "\n".join(map(line, (header, rule, *lines)))


def plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|~#])", r"\\\1", " ".join(text.split()))
