"""From a composer's file to rows: checked, trained and scored run by run, published together at the end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

import models
from benchmark import datasets
from benchmark.checkpoint import Identity
from benchmark.datasets.base import Dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.finished_run import FinishedRun, recipe_of, record_of
from benchmark.record import ComposerCard, StoredFile, StoredRecord, Submission, read_stored, record_path, save_record
from benchmark.record_format import Line, Url, configuration_hash, sha256
from benchmark.runner import held
from benchmark.single_run import Bench, Run, parts_of, run_folder
from benchmark.submissions.exchange import MODEL
from benchmark.submissions.messages import Candidate, Finding
from benchmark.submissions.sandbox import SubmissionError, Tier
from benchmark.submissions.sandboxed_run import Box, answer, check, tidy, train
from benchmark.submissions.scoring import read_model
from benchmark.training import Trained
from css_gen.atomic import write_atomically

SUBMISSIONS = "submissions"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for.

    Attributes:
        bench: recipes, data and where the leaderboards lie; `runs` is where runs of all submissions lie.
        seconds: the longest that one training may take.
    """

    candidate: Candidate
    author: str
    url: str
    dataset_names: tuple[str, ...]
    seeds: tuple[int, ...]
    bench: Bench
    tier: Tier
    seconds: float
    memory_mib: int


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A candidate that keeps the contract.

    Attributes:
        candidate: its file is a copy in `home`, so that all runs and the leaderboards have the very same code.
        home: the folder of its runs.
    """

    candidate: Candidate
    card: ComposerCard
    about: Submission
    source: bytes
    home: Path


def require_valid(author: str, url: str) -> None:
    """Raises UsageError if they do not fit into a record."""
    for option, kind, value in (("--author", Line, author), ("--url", Url, url)):
        try:
            TypeAdapter(kind).validate_python(value)
        except ValidationError as error:
            expected = (
                "an address that begins with https://" if option == "--url" else "one line that begins with a letter"
            )
            raise UsageError(f"{option} {value!r}: expected {expected} ({error.errors()[0]['type']})") from None


def check_first(request: Request, hear: Callable[[Finding], None]) -> Checked:
    """See whether a candidate keeps the contract and its name is free.

    Raises:
        SubmissionError: it breaks the contract, or its process failed or was stopped.
        UsageError: its name is another's.
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
    source = Path(candidate.file).read_bytes() if candidate.file else loaded.source.encode()
    require_free(name, source, bench.leaderboards)
    digest = sha256(source)
    home = bench.runs / SUBMISSIONS / f"{name}-{digest[:8]}"
    if candidate.file:
        home.mkdir(parents=True, exist_ok=True)
        write_atomically(home / f"{name}.py", source)
        candidate = candidate.model_copy(update={"file": str((home / f"{name}.py").resolve())})
    about = Submission(
        author=request.author,
        url=request.url,
        source=StoredFile(path=f"{SUBMISSIONS}/{name}/{name}.py", sha256=digest),
        sandbox=request.tier.value,
    )
    return Checked(candidate=candidate, card=loaded.card, about=about, source=source, home=home)


def submit(request: Request, checked: Checked) -> list[Path]:
    """Train and score a candidate on every dataset with every seed, and add its records and its source to the
    leaderboards. Nothing is added before all runs are done; the same request again goes on where it stopped.

    Returns:
        The paths of the records.

    Raises:
        SubmissionError: the process of a run failed or was stopped.
        UsageError: its name was taken meanwhile.
        BenchmarkError: a dataset cannot be opened or a folder not be written to.
    """
    with held(checked.home):
        stored = list(_runs(request, checked))
        return _publish(stored, checked, request.bench.leaderboards)


def require_free(name: str, source: bytes, leaderboards: Path) -> None:
    """Raises UsageError if that name is one of ours, or was given to other code."""
    if name in models.names():
        raise UsageError(f"the name {name!r} belongs to a composer in models/; choose another info.name")
    folder = leaderboards / SUBMISSIONS / name
    if folder.exists() and (folder / f"{name}.py").read_bytes() != source:
        raise UsageError(
            f"the name {name!r} belongs to other code ({folder}); choose another info.name, or remove that submission"
        )
    if not folder.exists() and any((leaderboards / "records").glob(f"*/{name}/*.json")):
        raise UsageError(f"the name {name!r} has records without a submission; choose another info.name")


def _runs(request: Request, checked: Checked) -> Iterator[StoredRecord]:
    """Every run's record, made now or found from before."""
    bench = request.bench
    box = Box(
        candidate=checked.candidate,
        tier=request.tier,
        device=bench.device,
        reporter=bench.reporter,
        seconds=request.seconds,
        memory_mib=request.memory_mib,
    )
    total = len(request.dataset_names) * len(request.seeds)
    number = 0
    for name in request.dataset_names:
        place = datasets.locate(name, bench.places)
        size = bench.recipe(name).data.image_size
        dataset = datasets.info(name).open(
            place, image_size=size, reporter=bench.reporter, skip_broken=bench.skip_broken
        )
        for seed in request.seeds:
            number += 1
            run = Run(checked.card.name, name, seed)
            yield _run(run, dataset, box, bench, checked, f"[{number}/{total}] {run}")


def _run(run: Run, dataset: Dataset, box: Box, bench: Bench, checked: Checked, title: str) -> StoredRecord:
    started = perf_counter()
    card, home = checked.card, checked.home
    config = bench.recipe(run.dataset)
    path = record_path(home / "records", protocol=run.dataset, composer=card.name, preset=config.preset, seed=run.seed)
    wanted = configuration_hash(
        recipe_of(config), protocol=run.dataset, composer=card.name, dataset_fingerprint=dataset.fingerprint
    )
    if path.exists() and (found := read_stored(path)).record.configuration_hash == wanted:
        bench.reporter.message(f"{title}: was made before, R@1 {found.record.metrics.recall[1]:.1f}")
        return found
    training, _, scored = parts_of(dataset, config)
    identity = Identity(run.composer, run.dataset, dataset.fingerprint, dataset.spatial, run.seed, config)
    folder = home / run_folder(run, bench).relative_to(bench.runs)
    folder.mkdir(parents=True, exist_ok=True)
    done = train(box, dataset, training, identity, folder=folder, title=title)
    before = perf_counter()
    shared = read_model(folder / MODEL, identity).parameter_counts()[0]
    evaluation = answer(box, scored, identity, folder=folder)
    now = perf_counter()
    tidy(folder)
    finished = FinishedRun(
        composer=card,
        seed=run.seed,
        config=config,
        dataset=dataset,
        scored=scored,
        trained=Trained(done.seconds, done.seconds_before, done.losses, ()),
        parameters=(shared + done.own_parameters, done.own_parameters),
        model=folder / MODEL,
        wall_seconds=done.seconds_before + now - started,
        scoring_seconds=now - before,
        peak_memory_mib=done.peak_memory_mib,
        device=bench.device,
        submission=checked.about,
    )
    record = record_of(finished, evaluation)
    save_record(record, evaluation.outcomes, home / "records")
    recall = record.metrics.recall
    bench.reporter.message(f"{title}: R@1 {recall[1]:.1f}, R@10 {recall[10]:.1f}, {record.training.wall_seconds:.0f} s")
    return read_stored(path)


def _publish(stored: list[StoredRecord], checked: Checked, leaderboards: Path) -> list[Path]:
    """Under a lock, so that of two submissions of one name at the same time the second is refused."""
    name = checked.card.name
    folder = leaderboards / SUBMISSIONS / name
    try:
        leaderboards.mkdir(parents=True, exist_ok=True)
        with FileLock(leaderboards / ".submissions.lock"):
            require_free(name, checked.source, leaderboards)
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / f"{name}.py", checked.source)
            return [save_record(each.record, each.outcomes, leaderboards / "records") for each in stored]
    except OSError as error:
        raise BenchmarkError(f"{leaderboards}: cannot be written to ({error.strerror}); check the folder") from None
