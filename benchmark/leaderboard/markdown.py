"""Tables in Markdown."""

from collections.abc import Sequence


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
