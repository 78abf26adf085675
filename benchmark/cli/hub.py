"""tirg-bench push and pull: a trained model on the Hugging Face Hub."""

from pathlib import Path

import click

from benchmark.cli.options import FOLDER, LEADERBOARDS


@click.command()
@click.argument("model", type=FOLDER)
@click.argument("repo")
@LEADERBOARDS
@click.option("--dataset", metavar="USER/NAME", help="The Hub's repository of the data; its leaderboard gets the R@1.")
@click.option("--private", is_flag=True, help="If the repository is new, make it private.")
@click.option("--dry-run", is_flag=True, help="Print the files and the card; needs neither a token nor a network.")
def push(model: Path, repo: str, out: Path, dataset: str | None, private: bool, dry_run: bool) -> None:
    """Send MODEL to REPO (USER/NAME) on the Hugging Face Hub. After an interruption, the same command resumes.

    MODEL is a model.safetensors of `run`, or the folder that holds it. Its record, from the leaderboards in --out, goes
    with it, and gives the results on its card. It needs `pip install 'css-bench[hub]'` and `hf auth login`.
    """
    from benchmark.runs.single_run import MODEL_NAME
    from benchmark.search.hub_model import CARD_NAME, model_files, push_model
    from css_gen import hub

    hub.require_repo(repo)
    if dataset is not None:
        hub.require_repo(dataset)
    path, records = model / MODEL_NAME if model.is_dir() else model, out / "records"
    if dry_run:
        files = model_files(path, records, repo, dataset=dataset)
        card = files[CARD_NAME]
        assert isinstance(card, bytes)
        click.echo("\n".join([*hub.planned(repo, "model", files), "", card.decode()]))
        return
    pushed = push_model(path, records, repo, dataset=dataset, private=private)
    what = "commit" if pushed.is_new else "nothing to send, it is already there: commit"
    click.echo(f"{pushed.url}: {what} {pushed.commit[:12]}")


@click.command()
@click.argument("repo")
@click.option("--runs", type=FOLDER, default=Path("runs"), show_default=True, help="The folder to put the model into.")
@click.option("--replace", is_flag=True, help="Replace the model and the record of this run in --runs.")
def pull(repo: str, runs: Path, replace: bool) -> None:
    """Fetch a model that was pushed to REPO (USER/NAME) on the Hugging Face Hub, for `search` and `verify`.

    It is put where `run` would have left it. Its record says how good it is; `verify` scores the model again.
    """
    from benchmark.search.hub_model import pull_model

    pulled = pull_model(repo, runs, replace=replace)
    record = pulled.stored.record
    click.echo(f"{record.identity}: {pulled.model}")
    click.echo(f"R@1 {record.metrics.recall[1]:.1f}, says its record; score it again with: tirg-bench verify "
               f"{pulled.stored.path}")  # fmt: skip
    if pulled.note:
        click.echo(f"tirg-bench: {pulled.note}", err=True)
