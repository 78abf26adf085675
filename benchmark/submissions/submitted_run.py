"""One run of a submitted composer, from the data to its record: `runs.single_run` with the composer in a process."""

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmark.datasets.splits import Dataset
from benchmark.device import start_measuring_memory
from benchmark.recipe.identity import Run
from benchmark.records.code_version import code_version
from benchmark.records.environment import OtherWork, current_environment
from benchmark.records.making import FinishedRun, dataset_card, new_record, on_features, stored_file
from benchmark.records.store import SUBMISSIONS, ComposerCard, StoredRecord, Submission, read_stored, save_record
from benchmark.runs.fresh import FreshTestSets
from benchmark.runs.recipes import label_on
from benchmark.runs.single_run import CHECKPOINT_NAME, MODEL_NAME, Bench, parts_of, run_folder, threads
from benchmark.submissions.messages import Candidate
from benchmark.submissions.sandboxed_run import Box, answer, train
from benchmark.training.checkpoint import Checkpoint, Code, weights_sha256
from css_gen.storage.atomic import PARTIAL_SUFFIX, write_atomically


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
        SubmissionError: its process failed, was stopped, or gave an invalid answer.
    """
    started, other_work = perf_counter(), OtherWork()
    start_measuring_memory(bench.device)
    training, _, scored = parts_of(dataset, run.recipe)
    folder, version = run_folder(run, entry.home), code_version(run.task)
    folder.mkdir(parents=True, exist_ok=True)
    code = Code(version, entry.about.source_sha256)
    card = on_features(entry.card, spatial=run.spatial)
    with threads(bench.runtime.threads):
        trained, parameters, peak = train(
            box,
            training,
            scored,
            run,
            folder=folder,
            title=title,
            code=code,
            auxiliary=card.auxiliary,
            levels=card.levels,
        )
        before = perf_counter()
        evaluation = answer(box, scored, run, folder=folder, levels=card.levels)
    now = perf_counter()
    finished = FinishedRun(
        run=run,
        preset=label_on(run.task, run.recipe),
        composer=card,
        composer_sha256=entry.about.source_sha256,
        dataset=dataset_card(dataset, scored),
        trained=trained,
        parameters=parameters,
        checkpoint=stored_file(folder / MODEL_NAME),
        weights_sha256=weights_sha256(Checkpoint.read(folder / MODEL_NAME).tensors),
        wall_seconds=trained.seconds_before + now - started,
        scoring_seconds=now - before,
        peak_memory_mib=peak,
        environment=current_environment(
            bench.runtime, model=run.recipe.model, code_version=version, other_cores=other_work.cores()
        ),
        submission=entry.about,
    )
    with FreshTestSets() as drawn:
        test_set = drawn.of(dataset, image_size=run.recipe.data.image_size, reporter=bench.reporter)
    with threads(bench.runtime.threads):
        fresh = (
            test_set.score(answer(box, test_set.split, run, folder=folder, levels=card.levels).outcomes)
            if test_set
            else None
        )
    record = new_record(finished, evaluation, fresh)
    path = save_record(record, evaluation.outcomes, entry.home / "records", replace=True)
    for done_with in (folder / CHECKPOINT_NAME, *folder.glob(f".*{PARTIAL_SUFFIX}")):
        done_with.unlink(missing_ok=True)
    recall, also = record.metrics.recall, f" (fresh {fresh.recall[1]:.1f})" if fresh else ""
    bench.reporter.message(
        f"{title}: R@1 {recall[1]:.1f}{also}, R@10 {recall[10]:.1f}, {record.training.wall_seconds:.0f} s"
    )
    return read_stored(path)
