"""Print the boards and what went wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.errors import BenchmarkError

if TYPE_CHECKING:
    from benchmark.runs.grid import Finished


def print_results(finished: "list[Finished]", records: Path, out: Path | None, *, pages: Sequence[Path] = ()) -> None:
    """Print the boards, the failures below them, and where the tables are; exit with 1 if anything went wrong.

    Args:
        out: the folder to write the tables to; None for none.
        pages: whose tables are written again from those in `out`, such as docs/paper.md.
    """
    from rich.console import Console

    from benchmark.leaderboard.files import (
        build,
        load_rankings,
        load_records,
        model_tables,
        print_table,
        write_leaderboards,
    )
    from benchmark.leaderboard.page_blocks import update

    failures = {str(one.run): one.failure for one in finished if one.failure}
    problems: tuple[str, ...] = ()
    if records.is_dir():
        if out is not None:
            problems = write_leaderboards(records, out).problems
        stored, _ = load_records(records)
        models = model_tables(load_rankings(records)[0])
        Console(highlight=False).print(print_table(build(stored), failures, models))
    elif not finished:
        raise BenchmarkError(f"{records}: there are no records yet; `tirg-bench run` makes them")
    if out is not None and records.is_dir():
        click.echo(f"the tables are in {out}")
    for problem in problems:
        click.echo(f"tirg-bench: left out: {problem}", err=True)
    for name, failure in failures.items():
        click.echo(f"tirg-bench: failed: {name}: {failure}", err=True)
    for page in pages:
        assert out is not None
        update(page, out)
        click.echo(f"the tables of {page} are up to date")
    if problems or failures:
        raise click.exceptions.Exit(1)
