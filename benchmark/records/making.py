"""Make the record of a finished run."""

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import tasks as datasets
from benchmark.datasets.problems import skipped_hash
from benchmark.datasets.splits import Dataset, Split
from benchmark.recipe.identity import Run
from benchmark.records.environment import Environment
from benchmark.records.examples import examples_of
from benchmark.records.outcomes_file import encode
from benchmark.records.schema import (
    FORMAT_VERSION,
    ComposerCard,
    CurvePoint,
    DatasetCard,
    ParameterCounts,
    RunRecord,
    StoredFile,
    Submission,
    TrainingFacts,
    sha256,
)
from benchmark.scoring.evaluation import Evaluation
from benchmark.scoring.fresh import FreshScore
from benchmark.scoring.metrics import metrics_of
from benchmark.training.loop import Trained
from models.base import Composer, brings_auxiliary

_MOST_CURVE_POINTS = 200
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""In a path: control characters, and bytes that are not UTF-8, which Python keeps as surrogates."""


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """Everything about a finished run except its scores.

    Attributes:
        preset: what its recipe is called.
        parameters: of the whole network, and of the composer alone.
        checkpoint: the file of the trained model.
        wall_seconds: of the whole run, scoring included.
        composer_sha256, is_local, submission, weights_sha256: as in `RunRecord`.
    """

    run: Run
    preset: str
    composer: ComposerCard
    composer_sha256: str
    dataset: DatasetCard
    trained: Trained
    parameters: tuple[int, int]
    checkpoint: StoredFile
    wall_seconds: float
    scoring_seconds: float
    peak_memory_mib: float
    environment: Environment
    is_local: bool = False
    submission: Submission | None = None
    weights_sha256: str | None = None


def new_record(finished: FinishedRun, evaluation: Evaluation, fresh: FreshScore | None = None) -> RunRecord:
    """The record of a run with these scores, made today. Scores and hashes are computed here.

    Args:
        fresh: the score on a fresh test set, if the model was scored on one.

    Raises:
        ValueError: there are no queries, or a value breaks the format (pydantic's ValidationError).
    """
    run, trained, outcomes = finished.run, finished.trained, evaluation.outcomes
    queries = len(trained.losses) * run.recipe.training.batch
    curve = _curve(trained)
    total, own = finished.parameters
    return RunRecord(
        format_version=FORMAT_VERSION,
        protocol=run.task,
        composer=finished.composer,
        preset=finished.preset,
        seed=run.seed,
        configuration=run.recipe.content,
        composer_sha256=finished.composer_sha256,
        is_local=finished.is_local,
        dataset=finished.dataset,
        metrics=metrics_of(outcomes),
        training=TrainingFacts(
            steps=len(trained.losses),
            queries_seen=queries,
            queries_per_second=queries / trained.seconds,
            wall_seconds=finished.wall_seconds,
            evaluation_seconds=finished.scoring_seconds,
            peak_memory_mib=finished.peak_memory_mib,
            final_loss=curve[-1].loss or 0.0,
        ),
        parameters=ParameterCounts(total=total, composer=own),
        curve=curve,
        examples=examples_of(outcomes, evaluation.top),
        environment=finished.environment,
        checkpoint=finished.checkpoint,
        weights_sha256=finished.weights_sha256,
        ranks=StoredFile(
            path=f"{run.identity.place(finished.preset).name}.parquet",
            sha256=sha256(encode(outcomes)),
        ),
        created=datetime.datetime.now(datetime.UTC).date(),
        submission=finished.submission,
        fresh=fresh,
    )


def composer_card(composer: type[Composer]) -> ComposerCard:
    info = composer.info
    return ComposerCard(
        name=info.name,
        title=info.title,
        paper=info.paper,
        year=info.year,
        url=info.url,
        auxiliary=brings_auxiliary(composer),
        levels=composer.levels,
    )


def on_features(card: ComposerCard, *, spatial: bool) -> ComposerCard:
    """The card on a task with maps, or with pooled vectors, which have one depth."""
    return card if spatial else card.model_copy(update={"levels": 1})


def dataset_card(dataset: Dataset, scored: Split) -> DatasetCard:
    """The data of a run; `scored` is the split that it was scored on."""
    return DatasetCard(
        name=datasets.get(dataset.name).folder,
        fingerprint=dataset.fingerprint,
        gallery=len(scored.gallery),
        queries=len(scored.queries),
        skipped=len(dataset.skipped),
        skipped_sha256=skipped_hash(dataset.skipped),
        rendering=dataset.rendering,
    )


def stored_file(path: Path) -> StoredFile:
    """A file with its hash. Control characters and bytes that are not UTF-8 are escapes in its path, such as `\\n`.

    Raises:
        OSError: it cannot be read.
    """
    shown = _UNWRITABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(path))
    return StoredFile(path=shown, sha256=sha256(path.read_bytes()))


def _curve(trained: Trained) -> tuple[CurvePoint, ...]:
    """Mean losses over intervals of equal length, and the validations."""
    losses, recalls = trained.losses, dict(trained.validations)
    width = -(-len(losses) // _MOST_CURVE_POINTS)
    points = {
        min(start + width, len(losses)): _mean(losses[start : start + width]) for start in range(0, len(losses), width)
    }
    return tuple(
        CurvePoint(step=step, loss=points.get(step), recall_at_1=recalls.get(step))
        for step in sorted(points.keys() | recalls.keys())
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
