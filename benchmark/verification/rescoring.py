"""Score the checkpoint of a record again, and compare."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmark.datasets.splits import Dataset, Split
from benchmark.device import make_accelerator
from benchmark.errors import BenchmarkError
from benchmark.recipe.identity import Run
from benchmark.recipe.runtime import Runtime
from benchmark.recipe.schema import Recipe
from benchmark.records.store import RunRecord, StoredRecord
from benchmark.runs.fresh import FreshTestSets
from benchmark.runs.single_run import MODEL_NAME, parts_of, threads
from benchmark.scoring.evaluation import Evaluation, evaluate
from benchmark.scoring.fresh import LEVEL, FreshScore, differs, sampled_recall
from benchmark.scoring.metrics import metrics_of
from benchmark.scoring.recall import KS, MAP_KS, Integers, Outcomes
from benchmark.submissions.sandboxed_run import Box, answer
from benchmark.training.checkpoint import Checkpoint, weights_sha256
from benchmark.verification.repetition import TOLERANCE
from benchmark.verification.resources import Resources, UnavailableError

FLIPS = 2.0
"""Percent of the queries that may be a hit on one machine and none on another."""


def rescore(stored: StoredRecord, resources: Resources) -> tuple[float, FreshScore | None]:
    """Recall@1 in percent that the checkpoint of a record gives, on the split that the record was scored on, and its
    score on a fresh test set, where the dataset has one.

    A submission's composer runs in its own process.

    Raises:
        UnavailableError: the checkpoint or the dataset is not there, or another run has overwritten the checkpoint.
        BenchmarkError: the checkpoint gives another Recall@K than the record says, or on a fresh test set another
            Recall@1 than sampling explains, or the record names one of another run, or weights that another record has.
    """
    record, path = stored.record, stored.path
    model = Path(record.checkpoint.path) if record.checkpoint else None
    checkpoint = checkpoint_of(stored, resources, model)
    dataset = resources.dataset_of(stored, checkpoint.run.recipe.data.image_size)
    resources.reporter.message(f"scoring {model} again")
    *_, scored = parts_of(dataset, checkpoint.run.recipe)

    def on(split: Split) -> Evaluation:
        return evaluate_checkpoint(stored, checkpoint, split, resources)

    found = on(scored)
    again = metrics_of(found.outcomes)
    _require_same_data(path, found.outcomes, stored.outcomes)
    _require_recall(path, "R", record.metrics.recall, again.recall)
    _require_flips(path, found.outcomes.ranks, stored.outcomes.ranks)
    said, computed = ({k: metrics.scores[f"drawn_recall@{k}"] for k in KS} for metrics in (record.metrics, again))
    _require_recall(path, "drawn R", said, computed)
    _require_flips(path, found.outcomes.drawn_ranks, stored.outcomes.drawn_ranks)
    said, computed = ({k: metrics.scores[f"map@{k}"] for k in MAP_KS} for metrics in (record.metrics, again))
    _require_recall(path, "mAP", said, computed)
    _require_contrasts(path, found.outcomes, stored.outcomes)
    return again.recall[1], _score_fresh(stored, dataset, checkpoint.run.recipe, resources, on)


def checkpoint_of(stored: StoredRecord, resources: Resources, model: Path | None) -> Checkpoint:
    """Read the checkpoint of a record from the file `model`, None where the record names none.

    Raises:
        UnavailableError: it is not there, or it is another one, such as of a run that has overwritten it.
        BenchmarkError: it is of another run than the record says, or its weights are.
    """
    record, path = stored.record, stored.path
    kept = record.checkpoint
    if kept is None or model is None or not model.is_file():
        raise UnavailableError(f"no checkpoint ({model if kept else 'none was kept'})")
    if sha256(model.read_bytes()).hexdigest() != kept.sha256:
        # Whoever runs a seed again with --replace overwrites its model: not a forgery, but it cannot check the record.
        raise UnavailableError(f"the checkpoint at {model} is of another run (its hash differs)")
    checkpoint = Checkpoint.read(model)
    if difference := _other_run(checkpoint.run, record):
        raise BenchmarkError(f"{path}: {model} is of another run ({difference})")
    _require_own_weights(stored, checkpoint, resources)
    return checkpoint


def evaluate_checkpoint(stored: StoredRecord, checkpoint: Checkpoint, split: Split, resources: Resources) -> Evaluation:
    """Evaluate the checkpoint of a record on a split. A submission's composer runs in its own process."""
    with threads(resources.runtime.threads):
        if stored.record.submission is None:
            return _of_ours(checkpoint, split, resources.runtime)
        box, levels = resources.box_of(stored), stored.record.composer.levels
        return _of_submission(checkpoint, split, box, levels=levels)


def _score_fresh(
    stored: StoredRecord, dataset: Dataset, recipe: Recipe, resources: Resources, on: Callable[[Split], Evaluation]
) -> FreshScore | None:
    """Score a checkpoint on a fresh test set; None if its record is not of a test split, or the dataset has none.

    Raises:
        BenchmarkError: the Recall@1 is another than sampling explains.
    """
    if recipe.evaluation.split != "test":
        return None
    size, reporter = recipe.data.image_size, resources.reporter
    if stored.record.submission is None:
        test_set = resources.fresh.of(dataset, image_size=size, reporter=reporter)
    else:
        with FreshTestSets() as drawn:  # removed before the submission's process starts, as in `submitted_run`
            test_set = drawn.of(dataset, image_size=size, reporter=reporter)
    if test_set is None:
        return None
    fresh = test_set.score(on(test_set.split).outcomes)
    require_as_fresh(stored, stored.record.metrics.recall[1], fresh)
    return fresh


def require_as_fresh(stored: StoredRecord, recall_at_1: float, fresh: FreshScore) -> None:
    """Raises BenchmarkError if the Recall@1 of a record's model differs from that on a fresh test set by more than
    sampling explains.

    Args:
        recall_at_1: of the model, in percent, on the record's queries.
    """
    own = sampled_recall([stored.outcomes])._replace(recall=recall_at_1)
    if differs(own, fresh.sampled):
        raise BenchmarkError(
            f"{stored.path}: its model gets R@1 {own.recall:.1f}, and {fresh.recall[1]:.1f} on a fresh test set (seed "
            f"{fresh.seed}): only one of {1 / LEVEL:.0f} sound records differs by so much"
        )


def _require_own_weights(stored: StoredRecord, checkpoint: Checkpoint, resources: Resources) -> None:
    """Raises BenchmarkError unless the weights are those that the record names, and no other run of the task has them.

    The file's hash covers its header, too, which says whose weights these are and can be edited.
    """
    record, path = stored.record, stored.path
    found = weights_sha256(checkpoint.tensors)
    if record.weights_sha256 not in (None, found):
        raise BenchmarkError(f"{path}: its checkpoint holds other weights than the record names")
    first = resources.first_with(found, stored)
    if (first.composer.name, first.seed) != (record.composer.name, record.seed):
        whose = f"seed {first.seed} of {first.composer.name}"
        raise BenchmarkError(f"{path}: its checkpoint holds the weights of {whose}; run it again")


def _require_recall(path: Path, name: str, said: Mapping[int, float], computed: Mapping[int, float]) -> None:
    for k, value in computed.items():
        if abs(value - said[k]) > TOLERANCE:
            raise BenchmarkError(f"{path}: says {name}@{k} {said[k]:.2f}, its checkpoint gives {value:.2f}")


def _require_flips(path: Path, found: Integers, stored: Integers) -> None:
    """Raises BenchmarkError unless nearly the same queries are hits, whose ranks (Q,) these are."""
    for k in KS:
        flipped = 100 * ((found <= k) != (stored <= k)).mean()
        if flipped > FLIPS:
            raise BenchmarkError(f"{path}: {flipped:.1f}% of its queries are hits at {k} only here or only there")


def _require_contrasts(path: Path, found: Outcomes, stored: Outcomes) -> None:
    """Raises BenchmarkError unless contrasts hold for nearly as many queries, and for nearly the same."""
    for name, holds in found.contrasts.items():
        said = stored.contrasts[name]
        apart = 100 * abs(float((holds == 1).mean() - (said == 1).mean()))
        if apart > TOLERANCE or 100 * (holds != said).mean() > FLIPS:
            raise BenchmarkError(
                f"{path}: the contrast {name} holds for {(said == 1).sum()} of its queries, with its checkpoint for "
                f"{(holds == 1).sum()}, or for others"
            )


def _require_same_data(path: Path, found: Outcomes, stored: Outcomes) -> None:
    """Raises BenchmarkError unless the numbers that depend on the dataset alone agree: those of chance and oracles."""
    for name in ("relevant", "relevant_labels", "candidates", *stored.optional):
        if not np.array_equal(getattr(found, name), getattr(stored, name)):
            raise BenchmarkError(f"{path}: its {name} are not those of the dataset")
    if found.distractors.keys() != stored.distractors.keys():
        raise BenchmarkError(f"{path}: its contrasts are not those of the dataset")
    for name, count in stored.distractors.items():
        if not np.array_equal(found.distractors[name], count):
            raise BenchmarkError(f"{path}: its distractors of {name} are not those of the dataset")


def _of_ours(checkpoint: Checkpoint, split: Split, runtime: Runtime) -> Evaluation:
    recipe = checkpoint.run.recipe
    accelerator = make_accelerator(runtime.device, recipe.training.precision)
    network = checkpoint.network()
    network.arrange(accelerator.device, recipe.data.image_size)
    return evaluate(network, split, accelerator=accelerator, batch_size=runtime.batch_size)


def _of_submission(checkpoint: Checkpoint, split: Split, box: Box, *, levels: int) -> Evaluation:
    with TemporaryDirectory(prefix="tirg-bench-verify-") as name:
        checkpoint.write(Path(name) / MODEL_NAME)
        return answer(box, split, checkpoint.run, folder=Path(name), levels=levels)


def _other_run(run: Run, record: RunRecord) -> str:
    """In what the checkpoint's run differs from the record's; empty if in nothing."""
    its, said = run.identity, record.identity
    return ", ".join(
        f"another {each.name}" for each in fields(its) if getattr(its, each.name) != getattr(said, each.name)
    )
