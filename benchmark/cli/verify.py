"""tirg-bench verify: check records and tables as far as the files that are there allow."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.cli.options import (
    BATCH_SIZE,
    DEVICE,
    FOLDER,
    LEADERBOARDS,
    MEMORY_LIMIT,
    PLACES,
    SANDBOX,
    THREADS,
    TIME_LIMIT,
    by_name,
    make_runtime,
    sandbox_tier,
)
from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from benchmark.verification import Verified

_NO_CHECKPOINT = "a ranking, without a checkpoint that could be scored again"


@click.command()
@click.argument("records", nargs=-1, type=FOLDER)
@LEADERBOARDS
@PLACES
@DEVICE
@THREADS
@BATCH_SIZE
@click.option("--quick", is_flag=True, help="Do not score checkpoints again.")
@click.option(
    "--retrain", is_flag=True, help="Train again; equal on an equal machine, else within the spread of seeds."
)
@click.option(
    "--equal-code",
    is_flag=True,
    help="With --retrain, after a change of the code that alters no result: require equal records, note that both "
    "versions give the same results, and update the tables.",
)
@click.option("--note", is_flag=True, help="Write verification notes beside the records, and update the tables.")
@click.option(
    "--runs", type=FOLDER, default=Path("runs"), show_default=True, help="The folder that --retrain works in."
)
@SANDBOX
@TIME_LIMIT
@MEMORY_LIMIT
def verify(
    records: tuple[Path, ...], out: Path, places: tuple[tuple[str, Path], ...], device: str | None, threads: int | None,
    batch_size: int, quick: bool,
    retrain: bool, equal_code: bool, note: bool, runs: Path, sandbox: str, time_limit: float, memory_limit: int,
) -> None:  # fmt: skip
    """Check RECORDS, or all records and the tables.

    Recompute numbers from ranks, re-score checkpoints, and compare the tables with the records.

    Refuse copies of runs, settings that are not the recipe's, unknown datasets, and composers without code here.

    Each record gets a level. self-reported: its numbers match its stored ranks. re-scored: its checkpoint reproduced
    its Recall, on the split that it was scored on. retrained: training again did, within the spread of seeds.

    On rendered data both also score the model on a test split that is rendered now, from a new seed. A record whose R@1
    differs from that by more than sampling explains (0.1%) is wrong.
    """
    from collections import Counter

    from benchmark.ablations.runs import records_of_ablations
    from benchmark.device import choose_device
    from benchmark.leaderboard.files import write_leaderboards
    from benchmark.records.tier import Tier
    from benchmark.training.progress import RunTerminal
    from benchmark.verification import (
        Resources,
        Verified,
        check_leaderboards,
        check_records,
        note_equal_versions,
        verify_records,
    )

    given = by_name(places)
    root = out / "records"
    if quick and (retrain or note):
        raise UsageError("--quick trains and scores nothing: leave out --retrain and --note")
    if not root.is_dir() and not records:
        raise BenchmarkError(f"{root}: there are no records yet; `tirg-bench run` makes them")
    if equal_code and not retrain:
        raise UsageError("--equal-code compares new trainings with the records: add --retrain")
    roots = [root.resolve(), records_of_ablations(out).resolve()]
    if note and (elsewhere := [path for path in records if not any(map(path.resolve().is_relative_to, roots))]):
        raise UsageError(
            f"{elsewhere[0]}: --note updates the tables, and this record is not in {root}; name its folder with --out"
        )
    if absent := [path for path in records if not path.is_file() or path.suffix != ".json"]:
        raise UsageError(f"{absent[0]}: there is no such record; name the .json files, or none for all of them")
    stored, rankings, problems = check_records(records) if records else check_leaderboards(out)
    found = [Verified(ranking, Tier.SELF_REPORTED, _NO_CHECKPOINT) for ranking in rankings]
    if quick:
        found += [Verified(run, run.tier) for run in stored]
    else:
        resources = Resources(
            places=given,
            runtime=make_runtime(
                device=choose_device(device), threads=threads, batch_size=batch_size, validate_every=0, compiled=False
            ),
            reporter=RunTerminal(),
            runs=runs,
            tier=sandbox_tier(sandbox) if any(run.record.submission for run in stored) else None,
            seconds=time_limit,
            memory_mib=memory_limit,
            is_equal_code=equal_code,
        )
        for each in found:
            click.echo(f"{each.stored.path}: {each.tier}: {each.note}")
        noted = 0
        try:
            for each in verify_records(stored, resources, train_again=retrain):
                if each.tier is None:
                    problems.append(each.note)
                    continue
                click.echo(f"{each.stored.path}: {each.tier}{': ' if each.note else ''}{each.note}")
                found.append(each)
                noted += note and _note(each)
        finally:
            if noted:
                write_leaderboards(root, out)
                click.echo(f"wrote {noted} verification note{'' if noted == 1 else 's'}; tables in {out} updated")
    if equal_code and not problems and (versions := note_equal_versions(found)):
        for version in versions:
            click.echo(f"{version.task}: code {version.version[:8]} gives the results of {version.equals[:8]}")
        if root.is_dir():  # tables mark rows of other versions of the code, which these no longer are
            write_leaderboards(root, out)
    tiers = Counter(str(each.tier) for each in found)
    are = "record is" if len(found) == 1 else "records are"
    click.echo(", ".join([f"{len(found)} {are} sound", *(f"{count} {tier}" for tier, count in tiers.items())]))
    for problem in problems:
        click.echo(f"tirg-bench: wrong: {problem}", err=True)
    if problems:
        raise click.exceptions.Exit(1)


def _note(verified: "Verified") -> bool:
    """Write a result beside its record, unless one that is as strong is there; return whether it did."""
    from benchmark.records.tier import write_tier

    if verified.tier is None or verified.recall_at_1 is None:
        return False
    stored = verified.stored
    return write_tier(
        stored.path, verified.tier,
        record_sha256=stored.file_sha256, recall_at_1=verified.recall_at_1, fresh=verified.fresh,
    )  # fmt: skip
