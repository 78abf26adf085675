"""tirg-bench data: look over a folder of data that its owners distribute, and decode it before the first run."""

import json
from pathlib import Path

import click

from benchmark.errors import BenchmarkError, UsageError

_SHOWN = 20


@click.group()
def data() -> None:
    """Check and prepare data that only its owners distribute."""


@data.command()
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--write-report", "report", type=click.Path(path_type=Path), help="Write all that was found as JSON.")
def check(name: str, path: Path, report: Path | None) -> None:
    """Say what a folder holds, and what in it cannot be used.

    NAME is fashion200k, mitstates or css-original. Every image is decoded. Exits with 1 if anything cannot be used;
    `run --skip-broken` goes on without it. What is only odd is noted.
    """
    from rich.console import Console
    from rich.table import Table

    from benchmark.recipe.spelling import unknown
    from benchmark.tasks import contents
    from css_gen.progress import Terminal
    from css_gen.storage.atomic import write_atomically

    if name == "css":
        raise UsageError(f"CSS is checked by `css-gen verify {path}`")
    if name not in contents.names():
        raise UsageError(unknown("dataset", name, contents.names()))
    if not path.is_dir():
        raise BenchmarkError(f"{path}: there is no such folder")
    found = contents.contents(name, path)
    problems = (*found.problems, *contents.broken_images(path, found.images, Terminal()))

    table = Table("", "Found", "Published", title=str(path), title_justify="left", box=None)
    for count in found.counts:
        table.add_row(count.what, f"{count.found:,}", "" if count.published is None else f"{count.published:,}")
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    for title, some in (("Cannot be used", problems), ("Odd, and used as it is", found.notes)):
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
    """Decode all images into one file, on all cores; `run` does it by itself on first use.

    NAME is css, fashion200k, mitstates or css-original. An interrupted start goes on where it stopped.
    """
    from benchmark import tasks as datasets
    from benchmark.device import choose_device
    from benchmark.recipe import presets
    from benchmark.recipe.spelling import unknown
    from css_gen.progress import Terminal

    if name not in datasets.folder_names():
        raise UsageError(unknown("dataset", name, datasets.folder_names()))
    if size is None:
        size = presets.preset(preset or presets.default_preset(choose_device(None))).data.image_size
    for protocol in datasets.names():
        if datasets.info(protocol).folder_name == name:
            dataset = datasets.info(protocol).open(path, image_size=size, reporter=Terminal(), skip_broken=skip_broken)
            shown = (
                f"{len(dataset.train.gallery):,} training and {len(dataset.test.gallery):,} test images of {size} px"
            )
            skipped = f"; {len(dataset.skipped)} left out as broken" if dataset.skipped else ""
            click.echo(f"{protocol}: {shown} are ready{skipped}")
