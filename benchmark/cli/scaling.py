"""tirg-bench scaling: R@1 over the number of training images, at one test split."""

import re
from pathlib import Path
from typing import Any

import click

from benchmark.cli.options import FOLDER
from benchmark.cli.run_options import JOBS, require_possible, run_options, set_up, with_jobs
from benchmark.errors import UsageError


class Sizes(click.ParamType[Any]):
    """Numbers of images with commas between them, each once."""

    name = "sizes"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        return "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",") if part.strip()]
        if not parts or not all(re.fullmatch(r"[0-9]{1,10}", part) for part in parts) or len(set(parts)) < len(parts):
            self.fail(f"{value!r} is not a list of different numbers such as 2000,10000,50000", param, ctx)
        return tuple(sorted(map(int, parts)))


@click.command()
@click.option("--all", "everything", is_flag=True, help="Every composer.")
@click.option("--composer", "composers", multiple=True, metavar="NAME", help="A composer; may be given several times.")
@click.option(
    "--images", type=Sizes(), required=True, help="Training images of each rendering; two or more give a slope."
)
@click.option(
    "--test", "test_images", type=click.IntRange(min=1), required=True, metavar="M",
    help="Images of the test split, which all renderings share.",
)  # fmt: skip
@click.option("--size", type=int, default=224, show_default=True, help="Width and height of each image in pixels.")
@click.option(
    "--renderings", type=FOLDER, default=Path("data"), show_default=True,
    help="The folder of the renderings, each a folder css-train-N in it.",
)  # fmt: skip
@JOBS
@run_options
@click.pass_context
def scaling(
    context: click.Context,
    /,
    everything: bool,
    composers: tuple[str, ...],
    images: tuple[int, ...],
    test_images: int,
    size: int,
    renderings: Path,
    jobs: int,
    **options: Any,
) -> None:
    """Train composers on training splits of several sizes, and write the curve of R@1 over training images.

    Each training split is rendered once, beside one and the same test split. Renderings, runs and records that are
    there are not made again, and what was interrupted resumes. The default dataset is css.

    Records go to OUT/scaling and do not appear on the boards of composers. The curves are OUT/scaling.md and
    OUT/scaling.csv, written after each run: R@1 on all queries and on novel combinations, and the points that each
    doubling of the training images adds.
    """
    if everything == bool(composers):
        raise click.UsageError("say what to run: either --all, or --composer NAME")
    if options["places"]:
        raise click.UsageError(
            "--data: the renderings are folders of their own; name the folder around with --renderings"
        )
    setup = set_up(**options, usual=("css",))
    require_possible(jobs, setup.bench)
    if not setup.bench.is_on_leaderboard:
        raise UsageError("--set evaluation.split=validation: the curve is of the test split; leave it out")

    from rich.console import Console

    import models
    from benchmark.leaderboard.files import load_scaling, write_scaling
    from benchmark.leaderboard.scaling import sections
    from benchmark.leaderboard.scaling_tables import terminal_tables
    from benchmark.runs import grid
    from benchmark.runs import scaling as runs

    chosen = composers or models.names()
    bench = runs.bench_of_scaling(setup.bench)
    grid.require_known(chosen, setup.tasks, bench)
    found = {
        task: runs.renderings(task, images, test=test_images, size=size, folder=renderings) for task in setup.tasks
    }
    for theirs in found.values():
        runs.render_missing(theirs, bench.reporter)
        runs.require_one_test_split(theirs)
    count = len(chosen) * len(setup.seeds) * sum(map(len, found.values()))
    bench = with_jobs(bench, min(jobs, count), options["threads"])
    failures = []
    for training_images, one in runs.make_runs(found, chosen, setup.seeds, bench):
        if one.failure:
            failures.append(f"{one.run}, {training_images:,} training images: {one.failure}")
        if one.is_new and one.record:
            write_scaling(setup.bench.leaderboards)
        if one.traceback and context.find_root().params["debug"]:
            click.echo(one.traceback, err=True)
    written = write_scaling(setup.bench.leaderboards)
    console = Console(highlight=False)
    for section in sections(load_scaling(setup.bench.leaderboards)[0]):
        for table in terminal_tables(section):
            console.print(table)
    if written.files:
        click.echo(f"the curves are in {written.files[0]}")
    for problem in written.problems:
        click.echo(f"tirg-bench: left out: {problem}", err=True)
    for failure in failures:
        click.echo(f"tirg-bench: failed: {failure}", err=True)
    if written.problems or failures:
        raise click.exceptions.Exit(1)
