"""Save made-up records, and read the tables that are made of them."""

import io
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from benchmark.leaderboard.boards import Board
from benchmark.leaderboard.files import build, load_records, write_leaderboards
from benchmark.records.store import save_record
from tests.benchmark.made_up import make_outcomes, make_record


def save(root: Path, *, hit_rate: float = 0.6, seed: int = 0, noise: int = 0, queries: int = 240, **about: Any) -> Path:
    outcomes = make_outcomes(hit_rate=hit_rate, seed=100 * noise + seed, queries=queries)
    return save_record(make_record(outcomes, seed=seed, **about), outcomes, root / "records")


def boards_of(root: Path) -> tuple[Board, ...]:
    stored, problems = load_records(root / "records")
    assert problems == []
    return build(stored)


def page(root: Path, protocol: str = "css") -> str:
    write_leaderboards(root / "records", root)
    return (root / f"{protocol}.md").read_text()


def shown(table: RenderableType, *, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(table)
    return console.export_text()


def tables(text: str) -> list[list[list[str]]]:
    """Every Markdown table as lines of cells, without the rule."""
    found: list[list[list[str]]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif found[-1]:
            found.append([])
    return [[lines[0], *lines[2:]] for lines in found if lines]
