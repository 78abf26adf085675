"""The commands new, check and submit: from an empty file to rows on the leaderboards."""

import re
import shlex
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
    SEEDS,
    SKIP_BROKEN,
    THREADS,
    TIME_LIMIT,
    Names,
    by_name,
    make_runtime,
    sandbox_tier,
)
from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from benchmark.records.store import StoredRecord
    from benchmark.submissions.messages import Finding


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def new(file: Path) -> None:
    """Write a small working composer to FILE, a new file to start from. It passes `tirg-bench check` as it is."""
    from importlib.resources import files

    from css_gen.storage.atomic import write_atomically

    name = re.sub(r"[^a-z0-9]+", "_", file.stem.lower()).strip("_")
    if file.suffix != ".py" or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UsageError(f"{file}: expected a name such as my_composer.py, a letter first and .py last")
    import models

    if name in models.names():
        raise UsageError(f"{file}: models/ has a composer called {name}; choose another name")
    if file.exists() or file.is_symlink():
        raise UsageError(f"{file}: already exists; choose another name or remove it")
    words = name.split("_")
    text = (files("benchmark.submissions") / "templates" / "composer.py.txt").read_text(encoding="utf-8")
    for mark, value in {
        "__NAME__": name, "__TITLE__": " ".join(words).capitalize(), "__CLASS__": "".join(map(str.capitalize, words)),
    }.items():  # fmt: skip
        text = text.replace(mark, value)
    try:
        write_atomically(file, text.encode())
    except OSError as error:
        raise BenchmarkError(f"{file}: cannot be written ({error.strerror})") from None
    click.echo(f"{file} is a working composer; next: tirg-bench check {shlex.quote(str(file))}")


@click.command()
@click.argument("composer", metavar="FILE[:CLASS]|NAME")
@SANDBOX
def check(composer: str, sandbox: str) -> None:
    """Check that a composer keeps the contract: the one in FILE, or the one that an installed package calls NAME.

    It takes seconds on a CPU and needs no dataset. The composer is trained for a few steps on random numbers. Its code
    runs in a separate process with limits on time, memory and open files, and without network access.
    """
    from benchmark.submissions import candidates, sandboxed_run

    candidate = candidates.find(composer)
    tier = sandbox_tier(sandbox)
    problems = []

    def show(finding: "Finding") -> None:
        _show(finding)
        problems.extend([finding.what] if finding.problem else [])

    card = sandboxed_run.check(candidate, tier=tier, hear=show)
    if problems:
        raise BenchmarkError(f"{candidate.shown}: does not keep {len(problems)} of the contract's points")
    after = f"tirg-bench submit {shlex.quote(composer)} --author ... --url ..."
    click.echo(f"{card.title} ({card.name}) keeps the contract; next: {after}")


@click.command()
@click.argument("composer", metavar="FILE[:CLASS]|NAME")
@click.option("--author", required=True, help="Who submits it, as shown on the pages.")
@click.option("--url", required=True, help="Your page or repository. The paper's address is in the composer's info.")
@click.option(
    "--dataset", "names", type=Names(), default="css,css-2d3d", show_default=True, help="Datasets, separated by commas."
)
@click.option("--seeds", type=SEEDS, default="3", show_default=True, help="How many seeds, or a list: 3 means 0,1,2.")
@click.option("--preset", metavar="NAME", help="The leaderboard's recipe.  [default: standard on a GPU, else quick]")
@PLACES
@DEVICE
@THREADS
@BATCH_SIZE
@LEADERBOARDS
@click.option("--runs", type=FOLDER, default=Path("runs"), show_default=True, help="Models and curves.")
@click.option("--replace", is_flag=True, help="Remove the rows of your earlier version first.")
@SKIP_BROKEN
@TIME_LIMIT
@MEMORY_LIMIT
@SANDBOX
def submit(
    composer: str, author: str, url: str, names: tuple[str, ...], seeds: tuple[int, ...], preset: str | None,
    places: tuple[tuple[str, Path], ...], device: str | None, threads: int | None, batch_size: int,
    out: Path, runs: Path, replace: bool, skip_broken: bool, time_limit: float, memory_limit: int, sandbox: str,
) -> None:  # fmt: skip
    """Check, train and score a composer, and add its rows, its source and its pages to the leaderboards.

    It is trained with the leaderboard's recipe. Its code runs in a separate process, which gets features and gradients
    in training and then features of one test query at a time; everything else runs outside of it. Rows are added when
    all runs are complete. If it is interrupted, run the same command again to resume.
    """
    from benchmark import tasks as datasets
    from benchmark.device import choose_device
    from benchmark.leaderboard.files import load_records, write_leaderboards
    from benchmark.leaderboard.site import write_site
    from benchmark.recipe import presets
    from benchmark.runs import grid as runner
    from benchmark.runs.recipes import recipe_on
    from benchmark.runs.single_run import Bench
    from benchmark.runs.termination import PatientTerminal
    from benchmark.submissions import candidates
    from benchmark.submissions import submit as submission

    given = by_name(places)
    names = tuple(datasets.get(name).name for name in names)
    for name in names:
        if not datasets.get(name).make and not datasets.locate(name, given).exists():
            raise UsageError(f"--dataset {name}: there is no folder {datasets.locate(name, given)}")
    candidate = candidates.find(composer)
    submission.require_valid(author, url)
    device = choose_device(device)
    preset = preset or presets.default_preset(device)
    runtime = make_runtime(device=device, threads=threads, batch_size=batch_size, validate_every=0, compiled=False)
    reporter = PatientTerminal()
    bench = Bench(
        base=presets.preset(preset),
        recipes={name: recipe_on(name, preset) for name in names},
        runtime=runtime,
        reporter=reporter,
        places=given,
        skip_broken=skip_broken,
        leaderboards=out,
        runs=runs,
    )
    runner.require_writable(bench)
    request = submission.Request(
        candidate=candidate,
        author=author,
        url=url,
        dataset_names=names,
        seeds=seeds,
        bench=bench,
        tier=sandbox_tier(sandbox),
        seconds=time_limit,
        memory_mib=memory_limit,
        replaces=replace,
    )
    checked = submission.check_first(request, _show)
    for name in names:
        datasets.make_if_absent(name, given, reporter)
    submission.submit(request, checked)
    written = write_leaderboards(bench.records, out)
    write_site(bench.records, out)
    _show_rows(load_records(bench.records)[0], checked.card.name, preset, names)
    click.echo(f"wrote the tables to {out}; the site starts at {out / 'site' / 'index.html'}")
    for problem in written.problems:
        click.echo(f"tirg-bench: left out: {problem}", err=True)
    if written.problems:
        raise click.exceptions.Exit(1)


def _show(finding: "Finding") -> None:
    mark = click.style("FAILS", fg="red") if finding.problem else click.style("ok", fg="green")
    click.echo(f"  {mark:>5}  {finding.what}{': ' if finding.remark else ''}{finding.remark}")
    if finding.problem:
        click.echo(f"         {finding.problem}")


def _show_rows(stored: "list[StoredRecord]", composer: str, preset: str, protocols: tuple[str, ...]) -> None:
    """Print the composer's row on each board, and how it compares with the rows above and below."""
    from benchmark.leaderboard.boards import build, comparable, label_of
    from benchmark.leaderboard.comparison import ALL, compare

    for runs in comparable(stored):
        about = runs[0].record
        of = {name: [run for run in runs if run.record.composer.name == name] for name in _composers(runs)}
        if label_of(about) != preset or about.protocol not in protocols or composer not in of:
            continue
        rows = build(runs)[0].rows
        place = next(index for index, row in enumerate(rows) if row.composer.name == composer)
        row = rows[place]
        recall = ", ".join(f"R@{k} {mean:.1f}" for k, mean in row.scores[ALL].mean.items())
        where = f"{about.protocol}, {preset}: {row.composer.title} is {row.rank} of {len(rows)}"
        seeds = "1 seed, so how much seeds vary is unknown" if len(row.seeds) == 1 else f"{len(row.seeds)} seeds"
        group = f", group {row.group}" if row.group else ""
        click.echo(f"{where}: {recall}{group}; {seeds}")
        if len(rows) == 1:
            click.echo(
                "  no other rows to compare with here; a clone of the repository has ours in leaderboards/ (see --out)"
            )
        for neighbour in rows[max(0, place - 1) : place + 2]:
            name = neighbour.composer.name
            if name == composer:
                continue
            outcomes = ([run.outcomes for run in of[each]] for each in (composer, name))
            everyone = [[run.outcomes for run in each] for each in of.values()]
            difference = compare(*outcomes, board=everyone)[ALL]
            interval, p = difference.interval, difference.p
            more = f", 95% interval {interval.low:+.1f} to {interval.high:+.1f}, p {p:.2g}" if interval and p else ""
            click.echo(f"  {difference.points:+.1f} compared with {neighbour.composer.title} ({neighbour.rank}){more}")


def _composers(runs: "list[StoredRecord]") -> set[str]:
    return {run.record.composer.name for run in runs}
