"""One run: a composer on a protocol with a seed, from the data to its record."""

from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from benchmark.training.checkpoint import Checkpoint, Identity, model_tensors
from benchmark.recipe.config import Config
from benchmark.datasets.splits import Dataset, Split, hold_out, with_own_images
from benchmark.device import make_accelerator, peak_memory_mib, reproducible, start_measuring_memory
from benchmark.errors import UsageError
from benchmark.scoring.evaluation import evaluate
from benchmark.records.finished_run import FinishedRun, card_of, record_of
from models.network import Network
from benchmark.training.model import new_network as network_of
from benchmark.training.model import require_texts
from benchmark.training.progress import Curves, Progress, RunReporter
from benchmark.scoring.recall import recall_at_k
from benchmark.records.store import RunRecord, save_record
from benchmark.training.loop import SECONDS_BETWEEN_CHECKPOINTS, steps_done, train
from css_gen.storage.atomic import PARTIAL_SUFFIX
from models.registry import get

CHECKPOINT_NAME = "training.safetensors"
MODEL_NAME = "model.safetensors"


@dataclass(frozen=True)
class Run:
    composer: str
    dataset: str
    seed: int

    def __str__(self) -> str:
        return f"{self.composer} on {self.dataset}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where runs find and leave things.

    Attributes:
        config: the recipe of all runs but those on the datasets that `recipes` names.
        places: folders of datasets that are not in `data/`, by folder name.
        leaderboards: records go to `records/` in it.
        runs: a folder for each run's checkpoint, model and curves.
        device: as torch names it.
        skip_broken: whether images and queries that are broken are left out.
    """

    config: Config
    device: str
    reporter: RunReporter
    recipes: dict[str, Config] = field(default_factory=dict)
    places: dict[str, Path] = field(default_factory=dict)
    skip_broken: bool = False
    leaderboards: Path = Path("leaderboards")
    runs: Path = Path("runs")
    seconds_between_checkpoints: float = SECONDS_BETWEEN_CHECKPOINTS

    def recipe(self, dataset: str) -> Config:
        return self.recipes.get(dataset, self.config)

    @property
    def is_on_leaderboard(self) -> bool:
        """What is scored on the validation part chooses a recipe, and is never ranked."""
        return self.config.evaluation.split == "test"

    @property
    def records(self) -> Path:
        return (self.leaderboards if self.is_on_leaderboard else self.runs) / "records"


def run_folder(run: Run, bench: Bench) -> Path:
    """Where a run keeps its checkpoint, its model and its curves."""
    return bench.runs / run.dataset / run.composer / f"{bench.recipe(run.dataset).preset}-s{run.seed}"


def make_record(run: Run, dataset: Dataset, bench: Bench, title: str) -> RunRecord:
    """Train, score, and write the model and the record."""
    started = perf_counter()
    config, folder = bench.recipe(run.dataset), run_folder(run, bench)
    start_measuring_memory(bench.device)
    training, looked_at, scored = parts_of(dataset, config)
    network = new_network(run, config, training, spatial=dataset.spatial)
    require_texts(network, scored.texts)
    identity = Identity(run.composer, run.dataset, dataset.fingerprint, dataset.spatial, run.seed, config)
    accelerator = make_accelerator(bench.device, config.training.precision)
    chunk = config.evaluation.chunk

    def look() -> float:
        assert looked_at is not None
        return recall_at_k(evaluate(network, looked_at, accelerator=accelerator, chunk=chunk).outcomes.ranks)[1]

    done = steps_done(folder / CHECKPOINT_NAME, identity)
    if done:
        bench.reporter.message(f"{title}: goes on after step {done}, from {folder / CHECKPOINT_NAME}")
    with reproducible(bench.device), bench.reporter.training(title, config.training.steps) as report:
        curves = Curves(folder, from_step=done)
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
                validate=look if looked_at else None,
                seconds_between_checkpoints=bench.seconds_between_checkpoints,
            )
        finally:
            curves.close()
        before = perf_counter()
        evaluation = evaluate(network, scored, accelerator=accelerator, chunk=chunk)
        scoring = perf_counter() - before
    model = folder / MODEL_NAME
    Checkpoint(identity, network.text_encoder.tokenizer, config.training.steps, 0.0, model_tensors(network)).write(model)
    finished = FinishedRun(
        composer=card_of(get(run.composer).info),
        seed=run.seed,
        config=config,
        dataset=dataset,
        scored=scored,
        trained=trained,
        parameters=network.parameter_counts(),
        model=model,
        wall_seconds=trained.seconds_before + perf_counter() - started,
        scoring_seconds=scoring,
        peak_memory_mib=peak_memory_mib(bench.device),
        device=bench.device,
    )
    record = record_of(finished, evaluation)
    save_record(record, evaluation.outcomes, bench.records)
    for done_with in (folder / CHECKPOINT_NAME, *folder.glob(f".*{PARTIAL_SUFFIX}")):
        done_with.unlink(missing_ok=True)
    recall = record.metrics.recall
    bench.reporter.message(
        f"{title}: R@1 {recall[1]:.1f}, R@10 {recall[10]:.1f}, {record.training.queries_per_second:.0f} queries/s, "
        f"{record.training.wall_seconds:.0f} s"
    )
    return record


def new_network(run: Run, config: Config, training: Split, *, spatial: bool) -> Network:
    """A network with weights that depend on the seed alone."""
    return network_of(run.composer, config.model, training.texts, spatial=spatial, seed=run.seed)


def parts_of(dataset: Dataset, config: Config) -> tuple[Split, Split | None, Split]:
    """What is trained on, what is looked at meanwhile, what is scored in the end."""
    training, held_out = hold_out(dataset.train, config.evaluation.held_out)
    if config.evaluation.split == "test":
        return training, with_own_images(held_out) if held_out else None, dataset.test
    if held_out is None:
        raise UsageError("evaluation.split=validation needs a held-out part: raise evaluation.held_out")
    return training, with_own_images(held_out), held_out
