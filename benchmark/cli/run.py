"""tirg-bench run: train and score composers."""

from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import click
from click.core import ParameterSource

from benchmark.cli.executors import place, place_options
from benchmark.cli.results import print_results
from benchmark.cli.run_options import DEVICES, JOBS, require_possible, run_options, set_up, with_devices, with_jobs
from benchmark.errors import UsageError


@click.command()
@click.option("--all", "everything", is_flag=True, help="Every composer on every available dataset.")
@click.option(
    "--composer", "composers", multiple=True, metavar="NAME|FILE",
    help="A composer, or a Python file that defines one; may be given several times.",
)  # fmt: skip
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    metavar="M",
    help="Start only runs that are expected to end within so many minutes, the most wanted first.",
)
@JOBS
@DEVICES
@place_options
@click.option("--no-fresh", is_flag=True, help="Do not score on a fresh test set, too, which takes seconds to render.")
@run_options
@click.pass_context
def run(
    context: click.Context,
    /,
    everything: bool,
    composers: tuple[str, ...],
    minutes: float | None,
    jobs: int,
    devices: int,
    no_fresh: bool,
    executor: str,
    address: str | None,
    gpu_share: float | None,
    slurm: tuple[tuple[str, str | int], ...],
    **options: Any,
) -> None:
    """Train and score composers, and write the tables after each run.

    Runs with a valid record are skipped. An interrupted run resumes from its last checkpoint and produces the same
    record. A failing composer does not stop the rest; it is listed below the table and the command exits with code 1.
    If the CSS dataset is not there, it is rendered first. A hard track, such as css-relation, is rendered if --dataset
    names it; --all takes those that are there.

    Records are never replaced silently: composer, task, recipe, seed and the dataset's fingerprint are in a record's
    path. --replace makes damaged and outdated records again.

    On rendered data, models are also scored on a fresh test split, column Fresh of the tables: it is rendered then,
    once for all of them, from a new seed.

    --devices N trains each run in N processes, which share its batches, gather the embeddings, and compute the loss of
    the whole batch, so that the recipe does not change.

    A composer from a FILE is trained in this process and is not part of the leaderboards: name another folder with
    --out. `tirg-bench submit` adds it to them.

    --minutes is for a short allocation of a GPU. Runs are made in this order: TIRG and then the other composers, board
    by board, seed by seed, pooled tasks last. How long a run takes is known from the records of earlier ones. Run the
    same command again for the rest. The tables are written at the end.

    --executor ray and slurm make each run on a machine of a cluster that sees this folder, the data and --runs, with
    --threads CPUs (or its share of this machine's) and, with --gpu-share, a GPU or a part of one. Records are those
    that a machine of that kind makes by itself.
    """
    started = monotonic()
    if everything == bool(composers):
        raise click.UsageError("say what to run: either --all, or --composer NAME")
    where = place(executor=executor, address=address, gpu_share=gpu_share, slurm=slurm, device=options["device"])
    if minutes is not None and (jobs > 1 or not where.is_here):
        raise click.UsageError("--minutes makes one run at a time, here: leave --jobs and --executor out")
    if devices > 1 and (jobs > 1 or not where.is_here):
        raise click.UsageError(f"--devices {devices} makes one run at a time, here: leave --jobs and --executor out")
    setup = set_up(**options, on_other_gpus=gpu_share is not None)
    if where.is_here:
        require_possible(jobs, setup.bench)
    bench = with_devices(setup.bench, devices, options["threads"], setup.tasks)

    import models
    from benchmark import tasks as datasets
    from benchmark.leaderboard.files import write_leaderboards
    from benchmark.runs import allocation, local_composer
    from benchmark.runs import grid as runner
    from benchmark.runs.fresh import FreshTestSets
    from benchmark.runs.side_by_side import run_side_by_side

    if not no_fresh:
        bench = replace(bench, fresh=FreshTestSets(None if where.is_here else bench.runs))
    chosen = _loaded(composers, context.get_parameter_source("out"), bench.records) or models.names()
    runner.require_known(chosen, setup.tasks, bench)
    for task in setup.tasks:
        datasets.make_if_absent(task, bench.places, bench.reporter)
    planned = runner.plan(chosen, setup.tasks, setup.seeds, bench)
    jobs = max(1, min(jobs, len(planned.runs)))
    bench = with_jobs(bench, jobs, options["threads"]) if devices == 1 else bench
    if jobs > 1 or not where.is_here:
        files = [Path(composer) for composer in composers if local_composer.is_file(composer)]
        making = run_side_by_side(planned, bench, files, executor=where.make(bench))
    elif minutes is None:
        making = runner.run_all(planned, bench)
    else:
        making = allocation.run_within(planned, bench, 60 * minutes - (monotonic() - started))
    finished = []
    for one in making:
        finished.append(one)
        if one.is_new and one.record and bench.is_on_leaderboard and minutes is None:
            write_leaderboards(bench.records, bench.leaderboards)
        if one.traceback and context.find_root().params["debug"]:
            click.echo(one.traceback, err=True)
    print_results(finished, bench.records, bench.leaderboards if bench.is_on_leaderboard else None)


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
