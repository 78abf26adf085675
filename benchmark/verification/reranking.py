"""Score every model of a task's board on the test split of a revealed seed."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmark.errors import BenchmarkError
from benchmark.leaderboard.boards import label_of
from benchmark.leaderboard.files import load_rankings, load_records
from benchmark.leaderboard.reranked_tables import write_reranking
from benchmark.records.rerankings import FOLDER, RerankedRun, Reranking, name_of, read
from benchmark.records.seed_commitments import CommittedSeed
from benchmark.records.store import SUBMISSIONS, RunRecord, StoredRecord
from benchmark.runs.fresh import FreshTestSet, FreshTestSets
from benchmark.scoring.fresh import fresh_score
from benchmark.submissions.machine import is_of_the_machine
from benchmark.verification.rescoring import checkpoint_of, evaluate_checkpoint
from benchmark.verification.resources import Resources, UnavailableError, recipe_of
from models.errors import ModelError

_WAITING = "not scored yet"


class _Data(NamedTuple):
    """What `FreshTestSets` has to know of a dataset, which need not be there."""

    name: str
    fingerprint: str
    rendering: dict[str, Any] | None


def rerank(
    task: str, commitment: str, committed: CommittedSeed, *, out: Path, resources: Resources
) -> tuple[Reranking, list[str]]:
    """Score the models on the board of a task, and write the tables after each; return all scores, and a line for every
    record that was left out.

    Scores that are there are final: they are not computed again. What could not be scored is tried again.

    Raises:
        BenchmarkError: the seed is not revealed, or there is no board, or a folder cannot be read or written.
    """
    if committed.revealed is None:
        raise BenchmarkError(f"the seed of {commitment} is not revealed; `tirg-bench rerank --reveal FILE` does it")
    root = out / "records"
    stored, problems = load_records(root, only=root / task)
    if not stored:
        raise BenchmarkError(f"{root / task}: there is no record; `tirg-bench run --dataset {task}` makes them")
    rankings = {each.record.title for each in load_rankings(root)[0] if each.record.protocol == task}
    seed = committed.revealed.seed
    earlier = read(out / FOLDER / f"{name_of(task, commitment)}.json")
    entries = {run.record.identity: _entry(run) for run in stored}
    found = Reranking(
        task=task,
        commitment=commitment,
        seed=seed,
        revealed=committed.revealed.date,
        runs=tuple(sorted(entries.values(), key=lambda entry: entry.key)),
        rankings=tuple(sorted(rankings)),
    )
    done = {run.key for run in earlier.runs if run.revealed} if earlier else set()
    waiting = [run for run in stored if entries[run.record.identity].key not in done]
    found = write_reranking(out, found)
    for entry in _scored(waiting, entries, seed, resources):
        others = [run for run in found.runs if run.key != entry.key]
        runs = tuple(sorted([*others, entry], key=lambda run: run.key))
        found = write_reranking(out, found.model_copy(update={"runs": runs}))
    return found, problems


def model_file(record: RunRecord, runs: Path) -> Path | None:
    """Return the model file of a record, below `runs` or where the record says; None if it is in neither place."""
    if record.checkpoint is None:
        return None
    named = Path(record.checkpoint.path)
    homes = [runs]
    if about := record.submission:
        homes.append(runs / SUBMISSIONS / f"{record.composer.name}-{about.source_sha256[:8]}")
    places = [*(home / record.place / named.name for home in homes), named]
    return next((place for place in places if place.is_file()), None)


def _entry(stored: StoredRecord) -> RerankedRun:
    """A run that is not scored yet."""
    record = stored.record
    dataset = record.dataset
    board_seed = int(str((dataset.rendering or {}).get("seed", 0)))
    return RerankedRun(
        composer=record.composer.name,
        title=record.composer.title,
        preset=label_of(record),
        recipe=record.recipe_hash,
        dataset=dataset.fingerprint,
        seed=record.seed,
        created=record.created,
        checkpoint_sha256=record.checkpoint.sha256 if record.checkpoint else None,
        own=fresh_score(stored.outcomes, seed=board_seed, fingerprint=dataset.fingerprint),
        unscored=_WAITING,
    )


def _scored(
    stored: Sequence[StoredRecord], entries: dict[Any, RerankedRun], seed: int, resources: Resources
) -> Iterator[RerankedRun]:
    """Yield the entry of each run, with its score or the reason why there is none; one dataset after the other."""
    ready: dict[str, list[StoredRecord]] = defaultdict(list)
    for run in stored:
        reason = _obstacle(run, resources)
        if reason:
            yield entries[run.record.identity].model_copy(update={"unscored": reason})
        else:
            ready[run.record.dataset.fingerprint].append(run)
    for runs in ready.values():
        # Rendered and read before any model is asked, and gone then: a submission must not find the images.
        with FreshTestSets(seed=seed) as sets:
            splits = {size: _test_set(runs[0], size, sets, resources) for size in sorted({*map(_size, runs)})}
        for run in runs:
            yield _score(run, entries[run.record.identity], splits[_size(run)], resources)


def _size(stored: StoredRecord) -> int:
    return recipe_of(stored).data.image_size


def _test_set(stored: StoredRecord, size: int, sets: FreshTestSets, resources: Resources) -> FreshTestSet:
    record = stored.record
    data = _Data(record.protocol, record.dataset.fingerprint, dict(record.dataset.rendering or {}))
    found = sets.of(data, image_size=size, reporter=resources.reporter)
    assert found is not None
    return found


def _obstacle(stored: StoredRecord, resources: Resources) -> str:
    """Why a run cannot be scored; "" if nothing is known to prevent it."""
    record = stored.record
    model = model_file(record, resources.runs)
    if model is None:
        return "no checkpoint"
    if record.dataset.rendering is None:
        return "its dataset cannot be rendered"
    try:
        if recipe_of(stored).evaluation.split != "test":
            return "is of the validation part"
        checkpoint_of(stored, resources, model)
    except Exception as error:
        return _reason(error)
    return ""


def _score(stored: StoredRecord, entry: RerankedRun, test_set: FreshTestSet, resources: Resources) -> RerankedRun:
    record = stored.record
    try:
        checkpoint = checkpoint_of(stored, resources, model_file(record, resources.runs))
        score = test_set.score(evaluate_checkpoint(stored, checkpoint, test_set.split, resources).outcomes)
    except Exception as error:
        resources.reporter.message(f"{record.identity}: not scored: {_reason(error)}")
        return entry.model_copy(update={"unscored": _reason(error)})
    own = entry.own.recall[1]
    resources.reporter.message(f"{record.identity}: R@1 {score.recall[1]:.1f}, on the board {own:.1f}")
    sandbox = str(resources.tier) if record.submission and resources.tier else None
    return RerankedRun(**{**dict(entry), "revealed": score, "sandbox": sandbox, "unscored": ""})


def _reason(error: Exception) -> str:
    """One line for the page."""
    if isinstance(error, BenchmarkError | UnavailableError | ModelError):
        text = str(error)
    elif is_of_the_machine(error):
        text = f"not scored on this machine: {error}"
    else:
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:300]
