"""Runs: one composer on one protocol with one seed, from data to record, and a whole grid of them."""

import datetime
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import product
from pathlib import Path
from time import perf_counter

import torch
from filelock import FileLock, Timeout
from pydantic import JsonValue

import models
from benchmark import datasets
from benchmark.checkpoint import Checkpoint, Identity, model_tensors
from benchmark.config import RECIPE_VERSION, Config, unknown
from benchmark.datasets.base import Dataset, Split, hold_out, with_own_images
from benchmark.device import make_accelerator, peak_memory_mib, reproducible, start_measuring_memory
from benchmark.environment import current_environment
from benchmark.errors import BenchmarkError, UsageError
from benchmark.evaluation import evaluate
from benchmark.network import Network
from benchmark.progress import Curves, Progress, RunReporter
from benchmark.recall import recall_at_k
from benchmark.record import (
    ComposerCard,
    CurvePoint,
    DatasetCard,
    ParameterCounts,
    RunRecord,
    StoredFile,
    TrainingFacts,
    configuration_hash,
    new_record,
    read_stored,
    record_path,
    save_record,
)
from benchmark.training import SECONDS_BETWEEN_CHECKPOINTS, Trained, steps_done, train
from models.image_encoders import WeightsError, image_encoder
from models.registry import get
from models.text_encoders import Vocabulary

CHECKPOINT_NAME = "training.safetensors"
MODEL_NAME = "model.safetensors"
_MOST_CURVE_POINTS = 200


@dataclass(frozen=True)
class Run:
    composer: str
    dataset: str
    seed: int

    def __str__(self) -> str:
        return f"{self.composer} on {self.dataset}, seed {self.seed}"


@dataclass(frozen=True)
class Finished:
    """What became of a run: its record, which may be from before, or why there is none."""

    run: Run
    record: RunRecord | None
    failure: str | None = None
    is_new: bool = True


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where runs find and leave things.

    Attributes:
        config: the recipe of all runs.
        places: folders of datasets that are not in `data/`, by folder name.
        leaderboards: records go to `records/` in it; None for runs whose records go nowhere else than `runs`.
        runs: a folder for each run's checkpoint, model and curves.
        device: as torch names it.
        after: called after each run that left a record in `leaderboards`.
    """

    config: Config
    device: str
    reporter: RunReporter
    places: dict[str, Path] = field(default_factory=dict)
    leaderboards: Path | None = Path("leaderboards")
    runs: Path = Path("runs")
    seconds_between_checkpoints: float = SECONDS_BETWEEN_CHECKPOINTS
    after: Callable[[], None] = lambda: None

    @property
    def records(self) -> Path:
        """The folder of the records: a recipe that is scored on the validation part has none on a leaderboard."""
        is_shown = self.leaderboards is not None and self.config.evaluation.split == "test"
        return self.leaderboards / "records" if is_shown and self.leaderboards else self.runs / "records"


def grid(composers: Sequence[str], dataset_names: Sequence[str], seeds: Sequence[int]) -> list[Run]:
    """Every combination, seed by seed, so that a whole board stands early.

    Raises:
        UsageError: a composer or dataset is unknown; the message offers the nearest.
    """
    for composer in composers:
        if composer not in models.names():
            raise UsageError(unknown("composer", composer, models.names()))
    for name in dataset_names:
        datasets.info(name)
    return [Run(composer, name, seed) for seed, name, composer in product(seeds, dataset_names, composers)]


def run_all(runs: Sequence[Run], bench: Bench) -> Iterator[Finished]:
    """Make each run that has no valid record of the same configuration yet. One that fails does not stop the rest.

    Raises:
        BenchmarkError: before any run, if a dataset cannot be opened, a folder cannot be written to, or the image
            encoder or its pretrained weights cannot be had.
    """
    _require_writable(bench.records)
    _require_writable(bench.runs)
    _require_encoder(bench.config)
    opened: dict[str, Dataset] = {}
    for run in runs:
        if run.dataset not in opened:
            place = datasets.locate(run.dataset, bench.places)
            opened[run.dataset] = datasets.info(run.dataset).open(place, bench.config.data.image_size, bench.reporter)
    for number, run in enumerate(runs, start=1):
        yield _finish(run, opened[run.dataset], bench, f"[{number}/{len(runs)}] {run}")


def _finish(run: Run, dataset: Dataset, bench: Bench, title: str) -> Finished:
    if record := _valid_record(run, dataset, bench):
        bench.reporter.message(f"{title}: has a record, R@1 {record.metrics.recall[1]:.1f}")
        return Finished(run, record, is_new=False)
    folder = run_folder(run, bench)
    try:
        with _held(folder):
            record = _make(run, dataset, bench, folder, title)
        bench.after()
    except (KeyboardInterrupt, SystemExit):
        raise
    except Exception as error:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "error.txt").write_text(traceback.format_exc())
        what = str(error) if isinstance(error, BenchmarkError) else f"{type(error).__name__}: {error}"
        failure = " ".join(what.split())
        bench.reporter.message(f"{title}: FAILED, {failure} (traceback in {folder / 'error.txt'})")
        return Finished(run, None, failure)
    return Finished(run, record)


def run_folder(run: Run, bench: Bench) -> Path:
    """Where a run keeps its checkpoint, its model and its curves."""
    return bench.runs / run.dataset / run.composer / f"{bench.config.preset}-s{run.seed}"


def _make(run: Run, dataset: Dataset, bench: Bench, folder: Path, title: str) -> RunRecord:
    """Train, score, and write the model and the record."""
    started = perf_counter()
    config = bench.config
    start_measuring_memory(bench.device)
    training, looked_at, scored = _parts(dataset, config)
    network = new_network(run, config, training, spatial=dataset.spatial)
    identity = Identity(run.composer, run.dataset, dataset.fingerprint, dataset.spatial, run.seed, config)
    accelerator = make_accelerator(bench.device, config.training.precision)
    chunk = config.evaluation.chunk

    def look() -> float:
        assert looked_at is not None
        return recall_at_k(evaluate(network, looked_at, accelerator=accelerator, chunk=chunk).ranks)[1]

    with reproducible(bench.device), bench.reporter.training(title, config.training.steps) as report:
        curves = Curves(folder, from_step=steps_done(folder / CHECKPOINT_NAME, identity))
        try:

            def show(progress: Progress) -> None:
                report(progress)
                curves.add(progress)

            trained = train(
                network,
                training,
                dataset.sampler(
                    training,
                    groups=config.training.sources,
                    modifications=config.training.modifications,
                    seed=run.seed,
                ),
                identity,
                accelerator=accelerator,
                checkpoint_path=folder / CHECKPOINT_NAME,
                report=show,
                look=look if looked_at else None,
                seconds_between_checkpoints=bench.seconds_between_checkpoints,
            )
        finally:
            curves.close()
        before = perf_counter()
        outcomes = evaluate(network, scored, accelerator=accelerator, chunk=chunk)
        scoring = perf_counter() - before
    steps = config.training.steps
    model = folder / MODEL_NAME
    Checkpoint(identity, network.vocabulary, steps, 0.0, model_tensors(network)).write(model)
    total, own = network.parameter_counts()
    record = new_record(
        outcomes,
        protocol=run.dataset,
        composer=_card(run.composer),
        preset=config.preset,
        seed=run.seed,
        configuration=_configuration(config),
        dataset=DatasetCard(
            name=datasets.info(run.dataset).folder_name,
            fingerprint=dataset.fingerprint,
            gallery=len(scored.gallery),
            queries=len(scored.queries),
        ),
        training=TrainingFacts(
            steps=steps,
            queries_seen=steps * config.training.batch,
            queries_per_second=steps * config.training.batch / trained.seconds,
            wall_seconds=trained.seconds_before + perf_counter() - started,
            evaluation_seconds=scoring,
            peak_memory_mib=peak_memory_mib(bench.device),
            final_loss=_curve(trained)[-1].loss or 0.0,
        ),
        parameters=ParameterCounts(total=total, composer=own),
        curve=_curve(trained),
        environment=current_environment(bench.device),
        checkpoint=StoredFile(path=str(model), sha256=sha256(model.read_bytes()).hexdigest()),
        created=datetime.datetime.now(datetime.UTC).date(),
    )
    save_record(record, outcomes, bench.records)
    (folder / CHECKPOINT_NAME).unlink(missing_ok=True)
    recall = record.metrics.recall
    bench.reporter.message(
        f"{title}: R@1 {recall[1]:.1f}, R@10 {recall[10]:.1f}, {record.training.queries_per_second:.0f} queries/s, "
        f"{record.training.wall_seconds:.0f} s"
    )
    return record


def new_network(run: Run, config: Config, training: Split, *, spatial: bool) -> Network:
    """A network with weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        return Network(run.composer, config.model, Vocabulary.from_texts(training.texts), spatial=spatial)


def _parts(dataset: Dataset, config: Config) -> tuple[Split, Split | None, Split]:
    """What is trained on, what is looked at meanwhile, what is scored in the end."""
    training, held_out = hold_out(dataset.train, config.evaluation.held_out)
    if config.evaluation.split == "test":
        return training, with_own_images(held_out) if held_out else None, dataset.test
    if held_out is None:
        raise UsageError("evaluation.split=validation needs a held-out part: raise evaluation.held_out")
    return training, with_own_images(held_out), held_out


def _require_encoder(config: Config) -> None:
    try:
        image_encoder(config.model.image_encoder, pretrained=config.model.pretrained or None)
    except ValueError as error:
        raise UsageError(f"model.image_encoder: {error}") from None
    except WeightsError as error:
        raise BenchmarkError(str(error)) from None


def _configuration(config: Config) -> dict[str, JsonValue]:
    return {"recipe_version": RECIPE_VERSION, **config.model_dump(mode="json", exclude={"preset"})}


def _card(composer: str) -> ComposerCard:
    info = get(composer).info
    return ComposerCard(name=info.name, title=info.title, paper=info.paper, year=info.year, url=info.url)


def _curve(trained: Trained) -> tuple[CurvePoint, ...]:
    """Mean losses of equal stretches of steps, and the looks between them."""
    losses, looks = trained.losses, dict(trained.looks)
    width = -(-len(losses) // _MOST_CURVE_POINTS)
    points = {
        min(start + width, len(losses)): sum(losses[start : start + width]) / len(losses[start : start + width])
        for start in range(0, len(losses), width)
    }
    return tuple(
        CurvePoint(step=step, loss=points.get(step), recall_at_1=looks.get(step))
        for step in sorted(points.keys() | looks.keys())
    )


def _valid_record(run: Run, dataset: Dataset, bench: Bench) -> RunRecord | None:
    """The record of this very run, if it is there and agrees with itself."""
    path = record_path(
        bench.records, protocol=run.dataset, composer=run.composer, preset=bench.config.preset, seed=run.seed
    )
    if not path.exists():
        return None
    try:
        record = read_stored(path).record
    except BenchmarkError as error:
        bench.reporter.message(f"{error}; it is made anew")
        return None
    wanted = configuration_hash(
        _configuration(bench.config),
        protocol=run.dataset,
        composer=run.composer,
        dataset_fingerprint=dataset.fingerprint,
    )
    return record if record.configuration_hash == wanted else None


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep others from making the same run at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise BenchmarkError(f"another tirg-bench is at work in {folder}; wait for it, or use --runs") from None


def _require_writable(folder: Path) -> None:
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise BenchmarkError(f"{folder} cannot be written to ({error.strerror}); choose another folder") from None
