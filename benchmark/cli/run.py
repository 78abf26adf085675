"""tirg-bench run: train and score composers."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from benchmark.cli.results import print_results
from benchmark.cli.run_options import run_options, set_up
from benchmark.errors import UsageError

if TYPE_CHECKING:
    from benchmark.runs.single_run import Bench


@click.command()
@click.option("--all", "everything", is_flag=True, help="Every composer on every available dataset.")
@click.option(
    "--composer", "composers", multiple=True, metavar="NAME|FILE",
    help="A composer, or a Python file that defines one; may be given several times.",
)  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(min=1, max=4096), default=1, show_default=True, metavar="N",
    help="Runs at a time on a CPU, each with its share of the threads. Two runs of quick on two cores take less time "
    "side by side than one after the other; the tables say so, because a run's own time grows.",
)  # fmt: skip
@run_options
@click.pass_context
def run(context: click.Context, /, everything: bool, composers: tuple[str, ...], jobs: int, **options: Any) -> None:
    """Train and score composers, and write the tables after each run.

    Runs with a valid record are skipped. An interrupted run resumes from its last checkpoint and produces the same
    record. A failing composer does not stop the rest; it is listed below the table and the command exits with code 1.
    If the CSS dataset is not there, it is rendered first.

    Records are never replaced silently: composer, task, recipe, seed and the dataset's fingerprint are in a record's
    path. --replace makes damaged and outdated records again.

    A composer from a FILE is trained in this process and is not part of the leaderboards: name another folder with
    --out. `tirg-bench submit` adds it to them.
    """
    if everything == bool(composers):
        raise click.UsageError("say what to run: either --all, or --composer NAME")
    setup = set_up(**options)

    import models
    from benchmark import tasks as datasets
    from benchmark.leaderboard.files import write_leaderboards
    from benchmark.runs import grid as runner
    from benchmark.runs import local_composer
    from benchmark.runs.side_by_side import run_side_by_side

    bench = _with_jobs(setup.bench, jobs, options["threads"])
    chosen = _loaded(composers, context.get_parameter_source("out"), bench.records) or models.names()
    runner.require_known(chosen, setup.tasks, bench)
    for task in setup.tasks:
        datasets.make_if_absent(task, bench.places, bench.reporter)
    finished = []
    planned = runner.plan(chosen, setup.tasks, setup.seeds, bench)
    files = [Path(composer) for composer in composers if local_composer.is_file(composer)]
    for one in run_side_by_side(planned, bench, files) if jobs > 1 else runner.run_all(planned, bench):
        finished.append(one)
        if one.is_new and one.record and bench.is_on_leaderboard:
            write_leaderboards(bench.records, bench.leaderboards)
        if one.traceback and context.find_root().params["debug"]:
            click.echo(one.traceback, err=True)
    print_results(finished, bench.records, bench.leaderboards if bench.is_on_leaderboard else None)


def _with_jobs(bench: "Bench", jobs: int, threads: int | None) -> "Bench":
    """The settings for that many runs at a time; `threads` is what --threads says."""
    runtime = bench.runtime
    if jobs > 1 and runtime.device != "cpu":
        raise UsageError(f"--jobs {jobs}: runs on a GPU are made one at a time; leave --jobs out, or use --device cpu")
    share = threads or max(1, runtime.threads // jobs)
    return replace(bench, runtime=runtime.model_copy(update={"jobs": jobs, "threads": share}))


def _loaded(composers: tuple[str, ...], out: ParameterSource | None, records: Path) -> tuple[str, ...]:
    """The names of composers; those that are files are loaded.

    Args:
        out: whether --out was given.
        records: where their records go; a model that was scored by its ranking keeps its name there.
    """
    from benchmark.records.rankings import has_ranking
    from benchmark.runs import local_composer

    files = [composer for composer in composers if local_composer.is_file(composer)]
    if files and out is ParameterSource.DEFAULT:
        raise UsageError(
            f"--composer {files[0]}: a local file is not part of the leaderboards; name a folder for its records with "
            "--out, or add it with `tirg-bench submit`"
        )
    names = {file: local_composer.load(Path(file)) for file in files}
    for file, name in names.items():
        if has_ranking(name, records):
            raise UsageError(
                f"--composer {file}: the name {name!r} belongs to a model scored by its ranking; choose another "
                "info.name"
            )
    return tuple(names.get(composer, composer) for composer in composers)
