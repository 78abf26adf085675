"""The training loop. A step is a pure function of (weights, seed, step), so a resumed run is an uninterrupted one."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from benchmark.batches import Batch, Sampler, noise_seed
from benchmark.checkpoint import (
    Checkpoint,
    Identity,
    load_model,
    load_optimiser,
    model_tensors,
    optimiser_tensors,
)
from benchmark.config import TrainingConfig
from benchmark.datasets.base import Split
from benchmark.errors import BenchmarkError
from benchmark.images import ImageStore
from benchmark.losses import sample_similarity_loss
from benchmark.network import Network
from benchmark.progress import Progress

STEPS_BETWEEN_REPORTS = 10
SECONDS_BETWEEN_CHECKPOINTS = 20.0


@dataclass(frozen=True)
class Trained:
    """What training gave besides the weights.

    Attributes:
        seconds: wall time in steps; looks and checkpoints left out.
        seconds_before: the part of it that was spent before an interruption.
        losses: of every step.
        looks: step and Recall@1 of every look.
    """

    seconds: float
    seconds_before: float
    losses: tuple[float, ...]
    looks: tuple[tuple[int, float], ...]


def train(
    network: Network,
    split: Split,
    sampler: Sampler,
    identity: Identity,
    *,
    accelerator: Accelerator,
    checkpoint_path: Path,
    report: Callable[[Progress], None],
    look: Callable[[], float] | None = None,
    seconds_between_checkpoints: float = SECONDS_BETWEEN_CHECKPOINTS,
) -> Trained:
    """Train a network in place, going on from the checkpoint if there is one of the same identity.

    Args:
        split: the training images, texts and labels.
        identity: the run's; holds its configuration and seed.
        checkpoint_path: where the state is kept meanwhile; the caller removes it in the end.
        report: called every few steps. Between two calls nothing waits for the device.
        look: gives Recall@1 on the held-out part, asked every `evaluation.every` steps.

    Raises:
        BenchmarkError: the loss is not finite (the message names the step; the last checkpoint, from before it, stays),
            or memory ran out (the message names the options to lower).
    """
    config, device = identity.config.training, accelerator.device
    network.to(device).to(memory_format=torch.channels_last)
    optimiser = make_optimiser(network, config)
    before = _resume(checkpoint_path, identity, network, optimiser)
    seconds, losses, looks = before.seconds, list(before.losses), list(before.looks)
    gallery = ImageStore(split.gallery, device)
    data = _Data(
        sources=gallery if split.sources is split.gallery else ImageStore(split.sources, device),
        gallery=gallery,
        labels=torch.from_numpy(split.labels).to(device),
        texts=tuple(part.to(device) for part in network.vocabulary.encode(split.texts)),
    )
    model = torch.compile(network) if config.compile else network
    waiting: list[Tensor] = []
    every = identity.config.evaluation.every
    saved = started = time.perf_counter()
    network.train()
    for step in range(len(losses), config.steps):
        learning_rate = _set_learning_rate(optimiser, config, step)
        with _advice(step, identity):
            waiting.append(_step(model, data, sampler.batch(step), optimiser, identity, step, accelerator))
        now = step + 1
        is_last = now == config.steps
        is_look = look is not None and every > 0 and now % every == 0
        is_due = time.perf_counter() - saved > seconds_between_checkpoints
        if not (is_last or is_look or is_due or now % STEPS_BETWEEN_REPORTS == 0):
            continue
        losses += _finite(waiting, now, identity)
        waiting.clear()
        seconds += time.perf_counter() - started
        if is_look and look is not None:
            looks.append((now, look()))
            network.train()
        report(
            Progress(
                step=now,
                steps=config.steps,
                loss=losses[-1],
                learning_rate=learning_rate,
                queries_per_second=now * config.batch / seconds,
                recall=looks[-1][1] if looks else None,
            )
        )
        if is_last or is_due:
            state = Trained(seconds, before.seconds, tuple(losses), tuple(looks))
            _save(checkpoint_path, identity, network, optimiser, state)
            saved = time.perf_counter()
        started = time.perf_counter()
    return Trained(seconds, before.seconds, tuple(losses), tuple(looks))


def make_optimiser(network: Network, config: TrainingConfig) -> torch.optim.Optimizer:
    """Two groups: the image encoder, and all else. What is no weight matrix is not decayed by AdamW."""
    encoder = list(network.image_encoder.parameters())
    known = {id(parameter) for parameter in encoder}
    others = [parameter for parameter in network.parameters() if id(parameter) not in known]
    groups = []
    for parameters, factor in ((encoder, config.encoder_factor), (others, 1.0)):
        for is_matrix in (True, False):
            chosen = [each for each in parameters if each.requires_grad and (each.ndim > 1) == is_matrix]
            decay = config.weight_decay if is_matrix or config.optimiser == "sgd" else 0.0
            groups.append({"params": chosen, "factor": factor, "weight_decay": decay})
    if config.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, fused=True)
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def schedule(config: TrainingConfig, step: int) -> float:
    """The learning rate of a step, 0 to `steps` - 1, as a share of its peak."""
    warmup = round(config.warmup * config.steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if config.schedule == "cosine":
        return (1 + math.cos(math.pi * (step - warmup) / (config.steps - warmup))) / 2
    if config.schedule == "steps":
        return config.decay ** (step // config.decay_every)
    return 1.0


@dataclass(frozen=True)
class _Data:
    """The training split on the device."""

    sources: ImageStore
    gallery: ImageStore
    labels: Tensor
    texts: tuple[Tensor, ...]


def _step(
    model: Callable[..., tuple[Tensor, Tensor]],
    data: _Data,
    batch: Batch,
    optimiser: torch.optim.Optimizer,
    identity: Identity,
    step: int,
    accelerator: Accelerator,
) -> Tensor:
    """One step of the optimiser; the loss stays on the device."""
    config, device = identity.config.training, accelerator.device
    seed = noise_seed(identity.seed, step)
    torch.manual_seed(seed)
    generator = torch.Generator(device).manual_seed(seed)
    sources, group, texts, targets = (
        torch.from_numpy(rows).to(device, non_blocking=True)
        for rows in (batch.sources, batch.group, batch.texts, batch.targets)
    )
    augment = partial(ImageStore.augmented, shift=config.shift, brightness=config.brightness, generator=generator)
    images = torch.cat([augment(data.sources, sources), augment(data.gallery, targets)])
    ids, mask = (part.index_select(0, texts) for part in data.texts)
    labels = data.labels.index_select(0, targets)
    with accelerator.autocast():
        query, target = model(images, group, ids, mask)
    loss = sample_similarity_loss(
        query,
        target,
        group_size=len(query) if config.group_size == "batch" else config.group_size,
        repeats=len(query) - 1 if config.repeats == "all" else config.repeats,
        generator=generator,
        positive_mask=labels[:, None] == labels[None, :],
    )
    accelerator.backward(loss)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return loss.detach()


def _save(
    path: Path, identity: Identity, network: Network, optimiser: torch.optim.Optimizer, state: Trained
) -> None:
    model = model_tensors(network)
    steps = len(state.losses)
    for name, value in model.items():
        if not value.isfinite().all():
            raise BenchmarkError(_not_finite(f"{name} is not finite after step {steps}", identity))
    curve = {
        "curve.losses": torch.tensor(state.losses, dtype=torch.float64),
        "curve.looks": torch.tensor(state.looks, dtype=torch.float64).reshape(-1, 2),
    }
    tensors = model | optimiser_tensors(optimiser) | curve
    Checkpoint(identity, network.vocabulary, steps, state.seconds, tensors).write(path)


def steps_done(path: Path, identity: Identity) -> int:
    """Where training would go on from that checkpoint.

    Raises:
        BenchmarkError: the file is damaged.
    """
    checkpoint = Checkpoint.read(path) if path.exists() else None
    return checkpoint.steps if checkpoint and checkpoint.identity == identity else 0


def _resume(path: Path, identity: Identity, network: Network, optimiser: torch.optim.Optimizer) -> Trained:
    """What was done before; a checkpoint of another identity is as good as none."""
    nothing = Trained(0.0, 0.0, (), ())
    if not path.exists():
        return nothing
    checkpoint = Checkpoint.read(path)
    if checkpoint.identity != identity or checkpoint.vocabulary != network.vocabulary:
        return nothing
    load_model(network, checkpoint.tensors)
    load_optimiser(optimiser, checkpoint.tensors)
    looks = checkpoint.tensors["curve.looks"].tolist()
    losses = checkpoint.tensors["curve.losses"].tolist()
    done = checkpoint.seconds
    return Trained(done, done, tuple(losses), tuple((int(step), recall) for step, recall in looks))


def _set_learning_rate(optimiser: torch.optim.Optimizer, config: TrainingConfig, step: int) -> float:
    rate = config.learning_rate * schedule(config, step)
    for group in optimiser.param_groups:
        group["lr"] = rate * group["factor"]
    return rate


def _finite(losses: list[Tensor], now: int, identity: Identity) -> list[float]:
    """The losses of the steps up to `now`, waiting for the device."""
    values = torch.stack(losses).cpu()
    broken = (~values.isfinite()).nonzero()
    if len(broken):
        step = now - len(values) + int(broken[0]) + 1
        raise BenchmarkError(_not_finite(f"the loss of step {step} is not finite", identity))
    found: list[float] = values.tolist()
    return found


def _not_finite(what: str, identity: Identity) -> str:
    return (
        f"{what}: training of {identity.composer} on {identity.dataset} stopped; the last checkpoint from before it "
        f"is kept; lower training.learning_rate (now {identity.config.training.learning_rate:g})"
    )


@contextmanager
def _advice(step: int, identity: Identity) -> Iterator[None]:
    """Turns running out of memory into a line that says what to lower."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        config = identity.config
        raise BenchmarkError(
            f"out of memory at step {step + 1} of {identity.composer} on {identity.dataset}: lower training.sources "
            f"(now {config.training.sources}) or data.image_size (now {config.data.image_size})"
            + (", or use training.precision=bf16" if config.training.precision == "fp32" else "")
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch or Python says that there was no memory, on a GPU or on the CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error)
