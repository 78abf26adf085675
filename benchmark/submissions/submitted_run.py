"""One run of a submitted composer, from the data to its record: trained in its own process, scored in this one."""

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmark.datasets.splits import Dataset
from benchmark.recipe.identity import Run
from benchmark.records.code_version import code_version
from benchmark.records.environment import OtherWork, current_environment
from benchmark.records.making import FinishedRun, dataset_card, new_record, stored_file
from benchmark.records.store import SUBMISSIONS, ComposerCard, StoredRecord, Submission, read_stored, save_record
from benchmark.runs.fresh import FreshTestSets
from benchmark.runs.recipes import label_on
from benchmark.runs.single_run import Bench, parts_of, run_folder, threads
from benchmark.submissions.exchange import MODEL
from benchmark.submissions.messages import Candidate
from benchmark.submissions.sandboxed_run import Box, answer, tidy, train
from benchmark.submissions.scoring import read_model
from benchmark.training.checkpoint import Checkpoint, weights_sha256
from benchmark.training.loop import Trained
from css_gen.storage.atomic import write_atomically


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A composer that keeps the contract.

    Attributes:
        candidate: its file is the copy in `home`, so that all runs and the leaderboards have the same code.
        home: the folder of its runs, with the layout of the leaderboards: `records/` and `submissions/`.
    """

    candidate: Candidate
    card: ComposerCard
    about: Submission
    source: bytes
    home: Path


def keep_source(source: bytes, name: str, home: Path) -> Path:
    """Write a composer's code to the place where its records expect it, and return the path."""
    path = home / SUBMISSIONS / name / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, source)
    return path


def make_record(run: Run, dataset: Dataset, box: Box, bench: Bench, entry: Entry, title: str) -> StoredRecord:
    """Train, have the test queries answered, score them, and write the record into the entry's home.

    The queries of a fresh test set are answered last, in a process of their own. Its seed is drawn after training, and
    its images are removed before that process starts: a submission that finds either could look up the answers.

    Raises:
        SubmissionError: its process failed, was stopped, or gave no model or no answers.
    """
    started, other_work = perf_counter(), OtherWork()
    training, _, scored = parts_of(dataset, run.recipe)
    folder = run_folder(run, entry.home)
    folder.mkdir(parents=True, exist_ok=True)
    with threads(bench.runtime.threads):
        done = train(box, training, run, folder=folder, title=title)
        before = perf_counter()
        shared = read_model(folder / MODEL, run)[0].parameter_counts()[0]
        evaluation = answer(box, scored, run, folder=folder)
    now = perf_counter()
    finished = FinishedRun(
        run=run,
        preset=label_on(run.task, run.recipe),
        composer=entry.card,
        composer_sha256=entry.about.source_sha256,
        dataset=dataset_card(dataset, scored),
        trained=Trained(done.seconds, done.seconds_before, done.losses, ()),
        parameters=(shared + done.own_parameters, done.own_parameters),
        checkpoint=stored_file(folder / MODEL),
        weights_sha256=weights_sha256(Checkpoint.read(folder / MODEL).tensors),
        wall_seconds=done.seconds_before + now - started,
        scoring_seconds=now - before,
        peak_memory_mib=done.peak_memory_mib,
        environment=current_environment(
            bench.runtime, code_version=code_version(run.task), other_cores=other_work.cores()
        ),
        submission=entry.about,
    )
    with FreshTestSets() as drawn:
        test_set = drawn.of(dataset, image_size=run.recipe.data.image_size, reporter=bench.reporter)
    with threads(bench.runtime.threads):
        fresh = test_set.score(answer(box, test_set.split, run, folder=folder).outcomes) if test_set else None
    record = new_record(finished, evaluation, fresh)
    path = save_record(record, evaluation.outcomes, entry.home / "records", replace=True)
    tidy(folder)
    recall, also = record.metrics.recall, f" (fresh {fresh.recall[1]:.1f})" if fresh else ""
    bench.reporter.message(
        f"{title}: R@1 {recall[1]:.1f}{also}, R@10 {recall[10]:.1f}, {record.training.wall_seconds:.0f} s"
    )
    return read_stored(path)
