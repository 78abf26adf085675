"""From a composer's file to rows: checked, trained and scored run by run, published together at the end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

import models
from benchmark.datasets.splits import Dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.recipe.identity import Run
from benchmark.records.schema import Line, Url, sha256
from benchmark.records.store import SUBMISSIONS, StoredRecord, Submission, save_record
from benchmark.runs.earlier import earlier_record, held, outdated
from benchmark.runs.grid import open_task
from benchmark.runs.single_run import Bench
from benchmark.submissions.messages import Candidate, Finding
from benchmark.submissions.sandbox import SandboxTier, SubmissionError
from benchmark.submissions.sandboxed_run import Box, check
from benchmark.submissions.submitted_run import Entry, keep_source, make_record
from css_gen.storage import locking


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of a submission.

    Attributes:
        bench: recipes, data and the leaderboards' folder; `runs` is the folder for runs of all submissions.
        seconds: the time limit of one process.
        replaces: whether to remove rows of other code under the same name.
    """

    candidate: Candidate
    author: str
    url: str
    dataset_names: tuple[str, ...]
    seeds: tuple[int, ...]
    bench: Bench
    tier: SandboxTier
    seconds: float
    memory_mib: int
    replaces: bool = False


def require_valid(author: str, url: str) -> None:
    """Raises UsageError if they do not fit into a record."""
    for option, kind, value in (("--author", Line, author), ("--url", Url, url)):
        try:
            TypeAdapter(kind).validate_python(value)
        except ValidationError:
            expected = "an address such as https://example.org/paper" if option == "--url" else "a name on one line"
            raise UsageError(f"{option} {value!r}: expected {expected}") from None


def check_first(request: Request, hear: Callable[[Finding], None]) -> Entry:
    """Check that a candidate keeps the contract and its name is free.

    Raises:
        SubmissionError: it breaks the contract, or its process failed or was stopped.
        UsageError: its name is taken.
    """
    problems: list[str] = []

    def listen(finding: Finding) -> None:
        hear(finding)
        problems.extend([f"{finding.what}: {finding.problem}"] if finding.problem else [])

    candidate, bench = request.candidate, request.bench
    loaded = check(candidate, tier=request.tier, hear=listen)
    if problems:
        raise SubmissionError(f"{candidate.shown}: does not keep the contract ({problems[0]})")
    name = loaded.card.name
    source = Path(candidate.file).read_bytes()
    require_free(name, source, bench.leaderboards, replaces=request.replaces)
    digest = sha256(source)
    home = bench.runs / SUBMISSIONS / f"{name}-{digest[:8]}"
    copy = keep_source(source, name, home)
    candidate = candidate.model_copy(update={"file": str(copy.resolve())})
    about = Submission(author=request.author, url=request.url, source_sha256=digest, sandbox=request.tier.value)
    return Entry(candidate=candidate, card=loaded.card, about=about, source=source, home=home)


def submit(request: Request, entry: Entry) -> list[Path]:
    """Train and score a candidate on every dataset with every seed, and add its records and its source to the
    leaderboards. Nothing is added before all runs are complete; the same request again resumes an interrupted one.

    Returns:
        The paths of the records.

    Raises:
        SubmissionError: the process of a run failed or was stopped.
        UsageError: its name was taken in the meantime.
        BenchmarkError: a dataset cannot be opened, or a folder cannot be written.
    """
    with held(entry.home):
        stored = list(_runs(request, entry))
        return _publish(stored, entry, request.bench.leaderboards, replaces=request.replaces)


def require_free(name: str, source: bytes, leaderboards: Path, *, replaces: bool = False) -> None:
    """Check that no composer in models/ and no other submission has that name.

    Raises:
        UsageError: one has.
    """
    if name in models.names():
        raise UsageError(f"the name {name!r} belongs to a composer in models/; choose another info.name")
    if any((leaderboards / "records").glob(f"*/{name}/ranking-*.json")):
        raise UsageError(f"the name {name!r} belongs to a model scored by its ranking; choose another info.name")
    if replaces:
        return
    folder = leaderboards / SUBMISSIONS / name
    file = folder / f"{name}.py"
    if folder.exists() and not (file.is_file() and file.read_bytes() == source):
        raise UsageError(
            f"the name {name!r} belongs to other code ({folder}); choose another info.name, or, if that was an earlier "
            "version of yours, say --replace"
        )
    if not folder.exists() and any((leaderboards / "records").glob(f"*/{name}/*.json")):
        raise UsageError(f"the name {name!r} has records without code; choose another info.name or say --replace")


def _runs(request: Request, entry: Entry) -> Iterator[StoredRecord]:
    """Yield the record of every run, new or from an earlier request."""
    bench = request.bench
    box = Box(
        candidate=entry.candidate,
        tier=request.tier,
        runtime=bench.runtime,
        reporter=bench.reporter,
        seconds=request.seconds,
        memory_mib=request.memory_mib,
    )
    numbers = count(1)
    total = len(request.dataset_names) * len(request.seeds)
    for name in request.dataset_names:
        dataset = open_task(name, bench)
        for seed in request.seeds:
            run = Run(name, entry.card.name, bench.recipe(name), seed, dataset.fingerprint, dataset.spatial)
            yield _run(run, dataset, box, bench, entry, f"[{next(numbers)}/{total}] {run}")


def _run(run: Run, dataset: Dataset, box: Box, bench: Bench, entry: Entry, title: str) -> StoredRecord:
    """Return the record of this run from an earlier request, or make it."""
    try:
        found = earlier_record(run.identity, entry.home / "records")
    except BenchmarkError as error:
        # In the folder of this version's runs, not yet on the leaderboards.
        bench.reporter.message(f"{error}; it is made again")
        found = None
    if found is None or outdated(found.record, entry.about.source_sha256):
        return make_record(run, dataset, box, bench, entry, title)
    bench.reporter.message(f"{title}: was made before, R@1 {found.record.metrics.recall[1]:.1f}")
    held_by = found.record.submission.sandbox if found.record.submission else entry.about.sandbox
    about = entry.about.model_copy(update={"sandbox": held_by})
    return found._replace(record=found.record.model_copy(update={"submission": about}))


def _publish(stored: list[StoredRecord], entry: Entry, leaderboards: Path, *, replaces: bool) -> list[Path]:
    """Add the records under a lock: of two simultaneous submissions of one name the second is refused."""
    name = entry.card.name
    try:
        leaderboards.mkdir(parents=True, exist_ok=True)
        with locking.held(leaderboards / ".submissions.lock", timeout=-1):
            require_free(name, entry.source, leaderboards, replaces=replaces)
            file = leaderboards / SUBMISSIONS / name / f"{name}.py"
            if replaces and not (file.is_file() and file.read_bytes() == entry.source):
                for path in (leaderboards / "records").glob(f"*/{name}/*"):
                    path.unlink()
            keep_source(entry.source, name, leaderboards)
            return [
                save_record(each.record, each.outcomes, leaderboards / "records", replace=replaces) for each in stored
            ]
    except OSError as error:
        raise BenchmarkError(f"{leaderboards}: cannot be written ({error.strerror}); check the folder") from None
