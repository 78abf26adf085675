"""A finished run to its record: what was trained, what it scored, where it was made."""

import datetime
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydantic import JsonValue

from benchmark import tasks as datasets
from benchmark.datasets.problems import skipped_hash
from benchmark.datasets.splits import Dataset, Split
from benchmark.recipe.config import RECIPE_VERSION, Config
from benchmark.records.environment import current_environment
from benchmark.records.examples import examples_of
from benchmark.records.store import (
    ComposerCard,
    CurvePoint,
    DatasetCard,
    ParameterCounts,
    RunRecord,
    StoredFile,
    Submission,
    TrainingFacts,
    new_record,
)
from benchmark.scoring.evaluation import Evaluation
from benchmark.training.loop import Trained
from models.base import ComposerInfo

_MOST_CURVE_POINTS = 200


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """All of a run but its scores.

    Attributes:
        parameters: of the whole network, and of the composer alone.
        model: the file of the trained model.
        scored: the split that it was scored on.
        wall_seconds: of the whole run, scoring included.
        submission: whose composer it is, if not ours.
    """

    composer: ComposerCard
    seed: int
    config: Config
    dataset: Dataset
    scored: Split
    trained: Trained
    parameters: tuple[int, int]
    model: Path
    wall_seconds: float
    scoring_seconds: float
    peak_memory_mib: float
    device: str
    submission: Submission | None = None


def record_of(run: FinishedRun, evaluation: Evaluation) -> RunRecord:
    """The record of a run with these scores, made today on this machine."""
    config, dataset, trained = run.config, run.dataset, run.trained
    steps = config.training.steps
    curve = _curve(trained)
    total, own = run.parameters
    return new_record(
        evaluation.outcomes,
        protocol=dataset.name,
        composer=run.composer,
        preset=config.preset,
        seed=run.seed,
        configuration=recipe_of(config),
        dataset=DatasetCard(
            name=datasets.info(dataset.name).folder_name,
            fingerprint=dataset.fingerprint,
            gallery=len(run.scored.gallery),
            queries=len(run.scored.queries),
            skipped=len(dataset.skipped),
            skipped_sha256=skipped_hash(dataset.skipped),
        ),
        training=TrainingFacts(
            steps=steps,
            queries_seen=steps * config.training.batch,
            queries_per_second=steps * config.training.batch / trained.seconds,
            wall_seconds=run.wall_seconds,
            evaluation_seconds=run.scoring_seconds,
            peak_memory_mib=run.peak_memory_mib,
            final_loss=curve[-1].loss or 0.0,
        ),
        parameters=ParameterCounts(total=total, composer=own),
        curve=curve,
        examples=examples_of(evaluation.outcomes, evaluation.top),
        environment=current_environment(run.device),
        checkpoint=StoredFile(path=str(run.model), sha256=sha256(run.model.read_bytes()).hexdigest()),
        created=datetime.datetime.now(datetime.UTC).date(),
        submission=run.submission,
    )


def recipe_of(config: Config) -> dict[str, JsonValue]:
    """The configuration as records hold it."""
    return {"recipe_version": RECIPE_VERSION, **config.model_dump(mode="json", exclude={"preset"})}


def card_of(info: ComposerInfo) -> ComposerCard:
    return ComposerCard(name=info.name, title=info.title, paper=info.paper, year=info.year, url=info.url)


def _curve(trained: Trained) -> tuple[CurvePoint, ...]:
    """Mean losses of equal stretches of steps, and the looks between them."""
    losses, looks = trained.losses, dict(trained.validations)
    width = -(-len(losses) // _MOST_CURVE_POINTS)
    points = {
        min(start + width, len(losses)): sum(losses[start : start + width]) / len(losses[start : start + width])
        for start in range(0, len(losses), width)
    }
    return tuple(
        CurvePoint(step=step, loss=points.get(step), recall_at_1=looks.get(step))
        for step in sorted(points.keys() | looks.keys())
    )
