"""tirg-bench run: train and score composers."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from benchmark.cli.options import (
    BATCH_SIZE,
    COMPILE,
    DEVICE,
    FOLDER,
    LARGEST_SEED,
    LEADERBOARDS,
    PLACES,
    SEEDS,
    THREADS,
    VALIDATE_EVERY,
    by_name,
    make_runtime,
)
from benchmark.cli.results import print_results
from benchmark.errors import UsageError

if TYPE_CHECKING:
    from benchmark.training.progress import RunReporter


@click.command()
@click.option("--all", "everything", is_flag=True, help="Every composer on every available dataset.")
@click.option(
    "--composer", "composers", multiple=True, metavar="NAME|FILE",
    help="A composer, or a Python file that defines one; may be given several times.",
)  # fmt: skip
@click.option(
    "--dataset", "dataset_names", multiple=True, metavar="NAME",
    help="A dataset; may be given several times.  [default: all available]",
)  # fmt: skip
@click.option("--preset", metavar="NAME", help="The recipe.  [default: standard on a GPU, else quick]")
@click.option("--seed", "seed", type=click.IntRange(min=0, max=LARGEST_SEED), help="One seed.  [default: 0]")
@click.option("--seeds", type=SEEDS, help="How many seeds, counted from 0, or a list: 3 is 0,1,2.")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE",
    help="Change a key of the recipe, such as training.steps=500; `tirg-bench list` shows all keys.",
)  # fmt: skip
@PLACES
@click.option("--skip-broken", is_flag=True, help="Leave out broken images and queries; the record says how many.")
@click.option("--pretrained", metavar="torchvision|FILE", help="Start the image encoder from these weights.")
@DEVICE
@THREADS
@BATCH_SIZE
@VALIDATE_EVERY
@COMPILE
@LEADERBOARDS
@click.option("--runs", type=FOLDER, default=Path("runs"), show_default=True, help="Checkpoints, models and curves.")
@click.option(
    "--checkpoint-seconds", type=click.FloatRange(min=0), default=20, show_default=True,
    help="Seconds between two checkpoints of a run.",
)  # fmt: skip
@click.option(
    "--replace", is_flag=True,
    help="Repeat runs whose record is damaged or was made by another version of the code.",
)  # fmt: skip
@click.pass_context
def run(
    context: click.Context,
    everything: bool, composers: tuple[str, ...], dataset_names: tuple[str, ...], preset: str | None, seed: int | None,
    seeds: tuple[int, ...] | None, assignments: tuple[str, ...], places: tuple[tuple[str, Path], ...],
    skip_broken: bool, pretrained: str | None, device: str | None, threads: int | None, batch_size: int,
    validate_every: int | None, compiled: bool, out: Path, runs: Path, checkpoint_seconds: float, replace: bool,
) -> None:  # fmt: skip
    """Train and score composers, and write the tables after each run.

    Runs with a valid record are skipped. An interrupted run resumes from its last checkpoint and produces the same
    record. A failing composer does not stop the rest; it is listed below the table and the command exits with code 1.
    If the CSS dataset is not there, it is rendered first.

    Records are never replaced silently: composer, task, recipe, seed and the dataset's fingerprint are in a record's
    path. --replace makes damaged and outdated records again.

    A composer from a FILE is trained in this process and is not part of the leaderboards: name another folder with
    --out. `tirg-bench submit` adds it to them.
    """
    from benchmark import tasks as datasets
    from benchmark.recipe import presets
    from benchmark.recipe.runtime import split_assignments
    from benchmark.training.progress import RunTerminal

    if everything == bool(composers):
        raise click.UsageError("say what to run: either --all, or --composer NAME")
    if seed is not None and seeds is not None:
        raise click.UsageError("--seed and --seeds exclude each other")
    given = by_name(places)
    if preset is not None:
        presets.preset(preset)
    assignments, spelled = split_assignments(assignments)
    wanted = tuple(datasets.get(each).name for each in dataset_names) or datasets.present_or_made(given)

    import models
    from benchmark.device import choose_device
    from benchmark.leaderboard.files import write_leaderboards
    from benchmark.runs import grid as runner
    from benchmark.runs.recipes import recipe_on
    from benchmark.runs.single_run import Bench

    device = choose_device(device)
    name = preset or presets.default_preset(device)
    runtime = make_runtime(
        device=device, threads=threads, batch_size=batch_size, validate_every=validate_every, compiled=compiled,
        checkpoint_seconds=checkpoint_seconds,
    )  # fmt: skip
    reporter = RunTerminal()
    for key in spelled:
        reporter.message(f"--set for {key}: it does not change a result, so it is the option --{key.replace('_', '-')}")
    recipes = {task: recipe_on(task, name, pretrained=pretrained, assignments=assignments) for task in wanted}
    bench = Bench(
        base=next(iter(recipes.values())),
        recipes=recipes,
        runtime=runtime.model_copy(update=spelled),
        reporter=reporter,
        places=given,
        skip_broken=skip_broken,
        replace=replace,
        leaderboards=out,
        runs=runs,
    )
    chosen = _loaded(composers, context.get_parameter_source("out")) or models.names()
    runner.require_known(chosen, wanted, bench)
    _render_missing(wanted, given, reporter)
    finished = []
    for one in runner.run_all(runner.plan(chosen, wanted, seeds or (seed or 0,), bench), bench):
        finished.append(one)
        if one.is_new and one.record and bench.is_on_leaderboard:
            write_leaderboards(bench.records, out)
        if one.traceback and context.find_root().params["debug"]:
            click.echo(one.traceback, err=True)
    print_results(finished, bench.records, out if bench.is_on_leaderboard else None)


def _loaded(composers: tuple[str, ...], out: ParameterSource | None) -> tuple[str, ...]:
    """The names of composers; those that are files are loaded.

    Args:
        out: whether --out was given.
    """
    from benchmark.runs import local_composer

    files = [composer for composer in composers if local_composer.is_file(composer)]
    if files and out is ParameterSource.DEFAULT:
        raise UsageError(
            f"--composer {files[0]}: a local file is not part of the leaderboards; name a folder for its records with "
            "--out, or add it with `tirg-bench submit`"
        )
    return tuple(local_composer.load(Path(composer)) if composer in files else composer for composer in composers)


def _render_missing(dataset_names: tuple[str, ...], places: dict[str, Path], reporter: "RunReporter") -> None:
    """Make the datasets that are wanted, absent from their usual place, and can be made."""
    from benchmark import tasks as datasets

    for name in dataset_names:
        datasets.make_if_absent(name, places, reporter)
