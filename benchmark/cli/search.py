"""tirg-bench search: rank images for one query with a trained model."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.cli.options import PLACES, RUNS, by_name, runs_and_others
from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from benchmark.search.answer import Found

_FILE = click.Path(path_type=Path)


@click.command()
@click.option("--composer", metavar="NAME", help="The composer to query; not needed with --model.")
@click.option("--image", required=True, metavar="PATH|ID", help="An image file, or the number of a test image.")
@click.option("--text", required=True, help='What to change, such as "make top-left cube red".')
@click.option(
    "--dataset",
    metavar="NAME",
    help="The task whose test images to search.  [default: the model's with --model, else css]",
)
@click.option("--preset", metavar="NAME", help="The recipe of the run.  [default: that of the newest run]")
@click.option("--seed", type=click.IntRange(min=0), help="The seed of the run.  [default: that of the newest run]")
@RUNS
@click.option("--model", type=_FILE, metavar="FILE", help="This model.safetensors instead of one of --runs.")
@click.option("--gallery", type=_FILE, metavar="FOLDER", help="Search the JPEG and PNG files in it, not the dataset.")
@PLACES
@click.option("--k", type=click.IntRange(1, 1000), default=10, show_default=True, help="Number of answers.")
@click.option("--out", type=_FILE, metavar="FILE", help="Also write the answers as one self-contained HTML page.")
@click.option("--device", metavar="NAME", help="cpu, cuda or cuda:N.  [default: a GPU if there is one]")
def search(
    composer: str | None, image: str, text: str, dataset: str | None, preset: str | None, seed: int | None,
    runs: Path | None, model: Path | None, gallery: Path | None, places: tuple[tuple[str, Path], ...], k: int,
    out: Path | None, device: str | None,
) -> None:  # fmt: skip
    """Rank images for one query: an image, and a text that says what to change.

    The query's own image is left out. Where scenes are known, each answer is marked as relevant or not.

    \b
    tirg-bench search --composer tirg --image 3 --text "make top-left cube red" --out page.html
    tirg-bench search --composer tirg --image my.png --text "add red sphere" --gallery my-images
    """
    from rich.console import Console

    import models
    from benchmark import tasks
    from benchmark.device import choose_device
    from benchmark.records.store import SUBMISSIONS
    from benchmark.search.folder_gallery import FolderGallery
    from benchmark.search.gallery import Gallery, data_or_small
    from benchmark.search.model import Asked, Model
    from benchmark.search.page import search_page
    from benchmark.search.query_image import printable, resampling
    from benchmark.search.stored_models import find_model
    from css_gen.progress import Terminal
    from css_gen.storage.atomic import write_atomically
    from models.parts import unknown

    given = by_name(places)
    if model is None and composer is None:
        raise UsageError("say which model answers: either --composer NAME, or --model FILE")
    own, trained = runs_and_others(runs)
    is_submission = composer is not None and any(own.glob(f"{SUBMISSIONS}/{composer}-*"))
    if composer is not None and composer not in models.names() and not is_submission:
        raise UsageError(unknown("composer", composer, models.names()))
    if dataset is not None:
        dataset = tasks.get(dataset).name
    if model is not None and (preset is not None or seed is not None):
        raise UsageError("--model names one file: --preset and --seed choose among those of --runs, leave them out")
    if out is not None and not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}")
    reporter = Terminal()

    device = choose_device(device)
    path = model or find_model(own, composer or "", dataset or "css", preset, seed, others=trained)
    answering = Model.load(path, device=device, reporter=reporter)
    identity = answering.identity
    if composer not in (None, identity.composer):
        raise UsageError(f"--model {path} is of {identity.composer}, not of {composer}")

    task = dataset or identity.task
    asked: Asked = Path(image)
    searched: Gallery | None = None
    if gallery is not None:
        method = resampling(identity.task)
        searched = FolderGallery(gallery, image_size=answering.image_size, resampling=method)
    is_row = image.isdecimal() and image.isascii()
    if is_row or searched is None:
        tests = answering.test_images(task, data_or_small(task, given, reporter=reporter))
        asked = tests.query_by_row(int(image)) if is_row else asked
        searched = searched or tests
    found = answering.rank(asked, text, k, gallery=searched)
    for note in found.notes:
        reporter.message(f"tirg-bench: {printable(note)}")
    for name, why in list(searched.broken.items())[:1]:
        others = f" and {len(searched.broken) - 1} more" if len(searched.broken) > 1 else ""
        reporter.message(f"tirg-bench: left out: {name} {why}{others}")

    click.echo(f"{identity}, {printable(path)}\n")
    Console(highlight=False).print(_table(found))
    click.echo("\n" + _summary(found))
    if out is not None:
        page = search_page(found, text=text, gallery=searched, identity=identity)
        try:
            write_atomically(out, page.encode())
        except OSError as error:
            raise BenchmarkError(f"--out {out}: cannot be written ({error.strerror})") from None
        click.echo(f"the page is {out}")


def _table(found: "Found") -> "Table":
    """Make the table of answers, without columns that nothing is known for. Names are text, never markup."""
    from rich.table import Column, Table
    from rich.text import Text

    judges = any(answer.is_relevant is not None for answer in found.answers)
    tells = any(answer.scene is not None for answer in found.answers)
    columns = [Column("Rank", justify="right"), Column("Similarity", justify="right"), Column("Image", overflow="fold")]
    columns += [Column("Relevant")] * judges + [Column("Scene", overflow="fold")] * tells
    table = Table(*columns, box=None)
    if tells and found.scene is not None:
        query = [Text("-"), Text(""), Text("query"), *[Text("")] * judges, Text(found.scene)]
        table.add_row(*query, style="dim")
    for answer in found.answers:
        cells = [str(answer.rank), f"{answer.similarity:.3f}", answer.name]
        cells += ["yes" if answer.is_relevant else "no"] * judges + [answer.scene or ""] * tells
        table.add_row(*map(Text, cells))
    return table


def _summary(found: "Found") -> str:
    if not found.applies:
        return "the text does not apply to what the query's image shows, so no image is relevant"
    if found.relevant is None:
        return f"{found.candidates:,} images were ranked"
    are = "is relevant" if found.relevant == 1 else "are relevant"
    return f"{found.candidates:,} images were ranked; {found.relevant:,} {are}: the query's scene after the change"
