"""tirg-bench verify: check records and tables as far as the files at hand allow."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.cli_options import FOLDER, LEADERBOARDS, PLACES, SANDBOX, by_name, sandbox_tier
from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from benchmark.record import StoredRecord
    from benchmark.verification import AtHand, Verified


@click.command()
@click.argument("records", nargs=-1, type=FOLDER)
@LEADERBOARDS
@PLACES
@click.option("--device", metavar="NAME", help="cpu, cuda or cuda:N.  [default: a GPU if there is one]")
@click.option("--quick", is_flag=True, help="Do not score checkpoints again.")
@click.option(
    "--retrain", is_flag=True, help="Train again, and see whether the result lies within the spread of seeds."
)
@click.option("--note", is_flag=True, help="Note the result beside the records, and write the tables anew with it.")
@click.option("--runs", type=FOLDER, default=Path("runs"), show_default=True, help="Where --retrain works.")
@SANDBOX
def verify(
    records: tuple[Path, ...], out: Path, places: tuple[tuple[str, Path], ...], device: str | None, quick: bool,
    retrain: bool, note: bool, runs: Path, sandbox: str,
) -> None:  # fmt: skip
    """Check RECORDS, or all records and the tables: numbers from ranks, ranks from checkpoints, tables from records.

    A record is "re-scored" if its checkpoint and its dataset are at hand and give its Recall again, "retrained" if
    --retrain gave it again, else "self-reported": its numbers and its ranks agree, and nothing else is known.
    """
    from collections import Counter

    from benchmark.device import choose_device
    from benchmark.leaderboard import load_records, stale_tables, write_leaderboards
    from benchmark.progress import RunTerminal
    from benchmark.verification import AtHand, Verified

    given = by_name(places)
    root = out / "records"
    if quick and (retrain or note):
        raise UsageError("--quick trains and scores nothing: leave out --retrain and --note")
    if not root.is_dir() and not records:
        raise BenchmarkError(f"{root}: there are no records yet; `tirg-bench run` makes them")
    if absent := [path for path in records if not path.is_file()]:
        raise UsageError(f"{absent[0]}: there is no such record; name the .json files, or none for all of them")
    stored, problems = _read(records) if records else load_records(root)
    if not records:
        problems += stale_tables(stored, root, out)
    if quick:
        found = [Verified(run.path, run.tier) for run in stored]
    else:
        hand = AtHand(
            places=given,
            device=choose_device(device),
            reporter=RunTerminal(),
            runs=runs,
            tier=sandbox_tier(sandbox) if any(run.record.submission for run in stored) else None,
        )
        found = list(_verified(stored, hand, train_again=retrain))
        problems += [each.note for each in found if each.tier is None]
        found = [each for each in found if each.tier is not None]
    noted = _noted(found) if note else 0
    if noted:
        write_leaderboards(root, out)
        click.echo(f"{noted} results were noted beside their records; the tables in {out} show them")
    tiers = Counter(str(each.tier) for each in found)
    click.echo(", ".join([f"{len(found)} records are sound", *(f"{count} {tier}" for tier, count in tiers.items())]))
    for problem in problems:
        click.echo(f"tirg-bench: wrong: {problem}", err=True)
    if problems:
        raise click.exceptions.Exit(1)


def _read(paths: Sequence[Path]) -> tuple[list["StoredRecord"], list[str]]:
    """The records at those paths that agree with themselves, and a line for every one that does not."""
    from benchmark.record import read_stored

    stored, problems = [], []
    for path in paths:
        try:
            stored.append(read_stored(path))
        except BenchmarkError as error:
            problems.append(str(error))
    return stored, problems


def _verified(stored: Sequence["StoredRecord"], hand: "AtHand", *, train_again: bool) -> Iterator["Verified"]:
    """Each result as it comes, and a line about it."""
    from benchmark.verification import verify_records

    for each in verify_records(stored, hand, train_again=train_again):
        if each.tier is not None:
            click.echo(f"{each.path}: {each.tier}{': ' if each.note else ''}{each.note}")
        yield each


def _noted(found: Sequence["Verified"]) -> int:
    """How many results were written beside their records: those that say more than what is written there already."""
    from benchmark.tier import write_tier

    return sum(
        write_tier(each.path, each.tier, recall_at_1=each.recall_at_1)
        for each in found
        if each.tier is not None and each.recall_at_1 is not None
    )
