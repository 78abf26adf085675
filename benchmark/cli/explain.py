"""tirg-bench explain: what a composer's first images get wrong."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.cli.options import LEADERBOARDS
from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from benchmark.explanation.rendered import Rendered
    from benchmark.explanation.summary import Tally
    from benchmark.records.store import StoredRecord

_MOST_SCENES = 6
_NOTE = """The first % is the share of all queries, the others are the shares within each
kind of modification. The first two kinds are relevant. Words ×2.0 are twice as
frequent in the texts of these queries as in all texts; "(no cell)" is a text
that names no cell.
"""


@click.command()
@click.option("--composer", required=True, metavar="NAME", help="The composer to explain.")
@click.option("--dataset", default="css", show_default=True, metavar="NAME", help="The task; it must have scenes.")
@click.option("--preset", metavar="NAME", help="The recipe of the run.  [default: the one with most steps]")
@click.option(
    "--seed", type=click.IntRange(min=0), help="The seed of the run.  [default: all seeds; with --query the first]"
)
@click.option("--query", "number", type=click.IntRange(min=0), metavar="N", help="Explain this query, counted from 0.")
@LEADERBOARDS
def explain(composer: str, dataset: str, preset: str | None, seed: int | None, number: int | None, out: Path) -> None:
    """Classify the first image of every query, or explain one query in detail.

    Without --query, counts each kind of answer: its share of all answers, its share for each kind of modification, and
    the words that its queries have more often than all queries.

    Needs the records only, no model and no dataset: scenes and queries are computed again from the configuration in
    the record.

    \b
    tirg-bench explain --composer tirg
    tirg-bench explain --composer tirg --query 17
    """
    from rich.console import Console

    from benchmark import tasks
    from benchmark.explanation.rendered import find_rendered
    from benchmark.explanation.summary import kinds_of_answers, tally
    from benchmark.leaderboard.boards import label_of

    task = tasks.get(dataset)
    if not task.is_rendered:
        known = ", ".join(name for name in tasks.names() if tasks.get(name).is_rendered)
        raise UsageError(f"{task.name} has no scenes, so its answers cannot be explained; choose one of {known}")
    runs, problems = _runs(out / "records" / task.name, composer, task.name, preset, seed)
    record = runs[0].record
    rendered = find_rendered(runs[0])
    if isinstance(rendered, str):
        raise BenchmarkError(f"{runs[0].path}: {rendered}")
    if number is not None and number >= len(rendered.queries):
        raise UsageError(f"--query {number}: {task.name} has queries 0 to {len(rendered.queries) - 1}")
    shown = runs if number is None else runs[:1]
    answers = []
    for run in shown:
        try:
            answers.append(kinds_of_answers(rendered.scenes, rendered.queries, run.outcomes))
        except ValueError as error:
            raise BenchmarkError(f"{run.path}: {error}; run it again") from None
    seeds = ", ".join(str(run.record.seed) for run in shown)
    title = (
        f"{composer} on {task.name}, preset {label_of(record)}, seed{'s' * (len(shown) > 1)} {seeds}, "
        f"dataset {record.dataset.fingerprint[:8]}"
    )
    console = Console(highlight=False)
    if number is None:
        tallies = tally(rendered.queries, answers)
        console.print(_table(title, tallies))
        click.echo(_NOTE)
        console.print(_meanings(tallies))
    else:
        click.echo(f"{title}: query {number}\n\n{_said(number, rendered, shown[0])}\n")
        console.print(_cells(number, rendered, shown[0]))
    for problem in problems:
        click.echo(f"tirg-bench: left out: {problem}", err=True)
    if problems:
        raise click.exceptions.Exit(1)


def _runs(
    folder: Path, composer: str, task: str, preset: str | None, seed: int | None
) -> "tuple[list[StoredRecord], list[str]]":
    """The composer's runs of one recipe on the same data, by seed, and a line for each damaged record of its.

    Raises:
        UsageError: a name is unknown among the records.
        BenchmarkError: there is no such record.
    """
    from benchmark.leaderboard.boards import comparable, label_of
    from benchmark.leaderboard.files import load_records
    from benchmark.recipe.spelling import unknown

    there = {path.name for path in folder.iterdir() if any(path.glob("*.json"))} if folder.is_dir() else set()
    if composer not in there:
        import models

        known = there | set(models.names())
        if composer not in known:
            raise UsageError(unknown("composer", composer, known))
        raise BenchmarkError(
            f"{folder} has no record of {composer}; `tirg-bench run --composer {composer} --dataset {task}` makes one"
        )
    stored, problems = load_records(folder / composer)
    if not stored:
        raise BenchmarkError(problems[0])
    boards = comparable(stored)
    labels = [label_of(board[0].record) for board in boards]
    if preset is not None and preset not in labels:
        raise UsageError(unknown("preset", preset, set(labels)))
    runs = sorted(boards[labels.index(preset) if preset else 0], key=lambda run: run.record.seed)
    chosen = [run for run in runs if seed in (None, run.record.seed)]
    if not chosen:
        seeds = ", ".join(str(run.record.seed) for run in runs)
        raise BenchmarkError(
            f"{composer} has no record with seed {seed} on {task}, preset {label_of(runs[0].record)}; there is {seeds}"
        )
    return chosen, problems


def _table(title: str, tallies: "Sequence[Tally]") -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("First image", no_wrap=True)
    for heading in ("n", "%", *tallies[0].by_modification):
        table.add_column(heading.replace("-", "-\n"), justify="right", no_wrap=True)
    for place, each in enumerate(tallies):
        shares = [f"{share:.1f}" for share in (each.share, *each.by_modification.values())]
        is_last_relevant = each.kind.is_relevant and not tallies[place + 1].kind.is_relevant
        table.add_row(*map(Text, (each.kind, f"{each.answers:,}", *shares)), end_section=is_last_relevant)
    return table


def _meanings(tallies: "Sequence[Tally]") -> "Table":
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(Column(no_wrap=True), Column(overflow="fold"), box=None, show_header=False, pad_edge=False)
    for each in tallies:
        table.add_row(Text(each.kind), Text(each.kind.meaning))
        if each.words and not each.kind.is_relevant:
            words = ", ".join(f"{word.word} ×{word.ratio:.1f}" for word in each.words)
            table.add_row(Text(""), Text(f"Words: {words}"))
    return table


def _said(number: int, rendered: "Rendered", run: "StoredRecord") -> str:
    from benchmark.explanation.answer_kinds import kind_of_answer
    from benchmark.explanation.differences import in_words

    query, names = rendered.queries[number], rendered.configuration.names
    source, target = rendered.scenes[query.source_id], rendered.scenes[query.target_id]

    def image(place: int) -> str:
        return f"image {place}: {in_words(rendered.scenes[place], names=names)}"

    first = int(run.outcomes.top1[number])
    lines = {"text": query.text, "source": image(query.source_id), "drawn target": image(query.target_id)}
    relevant = {scene for scene in rendered.scenes if query.modification.is_target(source, scene)}
    further = sorted(in_words(scene, names=names) for scene in relevant - {target})
    more = f"; and {len(further) - _MOST_SCENES} more" if len(further) > _MOST_SCENES else ""
    images = f"{run.outcomes.relevant[number]:,} of {run.outcomes.candidates[number]:,} images"
    lines["relevant"] = f"{images}, with {len(relevant):,} different scene{'s' * (len(relevant) > 1)}"
    if further:
        lines["also relevant"] = f"\n{'':14}".join(further[:_MOST_SCENES]) + more
    if first >= 0:
        kind = kind_of_answer(source, query.modification, target, rendered.scenes[first])
        lines |= {"first image": image(first), "kind": f"{kind}. {kind.meaning}"}
    drawn = f"; drawn target: {run.outcomes.drawn_ranks[number]:,}" if further else ""
    lines["rank"] = f"{run.outcomes.ranks[number]:,}{drawn}"
    return "\n".join(f"{name:14}{line}" for name, line in lines.items())


def _cells(number: int, rendered: "Rendered", run: "StoredRecord") -> "Table":
    """The cells in which source, drawn target and first image are not all the same."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from benchmark.explanation.differences import differing_cells

    query, first = rendered.queries[number], int(run.outcomes.top1[number])
    table = Table("Differing cell", "Source", "Drawn target", box=box.SIMPLE_HEAD, pad_edge=False)
    scenes = [rendered.scenes[query.source_id], rendered.scenes[query.target_id]]
    if first >= 0:
        table.add_column("First image")
        scenes.append(rendered.scenes[first])
    for row in differing_cells(scenes, names=rendered.configuration.names):
        table.add_row(*map(Text, (row.cell, *row.shown)))
    return table
