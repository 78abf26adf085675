"""tirg-bench explain: what a composer's first images get wrong."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from benchmark.cli.options import LEADERBOARDS
from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from benchmark.explanation.rendered import Rendered
    from benchmark.explanation.summary import Tally
    from benchmark.leaderboard.scores import Scored

_MOST_SCENES = 6
_NOTE = """The first % is the share of all queries, the others are the shares within each
kind of modification. The first two kinds are relevant. Words ×2.0 are twice as
frequent in the texts of these queries as in all texts; "(no cell)" is a text
that names no cell.
"""


class _Found(NamedTuple):
    """What is explained.

    Attributes:
        runs: of a composer, of one recipe on the same data, by seed; or a model, alone.
        named: the composer and its recipe, as the title has them.
        others: fingerprints of further datasets that it has such records of.
        problems: a line for each of its records that is damaged.
    """

    runs: "Sequence[Scored]"
    named: str
    others: tuple[str, ...]
    problems: "Sequence[str]"


@click.command()
@click.option(
    "--composer",
    required=True,
    metavar="NAME",
    help="The composer to explain, or a model that was scored by its ranking.",
)
@click.option(
    "--dataset", default="css", show_default=True, metavar="NAME", help="The task; css-gen has to render its images."
)
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
    the record. Of several datasets, the one of the published leaderboards is explained, or else the first.

    \b
    tirg-bench explain --composer tirg
    tirg-bench explain --composer tirg --query 17
    """
    from rich.console import Console

    from benchmark import tasks
    from benchmark.explanation.rendered import find_rendered
    from benchmark.explanation.summary import tally
    from benchmark.records.store import StoredRecord

    task = tasks.get(dataset)
    if not task.is_rendered:
        known = ", ".join(name for name in tasks.names() if tasks.get(name).is_rendered)
        raise UsageError(
            f"{task.name} is not rendered by css-gen, so its answers cannot be explained; choose one of {known}"
        )
    found = _find(out / "records" / task.name, composer, task.name, preset, seed)
    first = found.runs[0]
    rendered = find_rendered(first)
    if isinstance(rendered, str):
        raise BenchmarkError(f"{first.path}: {rendered}")
    if number is not None and number >= len(rendered.queries):
        raise UsageError(f"--query {number}: {task.name} has queries 0 to {len(rendered.queries) - 1}")
    shown = found.runs if number is None else found.runs[:1]
    answers = []
    for run in shown:
        try:
            answers.append(rendered.answer_kinds(run.outcomes))
        except ValueError as error:
            again = "run" if isinstance(run, StoredRecord) else "score"
            raise BenchmarkError(f"{run.path}: {error}; {again} it again") from None
    seeds = [str(run.record.seed) for run in shown if isinstance(run, StoredRecord)]
    of_seeds = f", seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}" if seeds else ""
    title = f"{found.named}{of_seeds}, dataset {first.record.dataset.fingerprint[:8]}"
    console = Console(highlight=False)
    if number is None:
        tallies = tally(rendered.queries, answers, kinds=rendered.kinds)
        console.print(_table(title, tallies))
        click.echo(_NOTE)
        console.print(_meanings(tallies))
    else:
        click.echo(f"{title}: query {number}\n\n{_said(number, rendered, first)}\n")
        console.print(_cells(number, rendered, first))
    if found.others:
        click.echo(f"Not explained here: its records on dataset {', '.join(each[:8] for each in found.others)}")
    for problem in found.problems:
        click.echo(f"tirg-bench: left out: {problem}", err=True)
    if found.problems:
        raise click.exceptions.Exit(1)


def _find(folder: Path, name: str, task: str, preset: str | None, seed: int | None) -> _Found:
    """What is explained among the records of a task.

    Raises:
        UsageError: a name is unknown among the records, or a recipe or a seed is asked of a model.
        BenchmarkError: there is no such record.
    """
    import models
    from benchmark.records.rankings import is_ranking
    from models.parts import unknown

    there = {path.name for path in folder.iterdir() if any(path.glob("*.json"))} if folder.is_dir() else set()
    if name not in there:
        known = there | set(models.names())
        if name not in known:
            raise UsageError(unknown("composer", name, known))
        raise BenchmarkError(
            f"{folder} has no record of {name}; `tirg-bench run --composer {name} --dataset {task}` makes one"
        )
    if all(map(is_ranking, (folder / name).glob("*.json"))):
        if (preset, seed) != (None, None):
            raise UsageError(f"{name} was scored by its ranking, which has no preset and no seed; leave both out")
        return _model(folder / name, task)
    return _composer(folder / name, task, preset, seed)


def _model(folder: Path, task: str) -> _Found:
    from benchmark.records.rankings import read_ranking

    rankings, problems = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            rankings.append(read_ranking(path))
        except BenchmarkError as error:
            problems.append(str(error))
    if not rankings:
        raise BenchmarkError(problems[0])
    place, others = _preferred([ranking.record.dataset.fingerprint for ranking in rankings])
    return _Found([rankings[place]], f"{folder.name} (its ranking) on {task}", others, problems)


def _composer(folder: Path, task: str, preset: str | None, seed: int | None) -> _Found:
    from benchmark.leaderboard.boards import comparable, label_of
    from benchmark.leaderboard.files import load_records
    from models.parts import unknown

    stored, problems = load_records(folder.parents[1], only=folder)
    if not stored:
        raise BenchmarkError(problems[0])
    boards = comparable(stored)
    labels = {label_of(board[0].record) for board in boards}
    if preset is not None and preset not in labels:
        raise UsageError(unknown("preset", preset, labels))
    boards = [board for board in boards if preset in (None, label_of(board[0].record))]
    place, others = _preferred([board[0].record.dataset.fingerprint for board in boards])
    runs = sorted(boards[place], key=lambda run: run.record.seed)
    chosen = [run for run in runs if seed in (None, run.record.seed)]
    on = f"on {task}, preset {label_of(runs[0].record)}"
    if not chosen:
        seeds = ", ".join(str(run.record.seed) for run in runs)
        raise BenchmarkError(f"{folder.name} has no record with seed {seed} {on}; there is {seeds}")
    return _Found(chosen, f"{folder.name} {on}", others, problems)


def _preferred(fingerprints: "Sequence[str]") -> tuple[int, tuple[str, ...]]:
    """The place of the dataset that the published leaderboards are made on, or else of the first; and the others."""
    from css_gen.storage.configuration import LEADERBOARD_FINGERPRINT

    place = fingerprints.index(LEADERBOARD_FINGERPRINT) if LEADERBOARD_FINGERPRINT in fingerprints else 0
    return place, tuple(dict.fromkeys(each for each in fingerprints if each != fingerprints[place]))


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


def _said(number: int, rendered: "Rendered", run: "Scored") -> str:
    from benchmark.explanation.differences import in_words
    from benchmark.explanation.track_kinds import kind_of_image
    from benchmark.records.rankings import StoredRanking

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
        kind = kind_of_image(query, rendered.scenes, first)
        lines |= {"first image": image(first), "kind": f"{kind}. {kind.meaning}"}
    drawn = f"; drawn target: {run.outcomes.drawn_ranks[number]:,}" if further else ""
    # Beyond the shortest list, the rank of a model's ranking is the last one that it can have.
    bound = "at most " if isinstance(run, StoredRanking) and run.outcomes.ranks[number] > run.record.depth else ""
    lines["rank"] = f"{bound}{run.outcomes.ranks[number]:,}{drawn}"
    return "\n".join(f"{name:14}{line}" for name, line in lines.items())


def _cells(number: int, rendered: "Rendered", run: "Scored") -> "Table":
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
