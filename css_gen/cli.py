"""css-gen: render, inspect, verify, show and export a CSS dataset.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

import io
import sys
import time
from pathlib import Path

import click

from css_gen.cli_errors import Commands
from css_gen.cli_options import Place, Share, Words
from css_gen.errors import DatasetError
from css_gen.export import names as layouts

FOLDER = click.Path(path_type=Path)


@click.group(
    cls=Commands,
    program="css-gen",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="css-bench", prog_name="css-gen")
@click.option("--debug", is_flag=True, help="Show the traceback of an unexpected error.")
def main(debug: bool) -> None:
    """Render, inspect and verify the CSS dataset for composed image retrieval.

    \b
    css-gen render --n 20000            make a dataset in data/css
    css-gen show data/css               look at it
    css-gen verify data/css             check checksums, images and queries
    """
    del debug  # `Commands` has read it
    # The name of a folder need not be UTF-8; it is printed as it is.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")


@main.command()
@click.option("--n", "images", type=int, default=None, help="Images in both splits together; the original has 38024.")
@click.option("--train", type=int, default=None, help="In place of --n: images of the training split.")
@click.option("--test", type=int, default=None,
              help="With --train: images of the test split, which do not depend on --train.")  # fmt: skip
@click.option("--out", type=Place(), default=None,
              help="Folder to write to, or a URL as s3://BUCKET/css.  [default: data/css, data/css-TRACK]")  # fmt: skip
@click.option("--track", metavar="NAME", default="css", show_default=True,
              help="What the queries ask: css, or a hard track; an unknown name lists them.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Each seed gives a different dataset.")
@click.option("--nuisance-seed", type=int, default=None,
              help="Draw lights, camera, positions, rotations and materials as this --seed would, and keep scenes and "
              "queries.  [default: --seed]")  # fmt: skip
@click.option("--size", type=int, default=224, show_default=True, help="Width and height of each image in pixels.")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Number of processes.  [default: all cores]")
@click.option("--test-fraction", type=float, default=None,
              help="With --n: share of images in the test split.  [default: 0.5]")  # fmt: skip
@click.option(
    "--names", type=click.Choice(["2d", "3d"]), default="2d", show_default=True,
    help="Shape names in the texts: rectangle, circle, triangle (2d, as the original) or cube, sphere, cylinder (3d).",
)  # fmt: skip
@click.option(
    "--materials",
    type=Words("rubber", "metal", at_least_one=True),
    default="rubber",
    show_default=True,
    help="Materials to draw from, at random per object.",
)
@click.option(
    "--no-jitter", type=Words("position", "rotation", "camera", "lights"), default="", help="Nuisances to hold fixed."
)
@click.option(
    "--view", type=click.Choice(["grid", "clevr"]), default="grid", show_default=True,
    help="Camera: grid fills the frame with the 3x3 grid, clevr is CLEVR's own view.",
)  # fmt: skip
@click.option(
    "--with", "extras", type=Words("masks", "depth", "geometry"), default="",
    help="Extra columns per image: an object mask, a depth map, the geometry of objects, camera and lamps.",
)  # fmt: skip
@click.option("--shard", type=Share(), default=None,
              help="Render one part of N, beside other processes; the last to end completes the dataset.")  # fmt: skip
@click.option("--executor", type=click.Choice(["local", "ray"]), default="local", show_default=True,
              help="Where to render: processes of this machine, or Ray (pip install 'css-bench[ray]').")  # fmt: skip
@click.option("--address", metavar="ADDRESS", default=None,
              help="Ray cluster to use, such as auto or HOST:PORT.  [default: start Ray on this machine]")  # fmt: skip
@click.option("--force", is_flag=True, help="Delete the dataset in the folder and start over.")
@click.option("--yes", is_flag=True, help="Render even if the disk looks too small.")
def render(
    images: int | None, train: int | None, test: int | None, out: Path | str | None, track: str, seed: int,
    nuisance_seed: int | None, size: int, jobs: int | None, test_fraction: float | None, names: str,
    materials: tuple[str, ...], no_jitter: tuple[str, ...], view: str, extras: tuple[str, ...],
    shard: tuple[int, int] | None, executor: str, address: str | None, force: bool, yes: bool,
) -> None:  # fmt: skip
    """Render a dataset. After an interruption, the same command resumes.

    Several machines that share a folder render it together, to the same bytes if their processors are alike: with Ray,
    or under any scheduler with --shard 1/8 to --shard 8/8 as eight jobs. A job that failed is started again, or a
    render without --shard makes what is missing.
    """
    from css_gen import render as writing
    from css_gen.object_store import render_to_url
    from css_gen.part import render_part
    from css_gen.pool import available_cores
    from css_gen.progress import Terminal
    from css_gen.ray_executor import RayExecutor
    from css_gen.rendering.nuisance import Jitter
    from css_gen.storage.configuration import HALF, SWITCHES, Configuration
    from css_gen.storage.estimate import estimated_bytes, refuse_too_large, require_large_enough
    from css_gen.storage.folder import Part
    from css_gen.storage.manifest import Manifest

    if shard and (force or executor != "local"):
        raise click.UsageError(
            "--shard renders on this machine beside other processes: leave --force and --executor out"
        )
    if address and executor != "ray":
        raise click.UsageError("--address is of a Ray cluster: add --executor ray")
    reporter = Terminal()
    total = _images_in_all(images, train, test, test_fraction)
    try:
        jitter = Jitter(**{name: name not in no_jitter for name in SWITCHES}, materials=materials)
        configuration = Configuration(
            images=total, seed=seed, nuisance_seed=nuisance_seed, size=size,
            test_fraction=HALF if test_fraction is None else test_fraction,
            test_images=test, names=names, view=view, jitter=jitter, extras=extras, track=track,
        )  # fmt: skip
        require_large_enough(configuration, by_split=images is None)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    out = out or Path("data") / configuration.dataset_name
    if isinstance(out, Path):
        if not force and (manifest := writing.finished(out, configuration)):
            click.echo(f"{out} is complete: {total} images, fingerprint {manifest.fingerprint[:16]}; nothing to do")
            return
        writing.warm_up(configuration, reporter)
        refuse = refuse_too_large(out, estimated_bytes(configuration))
        if refuse and not yes:
            raise click.UsageError(refuse)
    elif force:
        raise click.UsageError("--force deletes in folders alone: delete what is at the URL, or use another")
    started = time.monotonic()
    processes = jobs or available_cores()
    part = Part(*shard) if shard else None
    on_ray = RayExecutor(address, jobs) if executor == "ray" else None
    made: Manifest | None
    if isinstance(out, str):
        made = render_to_url(out, configuration, jobs=processes, part=part, reporter=reporter, executor=on_ray)
    elif part:
        made = render_part(out, configuration, part, jobs=processes, reporter=reporter)
    else:
        made = writing.render(out, configuration, jobs=processes, force=force, reporter=reporter, executor=on_ray)
    if made is None:
        click.echo(f"{out}: part {part} is rendered, other parts are missing")
        return
    seconds = time.monotonic() - started
    click.echo(
        f"{out}: {total} images in {seconds:.0f} s, fingerprint {made.fingerprint[:16]}"
        + (f"; look at it with: css-gen show {out}" if isinstance(out, Path) else "")
    )


def _images_in_all(images: int | None, train: int | None, test: int | None, test_fraction: float | None) -> int:
    """Return how many images both splits hold, given by --n or by --train and --test."""
    if images is not None and train is None and test is None:
        return images
    if images is not None or train is None or test is None:
        raise click.UsageError("give the number of images either by --n, or by --train and --test")
    if test_fraction is not None:
        raise click.UsageError("--test-fraction divides what --n gives; leave it out beside --train and --test")
    return train + test


@main.command()
@click.argument("folder", type=FOLDER)
@click.option("--all", "all_files", is_flag=True, help="Read all files of a dataset of more than 400, too.")
def info(folder: Path, all_files: bool) -> None:
    """Print counts, kinds of modification, held-out combinations and the fingerprint of a dataset."""
    from css_gen.description import print_description
    from css_gen.progress import Terminal

    print_description(folder, reporter=Terminal(), all_files=all_files)


@main.command()
@click.argument("folder", type=FOLDER)
@click.option("--repair", is_flag=True, help="Render broken files again, then verify.")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Number of processes.  [default: all cores]")
def verify(folder: Path, repair: bool, jobs: int | None) -> None:
    """Check every checksum, image and query of a dataset, and list what is broken."""
    from css_gen.pool import available_cores
    from css_gen.progress import Terminal
    from css_gen.repair import repair as make_again
    from css_gen.verify import verify as problems_of

    reporter = Terminal()
    cores = jobs or available_cores()
    if repair:
        made = make_again(folder, jobs=cores, reporter=reporter)
        click.echo(f"{folder}: repaired: {', '.join(made)}" if made else f"{folder}: nothing to repair")
    problems = problems_of(folder, jobs=cores, reporter=reporter)
    for problem in problems:
        click.echo(str(problem))
    if problems:
        advice = "" if repair else f"; `css-gen verify {folder} --repair` renders what is broken again"
        raise DatasetError(f"{folder} has {len(problems)} problem{'s' if len(problems) > 1 else ''}{advice}")
    click.echo(f"{folder} is sound: every checksum, image and query is correct")


@main.command()
@click.argument("folder", type=FOLDER)
@click.option("--queries", type=click.IntRange(1, 200), default=12, show_default=True, help="Queries to show.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("sheet.png"), show_default=True,
              help="Picture file to write.")  # fmt: skip
@click.option("--split", type=click.Choice(["train", "test"]), default="test", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the choice of queries.")
def show(folder: Path, queries: int, out: Path, split: str, seed: int) -> None:
    """Draw some queries as a picture: source, text and target, in 3D and 2D; on a track with the wrong answers."""
    from css_gen import contact_sheet, dataset
    from css_gen.storage.atomic import write_atomically

    sheet = contact_sheet.draw(dataset.open(folder).split(split), queries=queries, seed=seed)
    write_atomically(out, contact_sheet.to_png(sheet))
    click.echo(f"{out}: {sheet.width}x{sheet.height} pixels")


@main.command()
@click.argument("folder", type=FOLDER)
@click.option("--format", "layout", type=click.Choice(layouts()), required=True, help="Layout to write.")
@click.option("--out", type=FOLDER, required=True, help="A new or empty folder.")
def export(folder: Path, layout: str, out: Path) -> None:
    """Export a dataset to another format."""
    from css_gen import dataset
    from css_gen.export import export_to
    from css_gen.progress import Terminal

    export_to(dataset.open(folder), out, layout, reporter=Terminal())
    click.echo(f"{out}: exported as {layout}")


@main.command()
@click.argument("folder", type=FOLDER)
@click.argument("repo")
@click.option("--private", is_flag=True, help="If the repository is new, make it private.")
@click.option("--dry-run", is_flag=True, help="Print what would be sent; needs neither a token nor a network.")
def push(folder: Path, repo: str, private: bool, dry_run: bool) -> None:
    """Send a dataset to REPO (USER/NAME) on the Hugging Face Hub. After an interruption, the same command resumes.

    It is one commit with a dataset card, so that `datasets.load_dataset("USER/NAME")` reads it. Data files of another
    rendering are removed from the repository. It needs `pip install 'css-bench[hub]'` and `hf auth login`.
    """
    from css_gen import hub
    from css_gen.push import dataset_files, push_dataset

    hub.require_repo(repo)
    if dry_run:
        click.echo("\n".join(hub.planned(repo, "dataset", dataset_files(folder, repo))))
        return
    pushed = push_dataset(folder, repo, private=private)
    what = "commit" if pushed.is_new else "nothing to send, it is already there: commit"
    click.echo(f"{pushed.url}: {what} {pushed.commit[:12]}")


if __name__ == "__main__":
    main()
