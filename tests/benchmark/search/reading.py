"""Read what `tirg-bench search` printed."""

import re
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

import css_gen.dataset

Search = Callable[..., Result]


def answers(result: Result) -> list[list[str]]:
    """The words of each answer's line in the table: rank, similarity, image and what follows."""
    lines = [line.split() for line in result.stdout.splitlines()]
    return [words for words in lines if len(words) >= 3 and words[0].isdigit() and re.match(r"-?[01]\.", words[1])]


def found_by(search: Search, *options: object) -> list[tuple[str, ...]]:
    """The rows of the table: rank, similarity, image, and whether it is relevant."""
    result = search(*options)
    assert result.exit_code == 0, result.output
    return re.findall(r"(?m)^ +(\d+) +(-?\d\.\d{3})  (\S+(?: \S+)*) *(\S*)", result.stdout)


def first_query(css_root: Path) -> css_gen.dataset.QueryRow:
    return css_gen.dataset.open(css_root).split("test").queries[0]
