"""Train the run of a record again, and see whether the result is one that its seeds could give."""

import os
from dataclasses import replace

from benchmark.datasets.splits import Dataset
from benchmark.errors import BenchmarkError
from benchmark.leaderboard.files import load_records
from benchmark.leaderboard.statistics import seed_spread
from benchmark.recipe.identity import Run
from benchmark.recipe.runtime import Runtime
from benchmark.records.store import RunRecord, StoredRecord, submitted_source
from benchmark.runs.earlier import held
from benchmark.runs.single_run import Bench, make_record, run_folder
from benchmark.scoring.fresh import FreshScore
from benchmark.submissions import submitted_run
from benchmark.submissions.submitted_run import Entry, keep_source
from benchmark.training.parts import require_parts
from benchmark.verification.rescoring import TOLERANCE, require_as_fresh
from benchmark.verification.resources import Resources, UnavailableError, recipe_of, run_of


def retrain(stored: StoredRecord, resources: Resources) -> tuple[float, str, FreshScore | None]:
    """Recall@1 in percent of the same recipe and seed, trained again, how it compares with the record's, and the score
    on a fresh test set.

    On the machine that made the record the two are equal. Another one rounds otherwise, and the training then takes
    another way, as with another seed: the two may be as far apart as two seeds are, 19 times of 20. How far that is
    comes from the other composers of the board, because whoever forges a record can forge its siblings, too.

    Raises:
        UnavailableError: the dataset is not there, this version of the code has other recipes, or a part of this one is
            missing: an encoder, or a file of weights with the same content.
        BenchmarkError: the result is another than the record's.
    """
    dataset = resources.dataset_of(stored, recipe_of(stored).data.image_size)
    run = run_of(stored, spatial=dataset.spatial)
    try:
        require_parts(run.recipe)
    except BenchmarkError as error:
        raise UnavailableError(str(error)) from None
    spread = seed_spread(_others_on_the_board(stored))
    again = _made_again(stored, run, dataset, resources)
    found = again.metrics.recall[1]
    said = stored.record.metrics.recall[1]
    allowed = max(TOLERANCE, spread or 0.0)
    why = "seeds of the other composers differ by as much" if spread else "no other composer has several seeds"
    both = f"R@1 {found:.1f} again, {said:.1f} in the record"
    if abs(found - said) > allowed:
        raise BenchmarkError(f"{stored.path}: {both}: more than {allowed:.2f} apart ({why})")
    if again.fresh:
        require_as_fresh(stored, found, again.fresh)
    return found, f"{both}: not more than {allowed:.2f} apart ({why})", again.fresh


def _made_again(stored: StoredRecord, run: Run, dataset: Dataset, resources: Resources) -> RunRecord:
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
            return make_record(run, dataset, bench, title)
        box = resources.box_of(stored)
        source = submitted_source(stored.path, run.composer).read_bytes()
        keep_source(source, run.composer, home)
        entry = Entry(candidate=box.candidate, card=record.composer, about=record.submission, source=source, home=home)
        return submitted_run.make_record(run, dataset, box, bench, entry, title).record


def _as_recorded(runtime: Runtime, record: RunRecord) -> Runtime:
    """The runtime with the record's number of threads, if this machine has as many: it changes the last digits."""
    wanted = record.environment.runtime.threads
    return runtime.model_copy(update={"threads": wanted}) if wanted <= (os.cpu_count() or 1) else runtime


def _others_on_the_board(stored: StoredRecord) -> list[list[float]]:
    """Recall@1 of every other composer with the same recipe and data, seed by seed."""
    record = stored.record
    runs, _ = load_records(stored.path.resolve().parents[2])
    found: dict[str, list[float]] = {}
    for run in (run.record for run in runs):
        same_board = replace(run.identity, composer="", seed=0) == replace(record.identity, composer="", seed=0)
        if same_board and run.composer.name != record.composer.name:
            found.setdefault(run.composer.name, []).append(run.metrics.recall[1])
    return list(found.values())
