"""tirg-bench data: check a folder of data, and decode its images before the first run."""

import json
from pathlib import Path

import click

from benchmark.cli.options import LEADERBOARDS
from benchmark.errors import BenchmarkError, UsageError

_SHOWN = 20
_SMALLEST = 8
"""Pixels of images that are opened and not looked at."""


@click.group()
def data() -> None:
    """Check and prepare data that only its owners distribute."""


@data.command()
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--write-report", "report", type=click.Path(path_type=Path), help="Write all that was found as JSON.")
def check(name: str, path: Path, report: Path | None) -> None:
    """Say what a folder holds, and what in it cannot be used.

    NAME is a dataset of `tirg-bench list` that cannot be made here, such as mit-states. Every image is decoded. Exits
    with 1 if anything cannot be used; `run --skip-broken` leaves it out. What is unusual is noted.
    """
    from rich.console import Console
    from rich.table import Table

    from benchmark import tasks
    from benchmark.datasets.contents import broken_images
    from css_gen.progress import Terminal
    from css_gen.storage.atomic import write_atomically

    task = tasks.on_folder(tasks.folder_of(name))[0]
    if task.check is None:
        command = task.check_command.format(path=path)
        raise UsageError(f"{name} is checked by `{command}`" if command else f"{name} has no check of its folder")
    if not path.is_dir():
        raise BenchmarkError(f"{path}: there is no such folder")
    found = task.check(path)
    problems = (*found.problems, *broken_images(path, found.images, Terminal()))

    table = Table("", "Found", "Published", title=str(path), title_justify="left", box=None)
    for count in found.counts:
        table.add_row(count.what, f"{count.found:,}", "" if count.published is None else f"{count.published:,}")
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    for title, some in (("Cannot be used", problems), ("Unusual, but used", found.notes)):
        if some:
            click.echo(f"\n{title}: {len(some)}")
            for problem in some[:_SHOWN]:
                click.echo(f"  {problem}")
            if len(some) > _SHOWN:
                click.echo(f"  and {len(some) - _SHOWN} more" + ("" if report else "; --write-report FILE lists all"))
    if report is not None:
        content = {
            "folder": str(path),
            "counts": {count.what: {"found": count.found, "published": count.published} for count in found.counts},
            "problems": [{"place": problem.place, "what": problem.what} for problem in problems],
            "notes": [{"place": problem.place, "what": problem.what} for problem in found.notes],
        }
        try:
            write_atomically(report, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
        except OSError as error:
            raise BenchmarkError(f"{report}: cannot be written ({error.strerror})") from None
    if problems:
        raise click.exceptions.Exit(1)
    click.echo("\nnothing is broken")


@data.command()
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--preset", metavar="NAME", help="Decode to the image size of this recipe.  [default: as in `run`]")
@click.option("--size", type=click.IntRange(8, 1024), help="Decode to this size instead, in pixels.")
@click.option("--skip-broken", is_flag=True, help="Leave out what cannot be decoded.")
def cache(name: str, path: Path, preset: str | None, size: int | None, skip_broken: bool) -> None:
    """Decode all images into one file, on all cores; `run` does this on first use.

    NAME is a dataset of `tirg-bench list`. An interrupted start resumes where it stopped.
    """
    from benchmark import tasks
    from benchmark.device import choose_device
    from benchmark.recipe import presets
    from css_gen.progress import Terminal

    folder = tasks.folder_of(name)
    if size is None:
        size = presets.preset(preset or presets.default_preset(choose_device(None))).data.image_size
    for task in tasks.on_folder(folder):
        dataset = task.open(path, image_size=size, reporter=Terminal(), skip_broken=skip_broken)
        shown = f"{len(dataset.train.gallery):,} training and {len(dataset.test.gallery):,} test images of {size} px"
        skipped = f"; {len(dataset.skipped)} left out as broken" if dataset.skipped else ""
        click.echo(f"{task.name}: {shown} are ready{skipped}")


@data.command()
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path))
@LEADERBOARDS
@click.option("--skip-broken", is_flag=True, help="Leave out what cannot be decoded, as in the records.")
def register(name: str, path: Path, out: Path, skip_broken: bool) -> None:
    """Write the hashes of the test queries of a dataset into OUT/datasets.json, with which records are compared.

    NAME is a dataset of `tirg-bench list`. `run`, `submit` and `score` add a dataset that has no record yet. This
    command also replaces an entry, such as after a change of what is relevant.
    """
    from benchmark import tasks
    from benchmark.records import known_queries
    from benchmark.records.making import dataset_card
    from benchmark.scoring.listing import in_order_of_the_gallery
    from css_gen.progress import Terminal

    file = known_queries.place_of(out / "records")
    for task in tasks.on_folder(tasks.folder_of(name)):
        dataset = task.open(path, image_size=_SMALLEST, reporter=Terminal(), skip_broken=skip_broken)
        key = known_queries.Key(task.name, dataset.fingerprint)
        outcomes = in_order_of_the_gallery(dataset.test).outcomes
        queries = known_queries.queries_of(outcomes, dataset_card(dataset, dataset.test))
        try:
            is_new = known_queries.add(file, key, queries, replace=True)
        except OSError as error:
            raise BenchmarkError(f"{file}: cannot be written ({error.strerror}); check the folder") from None
        click.echo(f"{key}: {queries.queries:,} queries, {'written to' if is_new else 'as they are in'} {file}")
