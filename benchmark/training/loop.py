"""The training loop. A step is a pure function of (weights, seed, step), so a resumed run equals a whole one."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from benchmark.datasets.splits import Split
from benchmark.device import memory_advice
from benchmark.errors import BenchmarkError
from benchmark.recipe.identity import Run
from benchmark.recipe.runtime import Runtime
from benchmark.scoring.processes import ALONE, Processes
from benchmark.training.checkpoint import (
    UNKNOWN_CODE,
    Checkpoint,
    Code,
    load_model,
    load_optimiser,
    model_tensors,
    optimiser_tensors,
)
from benchmark.training.progress import Progress
from benchmark.training.samplers import Sampler
from benchmark.training.step import Session
from css_gen.termination import Terminated
from models.network import Network

STEPS_BETWEEN_REPORTS = 10


@dataclass(frozen=True)
class Trained:
    """The result of training besides the weights.

    Attributes:
        seconds: wall time in steps, without validations and checkpoints.
        seconds_before: the part of it that was spent before an interruption.
        losses: of every step.
        validations: step and Recall@1, in percent, of every validation.
    """

    seconds: float
    seconds_before: float
    losses: tuple[float, ...]
    validations: tuple[tuple[int, float], ...]


def train(
    network: Network,
    split: Split,
    sampler: Sampler,
    identity: Run,
    *,
    accelerator: Accelerator,
    checkpoint_path: Path,
    report: Callable[[Progress], None],
    note: Callable[[str], None] = lambda _: None,
    validate: Callable[[], float] | None = None,
    stop: Callable[[], bool] = lambda: False,
    runtime: Runtime | None = None,
    code: Code = UNKNOWN_CODE,
    processes: Processes = ALONE,
) -> Trained:
    """Train a network in place, resuming from the checkpoint if there is one of the same identity and code.

    Args:
        split: the training images, texts and labels.
        identity: the run's; holds its recipe and seed.
        checkpoint_path: where the state is kept during training; the caller removes it afterwards.
        report: called every few steps. Between two calls nothing waits for the device.
        note: called with one line if a GPU cannot repeat the step as a CUDA graph.
        validate: computes Recall@1 on the validation part, in percent; called as often as `runtime` says.
        stop: asked after every step whether to write a checkpoint and end.
        runtime: how often to validate and to write a checkpoint, whether to compile and to capture; None for the
            defaults.
        code: of this training; a checkpoint of other code is ignored, and replaced later.
        processes: that call this together, with the same arguments; the leader alone writes checkpoints.

    Raises:
        BenchmarkError: the loss is not finite (the message names the step; the last checkpoint, from before it, stays),
            or memory ran out (the message names the options to lower).
        Terminated: `stop` said so, and a checkpoint is written.
    """
    config = identity.recipe.training
    runtime = runtime or Runtime()
    image_size = f"data.image_size (now {identity.recipe.data.image_size})"
    with memory_advice(f"while {identity} was moved to the device", image_size, config.precision):
        session = Session(
            network,
            split,
            sampler,
            identity,
            accelerator,
            compiled=runtime.compile,
            graph=runtime.graph and processes.count == 1,
            note=note,
            processes=processes,
        )
    before = _resume(checkpoint_path, session, code)
    seconds, losses, validations = before.seconds, list(before.losses), list(before.validations)
    waiting: list[Tensor] = []
    every = runtime.validation_interval(config.steps)
    saved = started = begun = time.perf_counter()
    for step in range(len(losses), config.steps):
        waiting.append(session.step(step))
        now = step + 1
        is_last = now == config.steps
        is_validation = validate is not None and every > 0 and now % every == 0
        is_due = processes.is_leader and (stop() or time.perf_counter() - saved > runtime.checkpoint_seconds)
        if not (is_last or is_validation or is_due or now % STEPS_BETWEEN_REPORTS == 0):
            continue
        losses += _finite(waiting, now, identity)
        waiting.clear()
        seconds += time.perf_counter() - started
        if is_validation and validate is not None:
            validations.append((now, validate()))
            network.train()
        report(
            Progress(
                step=now,
                steps=config.steps,
                loss=losses[-1],
                learning_rate=session.learning_rate(step),
                queries_per_second=now * config.batch / seconds,
                recall=validations[-1][1] if validations else None,
                seconds_left=(time.perf_counter() - begun) / (now - len(before.losses)) * (config.steps - now),
            )
        )
        if processes.is_leader and (is_last or is_due):
            state = Trained(seconds, before.seconds, tuple(losses), tuple(validations))
            _save(checkpoint_path, session, state, code)
            if stop():
                raise Terminated
            saved = time.perf_counter()
        started = time.perf_counter()
    network.reader = None
    return Trained(seconds, before.seconds, tuple(losses), tuple(validations))


def _save(path: Path, session: Session, state: Trained, code: Code) -> None:
    identity, network = session.identity, session.network
    model = model_tensors(network)
    steps = len(state.losses)
    for name, value in model.items():
        if not value.isfinite().all():
            raise BenchmarkError(_not_finite(f"{name} is not finite after step {steps}", identity))
    curve = {
        "curve.losses": torch.tensor(state.losses, dtype=torch.float64),
        "curve.validations": torch.tensor(state.validations, dtype=torch.float64).reshape(-1, 2),
    }
    tensors = model | optimiser_tensors(session.optimiser) | session.memory.tensors() | curve
    checkpoint = Checkpoint(identity, network.text_encoder.tokenizer, steps, state.seconds, tensors, code)
    checkpoint.write(path, checksum=True)


def steps_done(path: Path, identity: Run, code: Code) -> tuple[int, bool]:
    """The step from which training would resume, and whether it starts over because of a checkpoint of other code.

    Raises:
        BenchmarkError: the file is damaged.
    """
    checkpoint = Checkpoint.read(path) if path.exists() else None
    if checkpoint is None or not checkpoint.run.is_the_same(identity):
        return 0, False
    return (checkpoint.steps, False) if checkpoint.code == code else (0, True)


def _resume(path: Path, session: Session, code: Code) -> Trained:
    """Load what was done before; a checkpoint of another run or of other code is ignored."""
    nothing = Trained(0.0, 0.0, (), ())
    if not path.exists():
        return nothing
    checkpoint = Checkpoint.read(path)
    if not checkpoint.run.is_the_same(session.identity) or checkpoint.code != code:
        return nothing
    if checkpoint.tokenizer != session.network.text_encoder.tokenizer:
        return nothing
    load_model(session.network, checkpoint.tensors)
    load_optimiser(session.optimiser, checkpoint.tensors)
    session.memory.load(checkpoint.tensors)
    validations = checkpoint.tensors["curve.validations"].tolist()
    losses = checkpoint.tensors["curve.losses"].tolist()
    done = checkpoint.seconds
    return Trained(done, done, tuple(losses), tuple((int(step), recall) for step, recall in validations))


def _finite(losses: list[Tensor], now: int, identity: Run) -> list[float]:
    """The losses of the steps up to `now`, waiting for the device."""
    values = torch.stack(losses).cpu()
    broken = (~values.isfinite()).nonzero()
    if len(broken):
        step = now - len(values) + int(broken[0]) + 1
        raise BenchmarkError(_not_finite(f"the loss of step {step} is not finite", identity))
    found: list[float] = values.tolist()
    return found


def _not_finite(what: str, identity: Run) -> str:
    return (
        f"{what}: training of {identity} stopped; the last checkpoint from before it "
        f"is kept; lower training.learning_rate (now {identity.recipe.training.learning_rate:g})"
    )
