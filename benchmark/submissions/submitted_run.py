"""One run of a submitted composer: trained and asked in its own process, scored here, from the data to its record."""

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmark.datasets.splits import Dataset
from benchmark.records.finished_run import FinishedRun, record_of
from benchmark.records.store import SUBMISSIONS, ComposerCard, StoredRecord, Submission, read_stored, save_record
from benchmark.runs.single_run import Bench, Run, parts_of, run_folder
from benchmark.submissions.exchange import MODEL
from benchmark.submissions.messages import Candidate
from benchmark.submissions.sandboxed_run import Box, answer, tidy, train
from benchmark.submissions.scoring import read_model
from benchmark.training.checkpoint import Identity
from benchmark.training.loop import Trained
from css_gen.storage.atomic import write_atomically


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A composer that keeps the contract.

    Attributes:
        candidate: its file is the copy in `home`, so that all runs and the leaderboards have the very same code.
        home: the folder of its runs; laid out as the leaderboards are: `records/` and `submissions/`.
    """

    candidate: Candidate
    card: ComposerCard
    about: Submission
    source: bytes
    home: Path


def keep_source(source: bytes, name: str, home: Path) -> Path:
    """Write a composer's code to where its records look for it, and return the path."""
    path = home / SUBMISSIONS / name / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, source)
    return path


def make_record(run: Run, dataset: Dataset, box: Box, bench: Bench, entry: Entry, title: str) -> StoredRecord:
    """Train, have the test queries answered, score them, and write the record into the entry's home.

    Raises:
        SubmissionError: its process failed, was stopped, or gave no model or no answers.
    """
    started = perf_counter()
    config = bench.recipe(run.dataset)
    training, _, scored = parts_of(dataset, config)
    identity = Identity(run.composer, run.dataset, dataset.fingerprint, dataset.spatial, run.seed, config)
    folder = entry.home / run_folder(run, bench).relative_to(bench.runs)
    folder.mkdir(parents=True, exist_ok=True)
    done = train(box, training, identity, folder=folder, title=title)
    before = perf_counter()
    shared = read_model(folder / MODEL, identity)[0].parameter_counts()[0]
    evaluation = answer(box, scored, identity, folder=folder)
    now = perf_counter()
    finished = FinishedRun(
        composer=entry.card,
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
        submission=entry.about,
    )
    record = record_of(finished, evaluation)
    path = save_record(record, evaluation.outcomes, entry.home / "records")
    tidy(folder)
    recall = record.metrics.recall
    bench.reporter.message(f"{title}: R@1 {recall[1]:.1f}, R@10 {recall[10]:.1f}, {record.training.wall_seconds:.0f} s")
    return read_stored(path)
