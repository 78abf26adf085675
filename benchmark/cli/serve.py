"""tirg-bench serve: a page in the browser on which trained models answer queries."""

import socket
from contextlib import suppress
from pathlib import Path

import click

from benchmark.cli.options import EXACT, INDEX, PLACES, RUNS, by_name, require_embeddings, runs_and_others
from benchmark.errors import BenchmarkError, UsageError
from css_gen.termination import Terminated

_FILE = click.Path(path_type=Path)
LOCALHOST = "127.0.0.1"


@click.command()
@click.option("--composer", "composers", multiple=True, metavar="NAME",
              help="Offer this composer; repeat it for more.  [default: all that --runs holds]")  # fmt: skip
@click.option("--model", "files", multiple=True, type=_FILE, metavar="FILE",
              help="Offer this model.safetensors, too; repeat it for more.")  # fmt: skip
@click.option(
    "--dataset", metavar="NAME", help="The task whose test images to search.  [default: that of --model, or css]"
)
@click.option("--preset", metavar="NAME", help="The recipe of the runs.  [default: that of each composer's newest run]")
@click.option("--seed", type=click.IntRange(min=0), help="The seed of the runs.  [default: that of each newest run]")
@RUNS
@click.option(
    "--gallery",
    "embedded",
    multiple=True,
    type=_FILE,
    metavar="FILE.npy",
    help="Embeddings of the test images by one of the models, as `embed` writes them; repeat it for more.",
)
@INDEX
@PLACES
@click.option(
    "--host", default=LOCALHOST, show_default=True, help="The address to listen at; 0.0.0.0 is every network."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes any that is free."
)
@click.option("--device", metavar="NAME", help="cpu, cuda or cuda:N.  [default: a GPU if there is one]")
def serve(
    composers: tuple[str, ...], files: tuple[Path, ...], dataset: str | None, preset: str | None, seed: int | None,
    runs: Path | None, embedded: tuple[Path, ...], index: str, places: tuple[tuple[str, Path], ...], host: str,
    port: int, device: str | None,
) -> None:  # fmt: skip
    """Open a page on which trained models answer queries, two side by side.

    Choose or upload an image, say what to change, and see the ranked test images, which of them are right, and why
    the others are wrong. Only this machine can reach the page, unless --host says otherwise.

    \b
    tirg-bench serve                                      every composer in runs/
    tirg-bench serve --composer tirg --composer film --dataset css-2d3d
    """
    try:
        import uvicorn

        from benchmark.serve.app import LOCAL, make_app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise UsageError("serve needs starlette and uvicorn: pip install 'css-bench[app]'") from None
    from benchmark import tasks
    from benchmark.device import choose_device
    from benchmark.search.embedded_gallery import EmbeddedGallery
    from benchmark.search.gallery import data_or_small
    from benchmark.search.stored_models import find_model, newest_models
    from benchmark.serve.service import Service
    from css_gen.progress import Terminal

    require_embeddings(index, has_file=bool(embedded))
    given, device = by_name(places), choose_device(device)
    task = tasks.get(dataset or _task_of(files)).name
    own, others = runs_and_others(runs)
    paths = {name: find_model(own, name, task, preset, seed, others=others) for name in composers}
    if not composers and not files:
        paths = newest_models(own, task, preset, seed, others=others)
    for file in files:
        paths[_name(file, paths)] = file
    # The port is taken first, so that nobody waits for a model and learns then that it is not free.
    listening = _listen(host, port)
    with listening:
        reporter = Terminal()
        galleries = [EmbeddedGallery(file) for file in embedded]
        root = data_or_small(task, given, reporter=reporter)
        service = Service(paths, task, root, device=device, reporter=reporter, embedded=galleries)
        for gallery in galleries if index != EXACT else ():
            gallery.use_faiss(reporter)
        address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
        is_local = host in (LOCALHOST, "localhost", "::1")
        app = make_app(service, hosts=LOCAL if is_local else ("*",))
        count = f"{len(paths)} composer{'' if len(paths) == 1 else 's'}"
        click.echo(f"{len(service.gallery):,} images of {task}, {count}: open {address} (Ctrl-C ends it)")
        if not is_local:
            click.echo(
                "whoever can reach this machine can use the page: it has no password and no encryption", err=True
            )
        config = uvicorn.Config(app, log_level="error", limit_concurrency=100, timeout_graceful_shutdown=1)
        with suppress(KeyboardInterrupt, Terminated):  # how a server is meant to end
            uvicorn.Server(config).run(sockets=[listening])


def _task_of(files: tuple[Path, ...]) -> str:
    from benchmark.training.checkpoint import Checkpoint

    return Checkpoint.read(files[0]).run.task if files else "css"


def _name(file: Path, taken: dict[str, Path]) -> str:
    """The name to show for a model's file: its composer's, with a number if others have that name."""
    from benchmark.training.checkpoint import Checkpoint

    composer = Checkpoint.read(file).run.composer
    names = (composer, *(f"{composer} ({number})" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def _listen(host: str, port: int) -> socket.socket:
    try:
        kind = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=kind, backlog=128)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BenchmarkError(
            f"--host {host} --port {port}: cannot listen there ({why}); --port 0 takes a free one"
        ) from None
