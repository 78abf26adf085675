"""tirg-bench: train composers, score them, and rank them.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.cli.compare import compare
from benchmark.cli.data import data
from benchmark.cli.options import FOLDER, LEADERBOARDS, PLACES, SEEDS, by_name
from benchmark.cli.search import search
from benchmark.cli.submission import check, new, submit
from benchmark.cli.verify import verify
from benchmark.errors import BenchmarkError
from css_gen.cli_errors import Commands
from css_gen.entry import PACKAGES

if TYPE_CHECKING:
    from benchmark.recipe.config import Config
    from benchmark.runs.grid import Finished
    from benchmark.training.progress import RunReporter


@click.group(
    cls=Commands,
    program="tirg-bench",
    packages=PACKAGES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="css-bench", prog_name="tirg-bench")
@click.option("--debug", is_flag=True, help="Show tracebacks; may stand anywhere.")
def main(debug: bool) -> None:
    """Train the composers of composed image retrieval on one recipe, and rank them.

    \b
    tirg-bench run --all                        everything: every composer on every dataset that is there
    tirg-bench run --composer tirg --set training.steps=500
    tirg-bench list                             what there is to run
    tirg-bench compare tirg concat              whether two rows of a table really differ
    tirg-bench new my_composer.py               a composer of yours; then `check` and `submit` it
    tirg-bench verify                           whether records and tables can be believed
    """


@main.command()
@click.option("--all", "everything", is_flag=True, help="Every composer on every dataset that is there.")
@click.option("--composer", "composers", multiple=True, metavar="NAME", help="A composer; may be given several times.")
@click.option(
    "--dataset", "dataset_names", multiple=True, metavar="NAME",
    help="A dataset; may be given several times.  [default: all that are there]",
)  # fmt: skip
@click.option("--preset", metavar="NAME", help="The recipe.  [default: standard on a GPU, else quick]")
@click.option("--seed", "seed", type=click.IntRange(min=0), help="One seed.  [default: 0]")
@click.option("--seeds", type=SEEDS, help="How many seeds, counted from 0, or which: 3 is 0,1,2.")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE",
    help="Change a part of the recipe, such as training.steps=500; `tirg-bench list` shows all parts.",
)  # fmt: skip
@PLACES
@click.option("--skip-broken", is_flag=True, help="Leave out broken images and queries; the record says how many.")
@click.option("--pretrained", metavar="torchvision|FILE", help="Start the image encoder from these weights.")
@click.option("--device", metavar="NAME", help="cpu, cuda or cuda:N.  [default: a GPU if there is one]")
@LEADERBOARDS
@click.option("--runs", type=FOLDER, default=Path("runs"), show_default=True, help="Checkpoints, models and curves.")
@click.option(
    "--checkpoint-seconds", type=click.FloatRange(min=0), default=20, show_default=True,
    help="Time between two checkpoints of a run.",
)  # fmt: skip
@click.pass_context
def run(
    context: click.Context,
    everything: bool, composers: tuple[str, ...], dataset_names: tuple[str, ...], preset: str | None, seed: int | None,
    seeds: tuple[int, ...] | None, assignments: tuple[str, ...], places: tuple[tuple[str, Path], ...],
    skip_broken: bool, pretrained: str | None, device: str | None, out: Path, runs: Path, checkpoint_seconds: float,
) -> None:  # fmt: skip
    """Train and score composers; the tables are written anew after each run.

    What has a valid record of the same recipe is skipped, and an interrupted run goes on where it stopped. If the CSS
    dataset is not there it is rendered first.
    """
    from benchmark import tasks as datasets
    from benchmark.recipe import config
    from benchmark.training.progress import RunTerminal

    if everything == bool(composers):
        raise click.UsageError("say what to run: either --all, or --composer NAME")
    if seed is not None and seeds is not None:
        raise click.UsageError("--seed and --seeds exclude each other")
    given = by_name(places)
    if preset is not None:
        config.preset(preset)
    wanted = tuple(datasets.get(name).name for name in dataset_names) or datasets.present_or_made(given)

    import models
    from benchmark.device import choose_device
    from benchmark.leaderboard.files import write_leaderboards
    from benchmark.runs import grid as runner
    from benchmark.runs.single_run import Bench

    device = choose_device(device)
    base = config.preset(preset or config.default_preset(device))

    def recipe(dataset: str) -> "Config":
        task = datasets.get(dataset)
        weights = (f"model.pretrained={pretrained}", *task.pretrained_changes) if pretrained else ()
        return config.override(config.adapted(base, task.recipe_changes), (*weights, *assignments))

    reporter = RunTerminal()
    bench = Bench(
        config=recipe("css"),
        recipes={name: recipe(name) for name in wanted},
        device=device,
        reporter=reporter,
        places=given,
        skip_broken=skip_broken,
        leaderboards=out,
        runs=runs,
        seconds_between_checkpoints=checkpoint_seconds,
    )
    todo = runner.grid(composers or models.names(), wanted, seeds or (seed or 0,))
    runner.require_writable(bench)
    _render_missing(wanted, given, reporter)
    finished = []
    for one in runner.run_all(todo, bench):
        finished.append(one)
        if one.is_new and one.record and bench.is_on_leaderboard:
            write_leaderboards(bench.records, out)
        if one.traceback and context.find_root().params["debug"]:
            click.echo(one.traceback, err=True)
    _print_results(finished, bench.records, out if bench.is_on_leaderboard else None)


@main.command("list")
def list_() -> None:
    """What there is to run: composers, datasets, presets and the parts of their recipes."""
    from rich.console import Console
    from rich.table import Table

    import models
    from benchmark import tasks as datasets
    from benchmark.recipe import config
    from models.registry import get

    cards = [get(name).info for name in models.names()]
    presets = [config.preset(name) for name in config.preset_names()]
    contents: dict[str, list[tuple[str, ...]]] = {
        "Composers": [("Name", "Year", "Paper"), *((card.name, str(card.year), card.paper) for card in cards)],
        "Datasets": [
            ("Name", "What", "Where"),
            *((name, datasets.get(name).about, _where(name)) for name in datasets.names()),
        ],
        "Presets": [("Name", "What"), *((each.preset, config.preset_about(each.preset)) for each in presets)],
        "Recipes (--set KEY=VALUE)": [
            ("Key", *(each.preset for each in presets)),
            *((key, *(_value(each, key) for each in presets)) for key in config.keys()),  # noqa: SIM118  no dict
        ],
    }
    console = Console(highlight=False)
    for title, (columns, *rows) in contents.items():
        table = Table(*columns[:-1], title=title, title_justify="left", box=None)
        table.add_column(columns[-1], no_wrap=title == "Datasets")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        console.print()


@main.command()
@LEADERBOARDS
@click.option("--html", is_flag=True, help="Also write a static site, with pictures, into OUT/site.")
def leaderboard(out: Path, html: bool) -> None:
    """Write the tables again from the records, and print them."""
    if html:
        from benchmark.leaderboard.site import write_site

        write_site(out / "records", out)
        click.echo(f"the site is {out / 'site' / 'index.html'}")
    _print_results([], out / "records", out)


main.add_command(data)
main.add_command(compare)
main.add_command(verify)
main.add_command(search)
main.add_command(new)
main.add_command(check)
main.add_command(submit)


def _value(recipe: "Config", key: str) -> str:
    part, _, name = key.partition(".")
    value = getattr(getattr(recipe, part), name)
    return f"{value:g}" if isinstance(value, float) else str(value) or "-"


def _where(dataset: str) -> str:
    """The folder of a dataset, and what happens if nothing is in it."""
    from benchmark import tasks as datasets

    place = datasets.locate(dataset, {})
    if place.exists():
        return str(place)
    return f"{place} (absent: {'`run` makes it' if datasets.get(dataset).make else 'yours to get'})"


def _render_missing(dataset_names: tuple[str, ...], places: dict[str, Path], reporter: "RunReporter") -> None:
    """Make the datasets that are wanted, absent from their usual place, and ours to make."""
    from benchmark import tasks as datasets

    for name in dataset_names:
        datasets.make_if_absent(name, places, reporter)


def _print_results(finished: "list[Finished]", records: Path, out: Path | None) -> None:
    """The boards, the failures below them, and where the tables lie; exits with 1 if anything went wrong."""
    from rich.console import Console

    from benchmark.leaderboard.files import build, load_records, print_table, write_leaderboards

    failures = {str(one.run): one.failure for one in finished if one.failure}
    problems: tuple[str, ...] = ()
    if records.is_dir():
        if out is not None:
            problems = write_leaderboards(records, out).problems
        stored, _ = load_records(records)
        Console(highlight=False).print(print_table(build(stored), failures))
    elif not finished:
        raise BenchmarkError(f"{records}: there are no records yet; `tirg-bench run` makes them")
    if out is not None and records.is_dir():
        click.echo(f"the tables lie in {out}")
    for problem in problems:
        click.echo(f"tirg-bench: left out: {problem}", err=True)
    for name, failure in failures.items():
        click.echo(f"tirg-bench: failed: {name}: {failure}", err=True)
    if problems or failures:
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
