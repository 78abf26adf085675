"""tirg-bench rerank: commit to the seed of a test split, reveal it later, and score all models of a board on it."""

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.cli.options import (
    BATCH_SIZE,
    DEVICE,
    FOLDER,
    LEADERBOARDS,
    MEMORY_LIMIT,
    SANDBOX,
    THREADS,
    TIME_LIMIT,
    make_runtime,
    sandbox_tier,
)
from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from benchmark.records.seed_commitments import CommittedSeed


@click.command()
@click.option(
    "--commit", type=FOLDER, metavar="FILE",
    help="Draw a seed, write it to FILE, which has to stay secret, and its SHA-256 to OUT/test-seeds.json.",
)  # fmt: skip
@click.option(
    "--reveal", type=FOLDER, metavar="FILE", help="Publish the seed of that FILE, and score the models on it."
)
@click.option(
    "--dataset", "names", multiple=True, metavar="NAME",
    help="A task with rendered data; may be given several times.  [with --commit: required; else: all of the seed's]",
)  # fmt: skip
@LEADERBOARDS
@click.option(
    "--runs", type=FOLDER, default=Path("runs"), show_default=True,
    help="The folder of models, beside the paths that records name.",
)  # fmt: skip
@DEVICE
@THREADS
@BATCH_SIZE
@SANDBOX
@TIME_LIMIT
@MEMORY_LIMIT
def rerank(
    commit: Path | None, reveal: Path | None, names: tuple[str, ...], out: Path, runs: Path, device: str | None,
    threads: int | None, batch_size: int, sandbox: str, time_limit: float, memory_limit: int,
) -> None:  # fmt: skip
    """Rank models on the test split of a seed that was committed to before and is revealed now.

    \b
    tirg-bench rerank --commit test-seed-secret.json --dataset css     publish the SHA-256 of a seed
    tirg-bench rerank --reveal test-seed-secret.json                   later: publish the seed, score the models
    tirg-bench rerank                                                  again, on every seed that is revealed

    The second and third command render the test split, score each model of the board whose file is there, and write
    OUT/reranked/TASK-COMMITMENT.md and .csv. Scores that are there are kept; what was interrupted resumes.
    """
    if commit and reveal:
        raise click.UsageError("--commit and --reveal exclude each other")

    from benchmark import tasks
    from benchmark.records import seed_commitments

    chosen = tuple(dict.fromkeys(tasks.get(name).name for name in names))
    if owned := [name for name in chosen if not tasks.get(name).is_rendered]:
        raise UsageError(f"--dataset {owned[0]}: its images are not rendered, so no seed gives another test split")
    place = out / seed_commitments.NAME
    if commit:
        if not chosen:
            raise click.UsageError("--commit: say for which tasks, with --dataset NAME")
        _require_untracked(commit)
        secret = seed_commitments.SecretSeed.draw(chosen)
        seed_commitments.commit(secret, commit, place)
        click.echo(f"SHA-256 {secret.commitment} is in {place}: publish it now")
        click.echo(f"the seed for {', '.join(chosen)} is in {commit}: keep it secret until `rerank --reveal {commit}`")
        return
    wanted = seed_commitments.reveal(reveal, place) if reveal else None
    known = seed_commitments.read(place)
    revealed = {key: each for key, each in known.items() if each.revealed and wanted in (None, key)}
    if not revealed:
        raise BenchmarkError(f"{place}: holds no revealed seed; `--reveal FILE` reveals one that `--commit FILE` drew")
    rounds = [(key, task) for key, each in revealed.items() for task in each.tasks if not chosen or task in chosen]
    if not rounds:
        raise UsageError(f"--dataset {chosen[0]}: no revealed seed of {place} is for it")
    _score(revealed, rounds, out, runs, device, threads, batch_size, sandbox, time_limit, memory_limit)


def _require_untracked(path: Path) -> None:
    """Raise UsageError if git would take the file into a commit."""
    folder = path.absolute().parent
    command = ["git", "-C", str(folder), "check-ignore", "--quiet", "--", path.name]
    try:
        answer = subprocess.run(command, capture_output=True, check=False, timeout=30).returncode
    except (OSError, subprocess.SubprocessError):
        return
    if answer == 1:  # 0: it is ignored; 128: this is no repository
        raise UsageError(
            f"{path}: git does not ignore this file, so the secret could be published; name a file outside of the "
            "repository, or test-seed-secret.json"
        )


def _score(
    revealed: "dict[str, CommittedSeed]", rounds: list[tuple[str, str]], out: Path, runs: Path, device: str | None,
    threads: int | None, batch_size: int, sandbox: str, time_limit: float, memory_limit: int,
) -> None:  # fmt: skip
    from benchmark.device import choose_device
    from benchmark.leaderboard.files import load_records
    from benchmark.training.progress import RunTerminal
    from benchmark.verification import Resources
    from benchmark.verification.reranking import rerank as rerank_board

    root = out / "records"
    boards = {task: load_records(root, only=root / task)[0] for _, task in rounds}
    has_submissions = any(run.record.submission for board in boards.values() for run in board)
    resources = Resources(
        places={},
        runtime=make_runtime(
            device=choose_device(device), threads=threads, batch_size=batch_size, validate_every=0, compiled=False
        ),
        reporter=RunTerminal(),
        runs=runs,
        tier=sandbox_tier(sandbox) if has_submissions else None,
        seconds=time_limit,
        memory_mib=memory_limit,
    )
    problems: list[str] = []
    for commitment, task in rounds:
        try:
            found, further = rerank_board(task, commitment, revealed[commitment], out=out, resources=resources)
        except BenchmarkError as error:  # the boards of the other tasks do not depend on it
            problems.append(str(error))
            continue
        problems += further
        scored = sum(run.revealed is not None for run in found.runs)
        click.echo(f"{out / 'reranked' / found.name}.md: {scored} of {len(found.runs)} models scored")
    for problem in problems:
        click.echo(f"tirg-bench: left out: {problem}", err=True)
    if problems:
        raise click.exceptions.Exit(1)
