import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.datasets.image_store import ImageStore
from benchmark.device import choose_device, make_accelerator, reproducible
from benchmark.errors import BenchmarkError, UsageError
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.recipe.runtime import Runtime
from benchmark.recipe.schema import Recipe
from benchmark.runs.single_run import new_network
from benchmark.scoring.evaluation import embed_gallery, embed_queries, evaluate
from benchmark.scoring.recall import recall_at_k
from benchmark.tasks.css import Css
from benchmark.training import loop as training
from benchmark.training import optimisers
from benchmark.training import step as session
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.loop import Trained, train
from benchmark.training.progress import Progress
from benchmark.training.samplers import make_sampler
from css_gen.termination import Terminated
from models.network import Network


class StoppedError(Exception):
    pass


def run(
    css: Css,
    config: Recipe,
    folder: Path,
    *,
    composer: str = "tirg",
    report: Callable[[Progress], None] = lambda _: None,
    validate: Callable[[], float] | None = None,
    stop: Callable[[], bool] = lambda: False,
    every: float = 0.0,
    validate_every: int = 0,
) -> tuple[Network, Trained]:
    split = css.train
    planned = Run("css", composer, config, 0, css.fingerprint, True)
    network = new_network(planned, split)
    sampler = make_sampler(split, groups=config.training.sources, modifications=config.training.modifications, seed=0)
    with reproducible("cpu"):
        trained = train(
            network,
            split,
            sampler,
            planned,
            accelerator=make_accelerator("cpu", config.training.precision),
            checkpoint_path=folder / "training.safetensors",
            report=report,
            validate=validate,
            stop=stop,
            runtime=Runtime(checkpoint_seconds=every, validate_every=validate_every),
        )
    return network, trained


def weights(network: Network) -> list[torch.Tensor]:
    return list(network.state_dict().values())


DRAWN = ("training.shift=1", "training.brightness=0.1", "training.group_size=3", "training.repeats=2")
SHAPES = ("training.memory=2", "training.memory_start=0", "training.exchange_channels=true", "training.read_shapes=1")


@pytest.mark.parametrize(
    "changes",
    [*((f"training.optimiser={name}", *DRAWN) for name in optimisers.names()), ("training.memory=2",), SHAPES],
    ids=[*optimisers.names(), "memory", "shapes"],
)
def test_a_run_stopped_at_any_step_and_resumed_is_the_uninterrupted_run(
    changes: tuple[str, ...], css: Css, tiny_config: Recipe, tmp_path: Path
) -> None:
    config = override(tiny_config, changes)
    (tmp_path / "whole").mkdir()
    expected, whole = run(css, config, tmp_path / "whole")
    for stop in (1, 3, 6):

        def stopping(progress: Progress, stop: int = stop) -> None:
            if progress.step == stop:
                raise StoppedError

        folder = tmp_path / str(stop)
        folder.mkdir()
        with pytest.raises(StoppedError):
            run(css, config, folder, report=stopping)
        steps: list[int] = []
        network, trained = run(css, config, folder, report=lambda progress, steps=steps: steps.append(progress.step))
        assert steps[0] == stop
        assert (trained.losses, network.reader) == (whole.losses, None)
        for ours, theirs in zip(weights(network), weights(expected), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("steps", [1, 4, 6])
def test_a_run_that_is_asked_to_end_writes_a_checkpoint_of_that_step(
    steps: int, css: Css, tiny_config: Recipe, tmp_path: Path
) -> None:
    asked = iter(range(1, 100))
    with pytest.raises(Terminated):
        run(css, tiny_config, tmp_path, stop=lambda: next(asked) >= steps, every=10_000)
    assert Checkpoint.read(tmp_path / "training.safetensors").steps == steps
    assert next(asked) == steps + 2, "asked after every step, and once more after the checkpoint"


def test_validation_changes_nothing(css: Css, tiny_config: Recipe, tmp_path: Path) -> None:
    recalls = iter([12.5, 99.0])
    _, plain = run(css, tiny_config, tmp_path)
    (tmp_path / "training.safetensors").unlink()
    _, validated = run(css, tiny_config, tmp_path, validate=lambda: next(recalls), validate_every=3)
    assert validated.losses == plain.losses
    assert validated.validations == ((3, 12.5), (6, 99.0))


def test_speed_and_time_left_are_those_of_a_clock(
    css: Css, tiny_config: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step takes 2 seconds; the process that is started again after step 3 takes 5."""
    real, clock, pace = session.batch_loss, [100.0], 2.0
    seen: list[tuple[int, float, float]] = []

    def slow(*arguments: Any, **options: Any) -> torch.Tensor:
        clock[0] += pace
        return real(*arguments, **options)

    def stopping(progress: Progress) -> None:
        seen.append((progress.step, progress.seconds_left, progress.queries_per_second))
        if progress.step == 4 and pace == 2:
            raise StoppedError

    monkeypatch.setattr(session, "batch_loss", slow)
    monkeypatch.setattr(training.time, "perf_counter", lambda: clock[0])
    with pytest.raises(StoppedError):
        run(css, tiny_config, tmp_path, report=stopping)
    assert seen == [(1, 10, 3), (2, 8, 3), (3, 6, 3), (4, 4, 3)]
    seen.clear()
    pace = 5.0
    run(css, tiny_config, tmp_path, report=stopping)
    assert seen == [(4, 10, 24 / 11), (5, 5, 30 / 16), (6, 0, 36 / 21)]


def test_a_checkpoint_of_another_recipe_is_not_gone_on_with(css: Css, tiny_config: Recipe, tmp_path: Path) -> None:
    run(css, tiny_config, tmp_path)
    other = override(tiny_config, ["training.learning_rate=0.5"])
    steps: list[int] = []
    run(css, other, tmp_path, report=lambda progress: steps.append(progress.step))
    assert steps[0] == 1


@pytest.mark.parametrize("step", [1, 4])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint_before(
    step: int, css: Css, tiny_config: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = session.batch_loss, iter(range(1, 100))

    def breaking(*args: object, **options: object) -> torch.Tensor:
        loss = real(*args, **options)  # type: ignore[arg-type]
        return loss * math.nan if next(calls) == step else loss

    monkeypatch.setattr(session, "batch_loss", breaking)
    with pytest.raises(BenchmarkError, match=rf"the loss of step {step} is not finite.*lower training\.learning_rate"):
        run(css, tiny_config, tmp_path)
    path = tmp_path / "training.safetensors"
    if step == 1:
        assert not path.exists()
    else:
        checkpoint = Checkpoint.read(path)
        assert checkpoint.steps == step - 1
        assert all(value.isfinite().all() for value in checkpoint.tensors.values())


def test_the_step_is_named_also_where_the_loss_is_read_seldom(
    css: Css, tiny_config: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = session.batch_loss, iter(range(1, 100))
    monkeypatch.setattr(session, "batch_loss", lambda *a, **o: real(*a, **o) * (math.inf if next(calls) == 2 else 1))
    with pytest.raises(BenchmarkError, match="the loss of step 2 is not finite"):
        run(css, tiny_config, tmp_path, every=1e9)


def test_weights_that_are_not_finite_are_not_kept(
    css: Css, tiny_config: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = session.batch_loss

    def infinitely_steep(query: torch.Tensor, *others: torch.Tensor, **options: object) -> torch.Tensor:
        return real(query, *others, **options) + (0 * query).sum().sqrt()  # type: ignore[arg-type]

    monkeypatch.setattr(session, "batch_loss", infinitely_steep)
    with pytest.raises(BenchmarkError, match="is not finite after step 1: training of tirg on css, seed 0 stopped"):
        run(css, tiny_config, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), RuntimeError("can't allocate memory: 9 bytes")],
)
def test_running_out_of_memory_says_which_option_to_lower(
    error: Exception, css: Css, tiny_config: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> torch.Tensor:
        raise error

    monkeypatch.setattr(session, "batch_loss", full)
    with pytest.raises(BenchmarkError, match=r"out of memory at step 1 .* lower training\.sources \(now 2\)"):
        run(css, tiny_config, tmp_path)


def test_a_dataset_that_does_not_fit_on_the_device_says_which_option_to_lower(
    css: Css, tiny_config: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(session.ImageStore, "__init__", full)
    with pytest.raises(
        BenchmarkError, match=r"out of memory while .* to the device: lower data\.image_size \(now 16\)"
    ):
        run(css, tiny_config, tmp_path)


def test_another_runtime_error_is_not_taken_for_want_of_memory(
    css: Css, tiny_config: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "batch_loss", lambda *_, **__: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match="size"):
        run(css, tiny_config, tmp_path)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_learns_its_own_queries(precision: str, css: Css, tiny_config: Recipe, tmp_path: Path) -> None:
    config = override(
        tiny_config,
        [f"training.precision={precision}", "training.steps=60", "training.sources=4", "training.modifications=4",
         "model.text_width=32", "model.state_width=32", "model.embedding_width=32"],
    )  # fmt: skip
    network, trained = run(css, config, tmp_path, every=1e9)
    assert trained.losses[-1] < 0.6 * trained.losses[0]
    outcomes = evaluate(network, css.train, accelerator=make_accelerator("cpu", precision), batch_size=50).outcomes
    assert recall_at_k(outcomes.ranks)[5] > 40


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_embeddings_do_not_depend_on_the_batch_and_have_length_one(
    batch_size: int, css: Css, tiny_config: Recipe
) -> None:
    network = new_network(Run("css", "film", tiny_config, 1, css.fingerprint, True), css.train).eval()
    accelerator = make_accelerator("cpu", "fp32")
    split = css.test
    queries = embed_queries(network, split, accelerator=accelerator, batch_size=batch_size)
    gallery = embed_gallery(network, split.gallery, accelerator=accelerator, batch_size=batch_size)
    store = ImageStore(split.sources, torch.device("cpu"))
    ids, mask = network.text_encoder.tokenize(split.queries.texts)
    with torch.no_grad():
        for row in (0, 9, len(split.queries) - 1):
            source = network.encode_images(store.batch(torch.from_numpy(split.queries.sources[[row]])))
            alone = network.embed_queries(source, ids[[row]], mask[[row]])[0] / 4
            torch.testing.assert_close(queries[row], alone, atol=1e-4, rtol=1e-4)
            image = network.embed_images(network.encode_images(store.batch(torch.tensor([row]))))[0] / 4
            torch.testing.assert_close(gallery[row], image, atol=1e-4, rtol=1e-4)
    for embedding in (*queries, *gallery):
        assert embedding.norm().item() == pytest.approx(1, abs=1e-5)


def test_outcomes_are_in_the_order_of_the_queries(css: Css, tiny_config: Recipe) -> None:
    network = new_network(Run("css", "concat", tiny_config, 1, css.fingerprint, True), css.train)
    accelerator = make_accelerator("cpu", "fp32")
    order = np.random.default_rng(0).permutation(len(css.test.queries))
    plain = evaluate(network, css.test, accelerator=accelerator, batch_size=64).outcomes
    mixed = evaluate(network, css.test.asking(order), accelerator=accelerator, batch_size=64).outcomes
    np.testing.assert_array_equal(plain.sources[order], mixed.sources)
    np.testing.assert_array_equal(plain.relevant[order], mixed.relevant)
    np.testing.assert_array_equal(plain.attributes["kind"][order], mixed.attributes["kind"])
    assert (np.abs(plain.ranks[order] - mixed.ranks) <= 1).mean() > 0.95


@pytest.mark.parametrize(("device", "expected"), [("gpu", "expected cpu, cuda, or cuda:N"), ("cuda:99", "torch sees")])
def test_a_device_that_is_not_there_is_named(device: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        choose_device(device)


def test_running_out_of_memory_while_scoring_says_so(
    css: Css, tiny_config: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = new_network(Run("css", "concat", tiny_config, 1, css.fingerprint, True), css.train)
    monkeypatch.setattr(Network, "embed_images", lambda *_: torch.empty(2**60))
    with pytest.raises(BenchmarkError, match=r"out of memory while scoring: lower --batch-size \(now 9\)"):
        evaluate(network, css.test, accelerator=make_accelerator("cpu", "fp32"), batch_size=9)
