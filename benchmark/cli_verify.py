"""tirg-bench verify: check records and tables as far as the files at hand allow."""

from pathlib import Path

import click

from benchmark.cli_options import FOLDER, LEADERBOARDS, PLACES, by_name
from benchmark.errors import BenchmarkError, UsageError


@click.command()
@click.argument("records", nargs=-1, type=FOLDER)
@LEADERBOARDS
@PLACES
@click.option("--device", metavar="NAME", help="cpu, cuda or cuda:N.  [default: a GPU if there is one]")
@click.option("--quick", is_flag=True, help="Do not score checkpoints again.")
def verify(
    records: tuple[Path, ...], out: Path, places: tuple[tuple[str, Path], ...], device: str | None, quick: bool
) -> None:
    """Check RECORDS, or all records and the tables: numbers from ranks, ranks from checkpoints, tables from records.

    A record is "re-scored" if its checkpoint and its dataset are at hand and give its Recall again, else it is
    "self-reported": its numbers and its ranks agree, and nothing else is known.
    """
    from collections import Counter

    from benchmark.device import choose_device
    from benchmark.leaderboard import load_records, stale_tables
    from benchmark.verification import Verified, verify_records
    from css_gen.progress import Terminal

    given = by_name(places)
    root = out / "records"
    if not root.is_dir() and not records:
        raise BenchmarkError(f"{root}: there are no records yet; `tirg-bench run` makes them")
    if absent := [path for path in records if not path.is_file()]:
        raise UsageError(f"{absent[0]}: there is no such record; name the .json files, or none for all of them")
    stored = None
    if quick and not records:
        stored, lost = load_records(root)
        found = [Verified(run.path, None, "") for run in stored]
        problems = list(lost)
    else:
        paths = records or sorted(path for path in root.rglob("*.json") if not path.name.startswith("."))
        found, problems = [], []
        for each in verify_records(paths, places=given, device=choose_device(device), reporter=Terminal()):
            if each.tier is None:
                problems.append(each.note)
            else:
                found.append(each)
                click.echo(f"{each.path}: {each.tier}{': ' if each.note else ''}{each.note}")
    if not records:
        problems += stale_tables(load_records(root)[0] if stored is None else stored, root, out)
    tiers = Counter(str(each.tier or "agree with their ranks") for each in found)
    click.echo(", ".join([f"{len(found)} records are sound", *(f"{count} {tier}" for tier, count in tiers.items())]))
    for problem in problems:
        click.echo(f"tirg-bench: wrong: {problem}", err=True)
    if problems:
        raise click.exceptions.Exit(1)
