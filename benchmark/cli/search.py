"""tirg-bench search: ask a trained model one question, about an image of a dataset or of one's own."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.cli.options import PLACES, by_name
from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from benchmark.search.answer import Found

_FILE = click.Path(path_type=Path)


@click.command()
@click.option("--composer", metavar="NAME", help="The composer whose model answers; not needed with --model.")
@click.option("--image", required=True, metavar="PATH|ID", help="An image file, or the number of a test image.")
@click.option("--text", required=True, help='What to change, such as "make top-left cube red".')
@click.option(
    "--dataset", metavar="NAME", help="The dataset that is searched.  [default: the model's with --model, else css]"
)
@click.option("--preset", metavar="NAME", help="The recipe of the run.  [default: that of the newest run]")
@click.option("--seed", type=click.IntRange(min=0), help="The seed of the run.  [default: that of the newest run]")
@click.option("--runs", type=_FILE, default=Path("runs"), show_default=True, help="Where `run` left its models.")
@click.option("--model", type=_FILE, metavar="FILE", help="This model.safetensors instead of one of --runs.")
@click.option("--gallery", type=_FILE, metavar="FOLDER", help="Search the JPEG and PNG files in it, not the dataset.")
@PLACES
@click.option("--k", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many answers.")
@click.option("--out", type=_FILE, metavar="FILE", help="Write the answer as a page too: one HTML file.")
@click.option("--device", metavar="NAME", help="cpu, cuda or cuda:N.  [default: a GPU if there is one]")
def search(
    composer: str | None, image: str, text: str, dataset: str | None, preset: str | None, seed: int | None, runs: Path,
    model: Path | None, gallery: Path | None, places: tuple[tuple[str, Path], ...], k: int, out: Path | None,
    device: str | None,
) -> None:  # fmt: skip
    """Rank images for one query: an image, and a text that says what to change.

    The query's own image is left out. Where scenes are known, each answer is judged by the text.

    \b
    tirg-bench search --composer tirg --image 3 --text "make top-left cube red" --out page.html
    tirg-bench search --composer tirg --image my.png --text "add red sphere" --gallery my-images
    """
    from rich.console import Console

    import models
    from benchmark import tasks as datasets
    from benchmark.device import choose_device, make_accelerator
    from benchmark.recipe.spelling import unknown
    from benchmark.records.store import SUBMISSIONS
    from benchmark.search.answer import embed, find_model, judged, read_model, understood
    from benchmark.search.gallery import DatasetGallery, FolderGallery, Gallery, printable, query_from_file, resampling
    from benchmark.search.page import search_page
    from css_gen.progress import Terminal
    from css_gen.storage.atomic import write_atomically

    given = by_name(places)
    if model is None and composer is None:
        raise UsageError("say which model answers: either --composer NAME, or --model FILE")
    is_submission = composer is not None and any(runs.glob(f"{SUBMISSIONS}/{composer}-*"))
    if composer is not None and composer not in models.names() and not is_submission:
        raise UsageError(unknown("composer", composer, models.names()))
    if dataset is not None:
        datasets.info(dataset)
    if model is not None and (preset is not None or seed is not None):
        raise UsageError("--model names one file: --preset and --seed choose among those of --runs, leave them out")
    if out is not None and not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}")
    device = choose_device(device)

    path = model or find_model(runs, composer or "", dataset or "css", preset, seed)
    network, identity = read_model(path)
    if composer not in (None, identity.composer):
        raise UsageError(f"--model {path} is of {identity.composer}, not of {composer}")
    protocol, size = dataset or identity.task, identity.recipe.data.image_size
    wording = understood(text, network.vocabulary, is_css=identity.task.startswith("css"))
    reporter = Terminal()
    for note in wording.notes:
        reporter.message(f"tirg-bench: {printable(note)}")

    is_row = image.isdecimal() and image.isascii()
    method = resampling(identity.task)
    stored = None
    if is_row or gallery is None:
        place = datasets.locate(protocol, given)
        stored = DatasetGallery(protocol, place, image_size=size, reporter=reporter)
    if stored is not None and is_row:
        start = stored.query_by_row(int(image))
    else:
        start = query_from_file(Path(image), image_size=size, resampling=method)
        start = stored.recognised(start) if stored else start
    searched: Gallery
    if gallery is not None:
        searched = FolderGallery(gallery, image_size=size, resampling=method)
    else:
        assert stored is not None
        searched = stored

    accelerator = make_accelerator(device, "fp32")
    network.arrange(accelerator.device, size)
    own_row = start.row if searched is stored else None
    embedded = embed(
        network, start, wording.text, searched, own_row=own_row, accelerator=accelerator, reporter=reporter
    )
    for name, why in list(searched.broken.items())[:1]:
        others = f" and {len(searched.broken) - 1} more" if len(searched.broken) > 1 else ""
        reporter.message(f"tirg-bench: left out: {name} {why}{others}")
    found = judged(embedded, searched, start, wording.text, network.vocabulary, k=k)

    click.echo(f"{identity}, {printable(path)}\n")
    Console(highlight=False).print(_table(found))
    click.echo("\n" + _summary(found))
    if out is not None:
        page = search_page(found, text=text, wording=wording, image=start, gallery=searched, identity=identity)
        try:
            write_atomically(out, page.encode())
        except OSError as error:
            raise BenchmarkError(f"--out {out}: cannot be written ({error.strerror})") from None
        click.echo(f"the page is {out}")


def _table(found: "Found") -> "Table":
    """Columns that nothing is known for are left out. Names are text, never markup."""
    from rich.table import Column, Table
    from rich.text import Text

    judges = any(answer.is_right is not None for answer in found.answers)
    tells = any(answer.scene is not None for answer in found.answers)
    columns = [Column("Rank", justify="right"), Column("Similarity", justify="right"), Column("Image", overflow="fold")]
    columns += [Column("Right")] * judges + [Column("Scene", overflow="fold")] * tells
    table = Table(*columns, box=None)
    if tells and found.scene is not None:
        query = [Text("-"), Text(""), Text("query"), *[Text("")] * judges, Text(found.scene)]
        table.add_row(*query, style="dim")
    for answer in found.answers:
        cells = [str(answer.rank), f"{answer.similarity:.3f}", answer.name]
        cells += ["yes" if answer.is_right else "no"] * judges + [answer.scene or ""] * tells
        table.add_row(*map(Text, cells))
    return table


def _summary(found: "Found") -> str:
    if not found.applies:
        return "the text does not apply to what the query's image shows, so no image is right"
    if found.right is None:
        return f"{found.candidates:,} images were ranked"
    are = "is right" if found.right == 1 else "are right"
    return f"{found.candidates:,} images were ranked; {found.right:,} {are}: the query's scene after the change"
