"""tirg-bench ablate: train a composer with one thing changed at a time."""

from typing import Any

import click

from benchmark.cli.run_options import run_options, set_up


@click.command()
@click.argument("composer")
@run_options
@click.pass_context
def ablate(context: click.Context, /, composer: str, **options: Any) -> None:
    """Train the ablations of COMPOSER, and write their table.

    Each setting changes one thing: a part of the composer, the task or the recipe. A setting identical to a run of
    the leaderboards uses its record, or makes it as `tirg-bench run` does. Other records go to OUT/ablations and do
    not appear on the boards of composers.

    Runs with a valid record are skipped, and interrupted ones resume. The datasets are those that the paper reports
    the ablation on, where they are available.
    """
    from benchmark import ablations

    ablation = ablations.get(composer)
    setup = set_up(**options, usual=ablation.tasks)

    from rich.console import Console

    from benchmark import tasks as datasets
    from benchmark.ablations.runs import plan, records_of_ablations, run_ablation, titles
    from benchmark.leaderboard.ablation_sections import sections
    from benchmark.leaderboard.ablation_tables import terminal_table
    from benchmark.leaderboard.files import load_ablations, load_records, write_leaderboards

    bench = setup.bench
    for task in setup.tasks:
        datasets.make_if_absent(task, bench.places, bench.reporter)
    failures = []
    for one in run_ablation(plan(ablation, setup.tasks, setup.seeds, bench), bench):
        if one.failure:
            settings = ", ".join(titles(ablation, one.run, setup.tasks, bench))
            failures.append(f"{settings} ({one.run}): {one.failure}")
        if one.is_new and one.record and bench.is_on_leaderboard:
            write_leaderboards(bench.records, bench.leaderboards)
        if one.traceback and context.find_root().params["debug"]:
            click.echo(one.traceback, err=True)
    stored, problems = load_records(bench.records)
    own, further = load_ablations(bench.records.parent)
    problems += further
    console = Console(highlight=False)
    for section in sections(ablation, stored, own):
        console.print(terminal_table(section))
    if bench.is_on_leaderboard:
        written = write_leaderboards(bench.records, bench.leaderboards)
        problems = list(written.problems)
        table = bench.leaderboards / f"{composer}-ablations.md"
        if table in written.files:
            click.echo(f"the table is {table}")
    else:
        click.echo(f"scored on the validation part: the records are in {records_of_ablations(bench.records.parent)}")
    for problem in problems:
        click.echo(f"tirg-bench: left out: {problem}", err=True)
    for failure in failures:
        click.echo(f"tirg-bench: failed: {failure}", err=True)
    if problems or failures:
        raise click.exceptions.Exit(1)
