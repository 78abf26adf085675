"""One run: a composer on a task with a seed, from the data to its record."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import torch
from accelerate import Accelerator

from benchmark import tasks
from benchmark.datasets.equivalent_texts import with_equivalent_texts
from benchmark.datasets.splits import Dataset, Split, hold_out, with_own_images
from benchmark.device import make_accelerator, peak_memory_mib, reproducible, start_measuring_memory
from benchmark.errors import BenchmarkError, UsageError
from benchmark.recipe.identity import Run
from benchmark.recipe.runtime import Runtime
from benchmark.recipe.schema import Recipe
from benchmark.records.code_version import code_version, composer_sha256, is_local
from benchmark.records.environment import OtherWork, current_environment
from benchmark.records.making import FinishedRun, composer_card, dataset_card, new_record, on_features, stored_file
from benchmark.records.schema import sha256
from benchmark.records.store import RunRecord, save_record
from benchmark.runs.fresh import FreshTestSets
from benchmark.runs.local_composer import is_loaded, load, local_file
from benchmark.runs.recipes import label_on
from benchmark.runs.termination import is_asked
from benchmark.scoring.evaluation import Evaluation, evaluate
from benchmark.scoring.fresh import FreshScore
from benchmark.scoring.metrics import Metrics
from benchmark.scoring.processes import Processes, together
from benchmark.scoring.recall import recall_at_k
from benchmark.training.checkpoint import Checkpoint, Code, model_tensors, weights_sha256
from benchmark.training.loop import Trained, steps_done, train
from benchmark.training.model import new_network as network_of
from benchmark.training.model import require_texts, texts_to_read
from benchmark.training.progress import RunReporter, SilentRuns, reported
from benchmark.training.samplers import make_sampler
from css_gen.storage.atomic import PARTIAL_SUFFIX, write_atomically
from models.network import Network
from models.registry import get

CHECKPOINT_NAME = "training.safetensors"
MODEL_NAME = "model.safetensors"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The settings that runs share: recipes, runtime, and where they find and leave things.

    Attributes:
        base: the recipe of all runs but those on the tasks that `recipes` names.
        places: folders of datasets that are not in `data/`, by folder name.
        leaderboards: records go to `records/` in it.
        runs: a folder for each run's checkpoint, model and curves.
        skip_broken: whether images and queries that are broken are left out.
        replace: whether a record that is damaged, or was made by other code, is made again.
        fresh: the fresh test sets that trained models are scored on, too; None for none.
    """

    base: Recipe
    runtime: Runtime
    reporter: RunReporter
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    places: dict[str, Path] = field(default_factory=dict)
    skip_broken: bool = False
    replace: bool = False
    leaderboards: Path = Path("leaderboards")
    runs: Path = Path("runs")
    fresh: FreshTestSets | None = None

    def recipe(self, task: str) -> Recipe:
        return self.recipes.get(task, self.base)

    @property
    def device(self) -> str:
        return self.runtime.device

    @property
    def is_on_leaderboard(self) -> bool:
        """Whether records go to the leaderboards. Runs that are scored on the validation part do not."""
        return self.base.evaluation.split == "test"

    @property
    def records(self) -> Path:
        return (self.leaderboards if self.is_on_leaderboard else self.runs) / "records"


def run_folder(run: Run, runs: Path) -> Path:
    """Where below `runs` a run keeps its checkpoint, its model and its curves."""
    return runs / run.identity.place(label_on(run.task, run.recipe))


def make_record(run: Run, dataset: Dataset, bench: Bench, title: str) -> RunRecord:
    """Train, score, and write the model and the record."""
    started, other_work = perf_counter(), OtherWork()
    recipe, runtime, folder = run.recipe, bench.runtime, run_folder(run, bench.runs)
    composer, version = get(run.composer), code_version(run.task)
    code = Code(version, composer_sha256(composer))
    start_measuring_memory(runtime.device)
    accelerator = make_accelerator(runtime.device, recipe.training.precision)
    others = partial(follow, run, replace(bench, reporter=SilentRuns()), local_file(composer), code)
    with together(runtime.devices, runtime.device, others) as processes:
        made = train_and_score(run, dataset, bench, title, accelerator=accelerator, code=code, processes=processes)
    network, trained, scored, evaluation, scoring = made
    weights = model_tensors(network)
    trained_model = Checkpoint(run, network.text_encoder.tokenizer, recipe.training.steps, 0.0, weights).content()
    model = model_place(folder, trained_model, replace=bench.replace)
    write_atomically(model, trained_model)
    finished = FinishedRun(
        run=run,
        preset=label_on(run.task, recipe),
        composer=on_features(composer_card(composer), spatial=run.spatial),
        composer_sha256=code.composer,
        is_local=is_local(composer),
        dataset=dataset_card(dataset, scored),
        trained=trained,
        parameters=network.parameter_counts(),
        checkpoint=stored_file(model),
        weights_sha256=weights_sha256(weights),
        wall_seconds=trained.seconds_before + perf_counter() - started,
        scoring_seconds=scoring,
        peak_memory_mib=peak_memory_mib(runtime.device),
        environment=current_environment(
            runtime, model=recipe.model, code_version=version, other_cores=other_work.cores()
        ),
    )
    fresh = _score_fresh(network, dataset, run, bench, accelerator)
    record = new_record(finished, evaluation, fresh)
    save_record(record, evaluation.outcomes, bench.records, replace=bench.replace)
    for done_with in (folder / CHECKPOINT_NAME, *folder.glob(f".*{PARTIAL_SUFFIX}")):
        done_with.unlink(missing_ok=True)
    recall, also = record.metrics.recall, f" (fresh {fresh.recall[1]:.1f})" if fresh else ""
    bench.reporter.message(
        f"{title}: R@1 {recall[1]:.1f}{also}{by_combination(record.metrics)}, R@10 {recall[10]:.1f}, "
        f"{record.training.queries_per_second:.0f} queries/s, {record.training.wall_seconds:.0f} s"
    )
    return record


class Made(NamedTuple):
    """A trained network, the split that it was scored on, the outcome, and how many seconds scoring took."""

    network: Network
    trained: Trained
    scored: Split
    evaluation: Evaluation
    scoring_seconds: float


def train_and_score(
    run: Run, dataset: Dataset, bench: Bench, title: str, *, accelerator: Accelerator, code: Code, processes: Processes
) -> Made:
    """Train and score in this process, or in this one of several; the leader alone reports and writes."""
    recipe, runtime, folder = run.recipe, bench.runtime, run_folder(run, bench.runs)
    training, validation, scored = parts_of(dataset, recipe)
    score = partial(evaluate, accelerator=accelerator, batch_size=runtime.batch_size, processes=processes)
    with threads(runtime.threads), reproducible(runtime.device):
        network = new_network(run, training)
        for split in (scored, *([validation] if validation else [])):
            require_texts(network, split.texts)

        def validate() -> float:
            assert validation is not None
            return recall_at_k(score(network, validation).outcomes.ranks)[1]

        done, is_other_code = steps_done(folder / CHECKPOINT_NAME, run, code)
        if done:
            bench.reporter.message(f"{title}: resumes after step {done}, from {folder / CHECKPOINT_NAME}")
        if is_other_code:
            bench.reporter.message(f"{title}: starts over, because {folder / CHECKPOINT_NAME} was made by other code")
        sources, modifications = recipe.training.sources, recipe.training.modifications
        sampler = make_sampler(training, groups=sources, modifications=modifications, seed=run.seed)
        shown = reported(bench.reporter, title, recipe.training.steps, folder, done)
        with shown if processes.is_leader else nullcontext(lambda _: None) as show:
            trained = train(
                network, training, sampler, run,
                accelerator=accelerator, checkpoint_path=folder / CHECKPOINT_NAME, report=show,
                note=lambda line: bench.reporter.message(f"{title}: {line}"),
                validate=validate if validation else None,
                stop=is_asked, runtime=runtime, code=code, processes=processes,
            )  # fmt: skip
        if processes.count > 1:
            processes.require_equal(weights_sha256(model_tensors(network)))
        before = perf_counter()
        evaluation = score(network, scored)
        return Made(network, trained, scored, evaluation, perf_counter() - before)


def follow(run: Run, bench: Bench, local: Path | None, code: Code, processes: Processes) -> None:
    """Take part in a run that another process leads.

    Args:
        local: the file of a composer that is not part of the package; None for one that is.
        code: the leader's.

    Raises:
        BenchmarkError: the data or the code is not what the leader has.
    """
    if local is not None and not is_loaded(local):
        load(local)
    device = bench.device if bench.device == "cpu" else f"cuda:{processes.rank}"
    task, size = tasks.get(run.task), run.recipe.data.image_size
    place = tasks.locate(run.task, bench.places)
    dataset = task.open(place, image_size=size, reporter=bench.reporter, skip_broken=bench.skip_broken)
    own = Code(code_version(run.task), composer_sha256(get(run.composer)))
    if dataset.fingerprint != run.fingerprint or own != code:
        raise BenchmarkError(f"{place} or the code was changed while the run started")
    here = replace(bench, runtime=bench.runtime.model_copy(update={"device": device}))
    accelerator = make_accelerator(device, run.recipe.training.precision)
    train_and_score(run, dataset, here, str(run), accelerator=accelerator, code=code, processes=processes)


def _score_fresh(
    network: Network, dataset: Dataset, run: Run, bench: Bench, accelerator: Accelerator
) -> FreshScore | None:
    """Score a trained network on a fresh test set; None if none is wanted, or the dataset has none."""
    if bench.fresh is None or run.recipe.evaluation.split != "test":
        return None
    test_set = bench.fresh.of(dataset, image_size=run.recipe.data.image_size, reporter=bench.reporter)
    if test_set is None:
        return None
    with threads(bench.runtime.threads), reproducible(bench.device):
        evaluation = evaluate(network, test_set.split, accelerator=accelerator, batch_size=bench.runtime.batch_size)
    return test_set.score(evaluation.outcomes)


def by_combination(metrics: Metrics) -> str:
    """Name Recall@1 of queries about seen and about novel combinations, where there are both: " (seen 90.0, ...)"."""
    found = metrics.slices.get("combination", {})
    if len(found) < 2:
        return ""
    parts = ", ".join(f"{value} {found[value].recall[1]:.1f}" for value in sorted(found, reverse=True))
    return f" ({parts})"


def model_place(folder: Path, content: bytes, *, replace: bool) -> Path:
    """Where to write the model of a run with that folder.

    Another model that is there belongs to a record in another --out. It stays: the new one has its hash in its name.
    """
    usual, digest = folder / MODEL_NAME, sha256(content)
    if replace or not usual.exists() or stored_file(usual).sha256 == digest:
        return usual
    return folder / f"{usual.stem}-{digest[:8]}{usual.suffix}"


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Have torch compute with that many threads on the CPU: their number changes the last digits of a result."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def new_network(run: Run, training: Split) -> Network:
    """A network whose weights depend on the seed alone."""
    texts, size = texts_to_read(training.texts, run.recipe.training), run.recipe.data.image_size
    return network_of(run.composer, run.recipe.model, texts, spatial=run.spatial, seed=run.seed, image_size=size)


def parts_of(dataset: Dataset, recipe: Recipe) -> tuple[Split, Split | None, Split]:
    """The splits to train on, to validate on (None for no validation), and to score in the end.

    Raises:
        UsageError: the recipe scores the validation part, and the dataset is too small to have one or has too few
            combinations to hold out; or it needs the scenes of the images, and they are not known.
    """
    wanted = recipe.evaluation
    if wanted.split == "test":
        training, validation = hold_out(dataset.train, wanted.held_out)
        scored, validation = dataset.test, with_own_images(validation) if validation else None
    else:
        try:
            training, held_out = hold_out(dataset.train, wanted.held_out, combinations=wanted.held_out_combinations)
        except ValueError as error:
            raise UsageError(
                f"evaluation.held_out_combinations={wanted.held_out_combinations}: {error} ({dataset.name})"
            ) from None
        if held_out is None:
            raise UsageError(
                "evaluation.split=validation: the validation part has no source; raise evaluation.held_out"
            )
        scored, validation = held_out, with_own_images(held_out)
    if (asked := recipe.needs_scenes) and (training.equivalents is None or training.shapes is None):
        raise UsageError(
            f"{asked}: the scenes of its images are not known ({dataset.name}); css, css-2d3d and css-pooled have them"
        )
    return with_equivalent_texts(training) if recipe.training.mined_texts else training, validation, scored
