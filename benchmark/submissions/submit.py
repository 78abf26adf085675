"""From a composer's file to rows: checked, trained and scored run by run, published together at the end."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

import models
from benchmark.datasets.splits import Dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.recipe.identity import Run
from benchmark.records.rankings import has_ranking
from benchmark.records.schema import Line, Url, sha256
from benchmark.records.store import SUBMISSIONS, StoredRecord, Submission, save_record
from benchmark.runs.earlier import earlier_record, held, outdated
from benchmark.runs.grid import open_task
from benchmark.runs.single_run import Bench
from benchmark.submissions.messages import Candidate, Finding
from benchmark.submissions.process import SubmissionError
from benchmark.submissions.sandbox import SandboxTier
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
    card = check(candidate, tier=request.tier, hear=listen)
    if problems:
        raise SubmissionError(f"{candidate.shown}: does not keep the contract ({problems[0]})")
    name = card.name
    source = Path(candidate.file).read_bytes()
    require_free(name, source, bench.leaderboards, replaces=request.replaces)
    digest = sha256(source)
    home = bench.runs / SUBMISSIONS / f"{name}-{digest[:8]}"
    copy = keep_source(source, name, home)
    candidate = candidate.model_copy(update={"file": str(copy.resolve())})
    about = Submission(author=request.author, url=request.url, source_sha256=digest, sandbox=request.tier.value)
    return Entry(candidate=candidate, card=card, about=about, source=source, home=home)


def submit(request: Request, entry: Entry) -> list[Path]:
    """Train and score a candidate on every dataset with every seed, and add its records and its source to the
    leaderboards. Nothing is added before all runs are complete; the same request again resumes an interrupted one.

    Returns:
        The paths of the records.

    Raises:
        SubmissionError: the process of a run failed or was stopped.
        UsageError: its name was taken in the meantime.
        BenchmarkError: a dataset cannot be opened, a folder cannot be written, or a record on the leaderboards was made
            by other code; this is found before any training.
    """
    with held(entry.home):
        planned = list(_planned(request, entry))
        made_before = [_made_before(run, request, entry) for run, _ in planned]
        stored = list(_runs(planned, made_before, request, entry))
        return _publish(stored, entry, request.bench.leaderboards, replaces=request.replaces)


def require_free(name: str, source: bytes, leaderboards: Path, *, replaces: bool = False) -> None:
    """Check that no composer in models/ and no other submission has that name.

    Raises:
        UsageError: one has.
    """
    if name in models.names():
        raise UsageError(f"the name {name!r} belongs to a composer in models/; choose another info.name")
    if has_ranking(name, leaderboards / "records"):
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


def _planned(request: Request, entry: Entry) -> Iterator[tuple[Run, Dataset]]:
    """Yield every run with its open dataset."""
    bench = request.bench
    for name in request.dataset_names:
        dataset = open_task(name, bench)
        for seed in request.seeds:
            run = Run(name, entry.card.name, bench.recipe(name), seed, dataset.fingerprint, dataset.spatial)
            yield run, dataset


def _made_before(run: Run, request: Request, entry: Entry) -> StoredRecord | None:
    """Return the record of a run from the leaderboards or from an earlier request; None if it has to be made.

    Raises:
        BenchmarkError: the one on the leaderboards is damaged or was made by other code, and is not to be replaced.
    """
    bench, digest = request.bench, entry.about.source_sha256
    if not request.replaces and (found := earlier_record(run.identity, bench.leaderboards / "records")):
        if what := outdated(found.record, digest):
            raise BenchmarkError(f"{found.path}: is a record of {what}; say --replace to make it again")
        return found
    try:
        found = earlier_record(run.identity, entry.home / "records")
    except BenchmarkError as error:
        # In the folder of this version's runs, not yet on the leaderboards.
        bench.reporter.message(f"{error}; it is made again")
        return None
    return None if found is None or outdated(found.record, digest) else found


def _runs(
    planned: Sequence[tuple[Run, Dataset]], made_before: Sequence[StoredRecord | None], request: Request, entry: Entry
) -> Iterator[StoredRecord]:
    """Yield the record of every run, new or from before."""
    bench = request.bench
    box = Box(
        candidate=entry.candidate,
        tier=request.tier,
        runtime=bench.runtime,
        reporter=bench.reporter,
        seconds=request.seconds,
        memory_mib=request.memory_mib,
    )
    for number, ((run, dataset), found) in enumerate(zip(planned, made_before, strict=True), start=1):
        title = f"[{number}/{len(planned)}] {run}"
        if found is None:
            yield make_record(run, dataset, box, bench, entry, title)
        else:
            yield _reused(found, bench, entry, title)


def _reused(found: StoredRecord, bench: Bench, entry: Entry, title: str) -> StoredRecord:
    """A record from before, with what this request says of its author."""
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
