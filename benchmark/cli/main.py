"""tirg-bench: train composers, score them, and rank them.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.cli.ablate import ablate
from benchmark.cli.any_model import queries, score
from benchmark.cli.compare import compare
from benchmark.cli.data import data
from benchmark.cli.explain import explain
from benchmark.cli.hub import pull, push
from benchmark.cli.options import FOLDER, LEADERBOARDS
from benchmark.cli.plot import plot
from benchmark.cli.rerank import rerank
from benchmark.cli.results import print_results
from benchmark.cli.run import run
from benchmark.cli.scaling import scaling
from benchmark.cli.search import embed, search
from benchmark.cli.serve import serve
from benchmark.cli.submission import check, new, submit
from benchmark.cli.verify import verify
from css_gen.cli_errors import Commands
from css_gen.entry import PACKAGES

if TYPE_CHECKING:
    from benchmark.recipe.schema import Recipe


@click.group(
    cls=Commands,
    program="tirg-bench",
    packages=PACKAGES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="css-bench", prog_name="tirg-bench")
@click.option("--debug", is_flag=True, help="Show tracebacks; accepted anywhere on the line.")
def main(debug: bool) -> None:
    """Train composers for composed image retrieval with a shared recipe, and rank them.

    \b
    tirg-bench run --all                        every composer on every available dataset
    tirg-bench run --composer tirg --set training.steps=500
    tirg-bench list                             composers, datasets, presets, and the keys of recipes
    tirg-bench ablate tirg                      TIRG with one thing changed at a time, as in its paper
    tirg-bench scaling --all --images 2000,10000 --test 10000     R@1 over training images
    tirg-bench compare tirg concat              whether two rows of a table differ significantly
    tirg-bench explain --composer tirg          which errors it makes, how often, and for which words
    tirg-bench plot --width 3.3                 figures for a paper: R@1, curves, cost and slices
    tirg-bench serve                            a page on which trained models answer queries
    tirg-bench new my_composer.py               start a composer of your own; then `check` and `submit` it
    tirg-bench verify                           check records and tables
    tirg-bench rerank                           score models on a test split whose seed was committed to before
    """


@main.command("list")
def list_() -> None:
    """List composers, datasets, presets and the keys of recipes."""
    from rich.console import Console
    from rich.table import Table

    import models
    from benchmark import ablations
    from benchmark import tasks as datasets
    from benchmark.recipe.presets import PRESETS, preset_about, preset_names
    from benchmark.recipe.schema import Recipe
    from models.registry import get

    cards = [get(name).info for name in models.names()]
    contents: dict[str, list[tuple[str, ...]]] = {
        "Composers": [("Name", "Year", "Paper"), *((card.name, str(card.year), card.paper) for card in cards)],
        "Datasets": [
            ("Name", "What", "Where"),
            *((name, datasets.get(name).about, _where(name)) for name in datasets.names()),
        ],
        "Ablations": [
            ("Name", "Settings"),
            *((name, ", ".join(each.title for each in ablations.get(name).settings)) for name in ablations.names()),
        ],
        "Presets": [("Name", "What"), *((name, preset_about(name)) for name in preset_names())],
        "Recipes (--set KEY=VALUE)": [
            ("Key", *preset_names()),
            *((key, *(_value(each, key) for each in PRESETS.values())) for key in Recipe.keys()),  # noqa: SIM118
        ],
    }
    console = Console(highlight=False)
    for title, (columns, *rows) in contents.items():
        table = Table(title=title, title_justify="left", box=None)
        for place, column in enumerate(columns):
            is_whole = column == "Key" or (title == "Datasets" and place != 1)
            table.add_column(column, no_wrap=is_whole, overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        console.print()
    console.print(
        "The paper's soft triplet loss is training.group_size=2 with training.repeats=all;\n"
        "training.group_size=2 alone compares each query with one other target. training.loss=random_triplets is the\n"
        "soft triplet loss of google/tirg's code, which ignores both keys."
    )


@main.command()
@LEADERBOARDS
@click.option("--html", is_flag=True, help="Write a static site of pages and pictures into OUT/site, too.")
@click.option(
    "--page",
    "pages",
    type=FOLDER,
    metavar="FILE",
    multiple=True,
    help="Update the tables of this page, too, such as docs/paper.md; may be given several times.",
)
def leaderboard(out: Path, html: bool, pages: tuple[Path, ...]) -> None:
    """Write the tables from the records, and print them."""
    if html:
        from benchmark.leaderboard.site import write_site

        write_site(out / "records", out)
        click.echo(f"the site is {out / 'site' / 'index.html'}")
    print_results([], out / "records", out, pages=pages)


main.add_command(run)
main.add_command(ablate)
main.add_command(scaling)
main.add_command(data)
main.add_command(compare)
main.add_command(explain)
main.add_command(plot)
main.add_command(verify)
main.add_command(rerank)
main.add_command(search)
main.add_command(embed)
main.add_command(serve)
main.add_command(new)
main.add_command(check)
main.add_command(submit)
main.add_command(queries)
main.add_command(score)
main.add_command(push)
main.add_command(pull)


def _value(recipe: "Recipe", key: str) -> str:
    from benchmark.recipe.label import written

    value = recipe.value(key)
    if isinstance(value, int) and value >= 10_000 and value % 1000 == 0:
        return f"{value // 1000}k"  # five digits do not fit into a column of a terminal with 80
    return written(value) or "-"


def _where(dataset: str) -> str:
    """The folder of a dataset, and what happens if nothing is in it."""
    from benchmark import tasks as datasets

    place = datasets.locate(dataset, {})
    if place.exists():
        return str(place)
    return f"{place} ({'absent: `run` makes it' if datasets.get(dataset).make else 'absent: see README'})"


if __name__ == "__main__":
    main()
