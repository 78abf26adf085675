"""tirg-bench verify: check records and tables as far as the files at hand allow."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.cli.options import FOLDER, LEADERBOARDS, MEMORY_LIMIT, PLACES, SANDBOX, TIME_LIMIT, by_name, sandbox_tier
from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from benchmark.records.store import StoredRecord
    from benchmark.verification import Verified


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
@TIME_LIMIT
@MEMORY_LIMIT
def verify(
    records: tuple[Path, ...], out: Path, places: tuple[tuple[str, Path], ...], device: str | None, quick: bool,
    retrain: bool, note: bool, runs: Path, sandbox: str, time_limit: float, memory_limit: int,
) -> None:  # fmt: skip
    """Check RECORDS, or all records and the tables: numbers from ranks, ranks from checkpoints, tables from records.

    A record is "re-scored" if its checkpoint and its dataset are at hand and give its Recall again, "retrained" if
    --retrain gave it again, else "self-reported": its numbers and its ranks agree, and nothing else is known.
    """
    from collections import Counter

    from benchmark.device import choose_device
    from benchmark.leaderboard.files import load_records, stale_tables, write_leaderboards
    from benchmark.training.progress import RunTerminal
    from benchmark.verification import AtHand, Verified, verify_records

    given = by_name(places)
    root = out / "records"
    if quick and (retrain or note):
        raise UsageError("--quick trains and scores nothing: leave out --retrain and --note")
    if not root.is_dir() and not records:
        raise BenchmarkError(f"{root}: there are no records yet; `tirg-bench run` makes them")
    if note and (elsewhere := [path for path in records if not path.resolve().is_relative_to(root.resolve())]):
        raise UsageError(f"{elsewhere[0]}: --note writes tables anew, and this record is none of {root}; say --out")
    if absent := [path for path in records if not path.is_file() or path.suffix != ".json"]:
        raise UsageError(f"{absent[0]}: there is no such record; name the .json files, or none for all of them")
    stored, problems = _read(records) if records else load_records(root)
    if not records:
        problems += stale_tables(stored, root, out)
    if quick:
        found = [Verified(run, run.tier) for run in stored]
    else:
        hand = AtHand(
            places=given,
            device=choose_device(device),
            reporter=RunTerminal(),
            runs=runs,
            tier=sandbox_tier(sandbox) if any(run.record.submission for run in stored) else None,
            seconds=time_limit,
            memory_mib=memory_limit,
        )
        found = []
        noted = 0
        try:
            for each in verify_records(stored, hand, train_again=retrain):
                if each.tier is None:
                    problems.append(each.note)
                    continue
                click.echo(f"{each.stored.path}: {each.tier}{': ' if each.note else ''}{each.note}")
                found.append(each)
                noted += note and _note(each)
        finally:
            if noted:
                write_leaderboards(root, out)
                click.echo(
                    f"{noted} noted beside their records; the tables in {out} show it, `leaderboard --html` the pages"
                )
    tiers = Counter(str(each.tier) for each in found)
    are = "record is" if len(found) == 1 else "records are"
    click.echo(", ".join([f"{len(found)} {are} sound", *(f"{count} {tier}" for tier, count in tiers.items())]))
    for problem in problems:
        click.echo(f"tirg-bench: wrong: {problem}", err=True)
    if problems:
        raise click.exceptions.Exit(1)


def _read(paths: Sequence[Path]) -> tuple[list["StoredRecord"], list[str]]:
    """The records at those paths that agree with themselves, and a line for every one that does not."""
    from benchmark.records.store import read_stored

    stored, problems = [], []
    for path in paths:
        try:
            stored.append(read_stored(path))
        except BenchmarkError as error:
            problems.append(str(error))
    return stored, problems


def _note(verified: "Verified") -> bool:
    """Write a result beside its record, if it says more than what is written there already; whether it did."""
    from benchmark.records.tier import write_tier

    if verified.tier is None or verified.recall_at_1 is None:
        return False
    stored = verified.stored
    return write_tier(stored.path, verified.tier, record_sha256=stored.file_sha256, recall_at_1=verified.recall_at_1)
