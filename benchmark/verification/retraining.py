"""Train the run of a record again, and compare everything that a seed decides."""

import os
from functools import partial

from benchmark.datasets.splits import Dataset
from benchmark.errors import BenchmarkError
from benchmark.leaderboard.files import load_records
from benchmark.recipe.identity import Run
from benchmark.recipe.runtime import Runtime
from benchmark.records.equal_versions import representative
from benchmark.records.store import RunRecord, StoredRecord, load_outcomes, submitted_source
from benchmark.runs.earlier import held
from benchmark.runs.single_run import Bench, make_record, run_folder
from benchmark.scoring.fresh import FreshScore
from benchmark.submissions import submitted_run
from benchmark.submissions.submitted_run import Entry, keep_source
from benchmark.training.parts import require_parts
from benchmark.verification.repetition import Made, allowed_of, equal_problem, is_equal_machine, similar_problem
from benchmark.verification.rescoring import require_as_fresh
from benchmark.verification.resources import Resources, UnavailableError, recipe_of, run_of


def retrain(stored: StoredRecord, resources: Resources) -> tuple[float, str, FreshScore | None]:
    """Recall@1 in percent of the same recipe and seed, trained again, how it compares with the record's, and the score
    on a fresh test set.

    On a machine like the one that made the record, the two must be equal if the code is of the same version, or of one
    that is known or asked to give equal results (`equal_versions`, `resources.is_equal_code`). Another machine rounds
    otherwise, and the training then takes another way, as with another seed; `repetition` says how far apart the two
    may be.

    Raises:
        UnavailableError: the dataset is not there, this version of the code has other recipes, or a part of this one is
            missing: an encoder, or a file of weights with the same content; or versions of the code are to be compared,
            and the machine or the composer is another one.
        BenchmarkError: the result is another than the record's.
    """
    dataset = resources.dataset_of(stored, recipe_of(stored).data.image_size)
    run = run_of(stored, spatial=dataset.spatial)
    try:
        require_parts(run.recipe)
    except BenchmarkError as error:
        raise UnavailableError(str(error)) from None
    allowed = partial(allowed_of, stored, load_records(stored.path.resolve().parents[2])[0])
    said = stored.record, stored.outcomes
    found = _made_again(stored, run, dataset, resources)
    fresh = found[0].fresh
    recall = found[0].metrics.recall[1]
    its, again = stored.record.environment, found[0].environment
    same_machine = is_equal_machine(its, again) and stored.record.composer_sha256 == found[0].composer_sha256
    if resources.is_equal_code and not same_machine:
        raise UnavailableError(
            "was made on another machine or by another version of the composer, so it need not be equal"
        )
    same_code = representative(its.code_version) == representative(again.code_version)
    if same_machine and (same_code or resources.is_equal_code):
        if problem := equal_problem(said, found):
            raise BenchmarkError(f"{stored.path}: is not what training gives on this equal machine: {problem}")
        note = f"R@1 {recall:.1f}, equal query by query, as expected on an equal machine"
    elif problem := similar_problem(said, found, allowed):
        raise BenchmarkError(f"{stored.path}: {problem}")
    else:
        points, why = allowed("recall@1")
        both = f"R@1 {recall:.1f} again, {stored.record.metrics.recall[1]:.1f} in the record"
        note = f"{both}: not more than {points:.2f} apart ({why})"
    if fresh:
        require_as_fresh(stored, recall, fresh)
    return recall, note, fresh


def _made_again(stored: StoredRecord, run: Run, dataset: Dataset, resources: Resources) -> Made:
    record = stored.record
    home = resources.runs / "verify"
    if record.submission is not None:
        # Another version of the code is another composer, whose half-trained state must not be resumed.
        home /= f"{record.composer.name}-{record.submission.source_sha256[:8]}"
    bench = Bench(
        base=run.recipe,
        runtime=_as_recorded(resources.runtime, record),
        reporter=resources.reporter,
        places=resources.places,
        leaderboards=home,
        runs=home,
        replace=True,
        fresh=resources.fresh,
    )
    title = f"again: {run}"
    with held(run_folder(run, home)):
        if record.submission is None:
            again = make_record(run, dataset, bench, title)
            return again, load_outcomes(bench.records / f"{again.place}.json", again)
        box = resources.box_of(stored)
        source = submitted_source(stored.path, run.composer).read_bytes()
        keep_source(source, run.composer, home)
        entry = Entry(candidate=box.candidate, card=record.composer, about=record.submission, source=source, home=home)
        kept = submitted_run.make_record(run, dataset, box, bench, entry, title)
        return kept.record, kept.outcomes


def _as_recorded(runtime: Runtime, record: RunRecord) -> Runtime:
    """The runtime with what changes the last digits as recorded: batches, and threads if there are as many here."""
    its = record.environment.runtime
    values = {"batch_size": its.batch_size} | ({"threads": its.threads} if its.threads <= (os.cpu_count() or 1) else {})
    return runtime.model_copy(update=values)
