"""tirg-bench queries and score: hand out the queries of a task, and score any model by its rankings."""

from pathlib import Path

import click

from benchmark.cli.options import FOLDER, LEADERBOARDS, PLACES, SKIP_BROKEN, by_name
from benchmark.errors import UsageError


@click.command()
@click.argument("task")
@click.option("--out", type=FOLDER, default=Path("queries.parquet"), show_default=True, help="The file to write.")
@PLACES
@SKIP_BROKEN
def queries(task: str, out: Path, places: tuple[tuple[str, Path], ...], skip_broken: bool) -> None:
    """Write the test queries of TASK, without their answers, for a model that is to be scored.

    --out gets query_id, source_id and text; a second file, "NAME-gallery.parquet", the image_ids of the gallery.
    docs/ranking.md describes both. The images are in the dataset's folder.
    """
    from benchmark.any_model.queries import write_queries
    from benchmark.any_model.scored import open_sound
    from css_gen.progress import Terminal

    dataset = open_sound(task, by_name(places), Terminal(), skip_broken=skip_broken)
    counts = len(dataset.test.queries), len(dataset.test.gallery)
    for path, count in zip(write_queries(dataset, out), counts, strict=True):
        click.echo(f"{path}: {count:,} rows")
    left_out = f"; {len(dataset.skipped)} left out as broken" if dataset.skipped else ""
    click.echo(f"of {dataset.name}, fingerprint {dataset.fingerprint[:16]}{left_out}")


@click.command()
@click.argument("ranking", required=False, type=FOLDER)
@click.option("--task", required=True, metavar="NAME", help="The task whose queries were ranked, as in `queries`.")
@click.option("--queries", "query_file", type=FOLDER, help="Embeddings of the queries (.npy), in place of RANKING.")
@click.option("--gallery", "gallery_file", type=FOLDER, help="Embeddings of the gallery (.npy), ranked by cosine.")
@click.option("--name", required=True, help="The model's name in paths and in `compare`, such as my-model.")
@click.option("--title", help="Its name in tables.  [default: NAME]")
@click.option("--author", required=True, help="Who made it.")
@click.option("--url", required=True, help="Where it is described.")
@click.option("--about", help="One line on it, such as its encoder and what it was trained on.")
@PLACES
@SKIP_BROKEN
@LEADERBOARDS
@click.option("--replace", is_flag=True, help="Replace the record of this model on this data.")
def score(
    ranking: Path | None, task: str, query_file: Path | None, gallery_file: Path | None, name: str, title: str | None,
    author: str, url: str, about: str | None, places: tuple[tuple[str, Path], ...], skip_broken: bool,
    out: Path, replace: bool,
) -> None:  # fmt: skip
    """Score any model by RANKING, a Parquet file of query_id and image_ids, best first.

    Or by embeddings: --queries has a row for each query, in the order that `tirg-bench queries` writes them, and
    --gallery one for each image. docs/ranking.md describes the format. A record is added to the leaderboards, and the
    tables show it below the composers, as self-reported.
    """
    if ranking is not None and (query_file or gallery_file):
        raise UsageError("give either RANKING, or --queries and --gallery, not both")
    if ranking is None and not (query_file and gallery_file):
        raise UsageError("say what to score: a RANKING file, or both --queries and --gallery")

    from rich.console import Console

    from benchmark.any_model.scored import open_sound, require_valid, score_embeddings, score_ranking
    from benchmark.leaderboard.any_model import model_tables, of_protocol
    from benchmark.leaderboard.files import load_rankings, print_table, write_leaderboards
    from benchmark.records.rankings import Model, require_unused, save_ranking
    from css_gen.progress import Terminal

    model = Model(name=name, title=title or name, author=author, url=url, about=about)
    records = out / "records"
    require_valid(model)
    dataset = open_sound(task, by_name(places), Terminal(), skip_broken=skip_broken)
    require_unused(dataset.name, name, dataset.fingerprint, records, replace=replace)
    if ranking is not None:
        scored = score_ranking(ranking, dataset, model)
    else:
        assert query_file is not None
        assert gallery_file is not None
        scored = score_embeddings(query_file, gallery_file, dataset, model)
    path = save_ranking(scored.record, scored.evaluation.outcomes, records, replace=replace)
    written = write_leaderboards(records, out)
    rankings, _ = load_rankings(records)
    Console(highlight=False).print(print_table([], models=of_protocol(model_tables(rankings), dataset.name)))
    click.echo(f"{path}: R@1 {scored.record.metrics.recall[1]:.1f}, self-reported; the tables are in {out}")
    for problem in written.problems:
        click.echo(f"tirg-bench: left out: {problem}", err=True)
    if written.problems:
        raise click.exceptions.Exit(1)
