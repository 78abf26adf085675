"""tirg-bench search and embed: rank images for one query with a trained model, and prepare a large gallery for it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.cli.options import EXACT, INDEX, PLACES, RUNS, by_name, require_embeddings, runs_and_others
from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from benchmark.search.answer import Found
    from benchmark.search.model import Model
    from css_gen.progress import Reporter

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
@click.option(
    "--gallery",
    type=_FILE,
    metavar="FOLDER|FILE",
    help="Search the JPEG and PNG files in this folder, or a .npy file of `embed`, and not the dataset.",
)
@INDEX
@PLACES
@click.option("--k", type=click.IntRange(1, 1000), default=10, show_default=True, help="Number of answers.")
@click.option("--out", type=_FILE, metavar="FILE", help="Also write the answers as one self-contained HTML page.")
@click.option("--device", metavar="NAME", help="cpu, cuda or cuda:N.  [default: a GPU if there is one]")
def search(
    composer: str | None, image: str, text: str, dataset: str | None, preset: str | None, seed: int | None,
    runs: Path | None, model: Path | None, gallery: Path | None, index: str, places: tuple[tuple[str, Path], ...],
    k: int, out: Path | None, device: str | None,
) -> None:  # fmt: skip
    """Rank images for one query: an image, and a text that says what to change.

    The query's own image is left out. Where scenes are known, each answer is marked as relevant or not.

    \b
    tirg-bench search --composer tirg --image 3 --text "make top-left cube red" --out page.html
    tirg-bench search --composer tirg --image my.png --text "add red sphere" --gallery my-images
    """
    from rich.console import Console

    from benchmark import tasks
    from benchmark.search.embedded_gallery import EmbeddedGallery
    from benchmark.search.folder_gallery import FolderGallery
    from benchmark.search.gallery import Gallery, data_or_small
    from benchmark.search.model import Asked
    from benchmark.search.page import search_page
    from benchmark.search.query_image import printable, resampling
    from css_gen.progress import Terminal
    from css_gen.storage.atomic import write_atomically

    given = by_name(places)
    require_embeddings(index, has_file=gallery is not None and gallery.suffix == ".npy")
    if dataset is not None:
        dataset = tasks.get(dataset).name
    if out is not None and not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}")
    reporter = Terminal()
    answering, path = _model(composer, dataset, preset, seed, runs, model, device, reporter)
    identity = answering.identity

    task = dataset or identity.task
    asked: Asked = Path(image)
    searched: Gallery | None = None
    embedded: EmbeddedGallery | None = None
    if gallery is not None and gallery.suffix == ".npy":
        searched = embedded = EmbeddedGallery(gallery)
    elif gallery is not None:
        method = resampling(identity.task)
        searched = FolderGallery(gallery, image_size=answering.image_size, resampling=method)
    is_row = image.isdecimal() and image.isascii()
    shows_tests = out is not None and embedded is not None and embedded.fingerprint != ""
    if is_row or searched is None or shows_tests:
        tests = answering.test_images(task, data_or_small(task, given, reporter=reporter))
        asked = tests.query_by_row(int(image)) if is_row else asked
        searched = searched or tests
        if embedded and embedded.fingerprint == tests.fingerprint:
            embedded.pictures = tests
    if embedded and not embedded.weights:
        reporter.message(
            f"tirg-bench: {gallery} does not say which model made it; its rows are taken for embeddings by this model"
        )
    exact = answering.rank(asked, text, k, gallery=searched) if index != EXACT else None
    if embedded and exact:
        embedded.use_faiss(reporter)
    found = answering.rank(asked, text, k, gallery=searched)
    if exact:
        best = {answer.row for answer in exact.answers}
        among = len(best & {answer.row for answer in found.answers})
        reporter.message(f"tirg-bench: for this query, faiss found {among} of the first {len(best)} of exact search")
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


@click.command()
@click.option("--composer", metavar="NAME", help="The composer whose model to use; not needed with --model.")
@click.option("--dataset", metavar="NAME", help="The task whose test images to embed.  [default: as in `search`]")
@click.option("--preset", metavar="NAME", help="The recipe of the run.  [default: that of the newest run]")
@click.option("--seed", type=click.IntRange(min=0), help="The seed of the run.  [default: that of the newest run]")
@RUNS
@click.option("--model", type=_FILE, metavar="FILE", help="This model.safetensors instead of one of --runs.")
@click.option("--gallery", type=_FILE, metavar="FOLDER", help="Embed the JPEG and PNG files in it, not the dataset.")
@PLACES
@click.option("--out", type=_FILE, required=True, metavar="FILE.npy", help="The file to write.")
@click.option("--device", metavar="NAME", help="cpu, cuda or cuda:N.  [default: a GPU if there is one]")
def embed(
    composer: str | None, dataset: str | None, preset: str | None, seed: int | None, runs: Path | None,
    model: Path | None, gallery: Path | None, places: tuple[tuple[str, Path], ...], out: Path, device: str | None,
) -> None:  # fmt: skip
    """Write the embeddings of a gallery to a file, for `search` and `serve --gallery FILE.npy`.

    These commands read it in chunks, so that a gallery may be larger than memory. A second file, NAME.arrow, has the
    name and the scene of each image, and the hash of the model.

    \b
    tirg-bench embed --composer tirg --gallery my-images --out my-images.npy
    tirg-bench search --composer tirg --image my.png --text "add red sphere" --gallery my-images.npy
    """
    from benchmark import tasks
    from benchmark.search.folder_gallery import FolderGallery
    from benchmark.search.gallery import Gallery, data_or_small
    from benchmark.search.query_image import resampling
    from css_gen.progress import Terminal

    given = by_name(places)
    if out.suffix != ".npy" or not out.parent.is_dir():
        raise UsageError(f"--out {out}: expected the name of a .npy file in a folder that is there")
    if dataset is not None:
        dataset = tasks.get(dataset).name
    reporter = Terminal()
    embedding, _ = _model(composer, dataset, preset, seed, runs, model, device, reporter)
    task = dataset or embedding.identity.task
    images: Gallery
    if gallery is None:
        images = embedding.test_images(task, data_or_small(task, given, reporter=reporter))
    else:
        method = resampling(embedding.identity.task)
        images = FolderGallery(gallery, image_size=embedding.image_size, resampling=method)
    count = embedding.embed(images, out)
    for name, why in images.broken.items():
        reporter.message(f"tirg-bench: left out: {name} {why}")
    click.echo(f"{out}: {count:,} images of {images.title}, by {embedding.identity}")


def _model(
    composer: str | None, dataset: str | None, preset: str | None, seed: int | None, runs: Path | None,
    file: Path | None, device: str | None, reporter: "Reporter",
) -> "tuple[Model, Path]":  # fmt: skip
    """Load the model that the options name; return it and its file.

    Raises:
        UsageError: the options exclude each other, or the composer or the device is unknown.
        BenchmarkError: there is no such model.
    """
    import models
    from benchmark.device import choose_device
    from benchmark.records.store import SUBMISSIONS
    from benchmark.search.model import Model
    from benchmark.search.stored_models import find_model
    from models.parts import unknown

    if file is None and composer is None:
        raise UsageError("say which model answers: either --composer NAME, or --model FILE")
    own, trained = runs_and_others(runs)
    is_submission = composer is not None and any(own.glob(f"{SUBMISSIONS}/{composer}-*"))
    if composer is not None and composer not in models.names() and not is_submission:
        raise UsageError(unknown("composer", composer, models.names()))
    if file is not None and (preset is not None or seed is not None):
        raise UsageError("--model names one file: --preset and --seed choose among those of --runs, leave them out")
    path = file or find_model(own, composer or "", dataset or "css", preset, seed, others=trained)
    found = Model.load(path, device=choose_device(device), reporter=reporter)
    if composer not in (None, found.identity.composer):
        raise UsageError(f"--model {path} is of {found.identity.composer}, not of {composer}")
    return found, path


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
