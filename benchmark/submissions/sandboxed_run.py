"""Check, train and ask a submission in its own process."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from benchmark.datasets.splits import Split
from benchmark.errors import BenchmarkError
from benchmark.recipe.identity import Run
from benchmark.recipe.runtime import Runtime
from benchmark.records.code_version import code_version
from benchmark.scoring.evaluation import Evaluation
from benchmark.submissions import sandbox, scratch
from benchmark.submissions.exchange import ANSWERED, ASKED, MODEL, STATE, TRAINING, AnswerError, write_training
from benchmark.submissions.machine import is_of_the_machine
from benchmark.submissions.messages import Candidate, Finding, Job, Loaded, Message, Step, TrainingDone
from benchmark.submissions.sandbox import LimitError, Limits, SandboxTier, SubmissionError
from benchmark.submissions.scoring import read_model, score
from benchmark.training.model import tokenizer_of
from benchmark.training.progress import Curves, Progress, RunReporter
from benchmark.training.samplers import make_sampler
from css_gen.storage.atomic import write_atomically

CHECK_LIMITS = Limits(seconds=120, silent_seconds=60)
_LONGEST_SILENCE = 300.0
_SCRATCH = "scratch"
_CODE = "code.txt"
"""The version of the shared code that a training in this folder was begun with; the composer's is in its path."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """A candidate and the limits on its processes.

    Attributes:
        seconds: the time limit of a training, and of answering all queries.
    """

    candidate: Candidate
    tier: SandboxTier
    runtime: Runtime
    reporter: RunReporter
    seconds: float
    memory_mib: int

    @property
    def device(self) -> str:
        return self.runtime.device

    @property
    def limits(self) -> Limits:
        return Limits(self.seconds, min(self.seconds, _LONGEST_SILENCE), self.memory_mib)


def check(
    candidate: Candidate, *, tier: SandboxTier, hear: Callable[[Finding], None], limits: Limits = CHECK_LIMITS
) -> Loaded:
    """Examine a candidate's class, and return its card.

    Args:
        hear: called with every point of the contract when it was examined.

    Raises:
        SubmissionError: its code cannot be loaded, breaks a rule, or was stopped. A broken contract does not raise:
            `hear` is told.
    """
    loaded: list[Loaded] = []

    def listen(message: Message) -> None:
        if isinstance(message, Loaded):
            loaded.append(message)
        elif isinstance(message, Finding):
            hear(message)

    with scratch.temporary("check") as folder:
        _run(candidate, "check", folder, (), tier=tier, device="cpu", limits=limits, hear=listen)
    if not loaded:
        raise SubmissionError(f"{candidate.shown}: its process ended without naming its composer")
    return loaded[0]


def train(box: Box, training: Split, identity: Run, *, folder: Path, title: str) -> TrainingDone:
    """Train in the sandbox, resuming where an earlier process stopped. The model is `folder/model.safetensors`.

    Raises:
        SubmissionError: it failed, or was stopped.
    """
    config = identity.recipe.training
    sampler = make_sampler(training, groups=config.sources, modifications=config.modifications, seed=identity.seed)
    write_training(folder / TRAINING, training, sampler, identity)
    done: list[TrainingDone] = []
    with box.reporter.training(title, config.steps) as report, _curves(folder) as curves:

        def listen(message: Message) -> None:
            if isinstance(message, Step):
                progress = Progress(
                    step=message.step,
                    steps=config.steps,
                    loss=message.loss,
                    learning_rate=message.learning_rate,
                    queries_per_second=message.queries_per_second,
                    recall=None,
                    seconds_left=max(0.0, message.seconds_left),
                )
                report(progress)
                curves.add(progress)
            elif isinstance(message, TrainingDone):
                done.append(message)

        if _forget_other_code(folder, code_version(identity.task)):
            box.reporter.message(f"{title}: starts over, because its checkpoint was made by other code")
        place = scratch.fresh(folder / _SCRATCH, keep=STATE)
        _run(
            box.candidate, "train", place, (str(folder.resolve()),),
            tier=box.tier, device=box.device, limits=box.limits, hear=listen,
        )  # fmt: skip
    with _blamed_on(box):
        if not done or len(done[0].losses) != config.steps:
            raise AnswerError(f"it did not train for {config.steps} steps")
        network, own = read_model(place / MODEL, identity)
        if network.text_encoder.tokenizer != tokenizer_of(identity.recipe.model, training.texts):
            raise AnswerError("its model does not have the tokenizer of the training texts")
        if done[0].own_parameters > own:
            raise AnswerError(f"it reports {done[0].own_parameters} parameters, but its model has {own}")
    (place / MODEL).replace(folder / MODEL)
    return done[0]


def answer(box: Box, split: Split, identity: Run, *, folder: Path) -> Evaluation:
    """Have the composer of `folder/model.safetensors` answer the split's queries, and score the answers.

    Raises:
        SubmissionError: it failed, was stopped, or its model or an answer is invalid.
    """

    def compose() -> Path:
        place = scratch.fresh(folder / _SCRATCH)
        _run(
            box.candidate, "compose", place, (str(folder.resolve()),),
            tier=box.tier, device=box.device, limits=box.limits, hear=lambda message: None,  # noqa: ARG005
        )  # fmt: skip
        return place / ANSWERED

    try:
        with _blamed_on(box):
            network, _ = read_model(folder / MODEL, identity)
            return score(network, split, identity=identity, runtime=box.runtime, folder=folder, compose=compose)
    finally:
        # No later training may read the test queries.
        scratch.remove(folder / ASKED)


def tidy(folder: Path) -> None:
    """Remove everything except the model and the curves."""
    for name in (TRAINING, ASKED, _SCRATCH, _CODE):
        scratch.remove(folder / name)


def _forget_other_code(folder: Path, version: str) -> bool:
    """Remove the state of a training that other shared code began; return whether there was one."""
    begun, state = folder / _CODE, folder / _SCRATCH / STATE
    if begun.exists() and begun.read_text() == version:
        return False
    was_there = state.exists()
    scratch.remove(folder / _SCRATCH)
    write_atomically(begun, version.encode())
    return was_there


def _run(
    candidate: Candidate, task: Literal["check", "train", "compose"], place: Path, readable: tuple[str, ...], *,
    tier: SandboxTier, device: str, limits: Limits, hear: Callable[[Message], None],
) -> None:  # fmt: skip
    job = Job(
        task=task,
        candidate=candidate,
        scratch=str(place.resolve()),
        readable=readable,
        device=device,
        threads=torch.get_num_threads(),
        memory_mib=limits.memory_mib,
        open_files=limits.open_files,
    )
    sandbox.run(job, limits, tier=tier, hear=hear)


@contextlib.contextmanager
def _blamed_on(box: Box) -> Iterator[None]:
    """Name the submission in errors that its numbers and files cause, and the machine in those that it causes itself.

    They are read with care, but hold what its process liked: numbers that overflow, texts in texts in texts.
    """
    try:
        yield
    except SubmissionError:
        raise
    except AnswerError as error:
        raise SubmissionError(f"{box.candidate.shown}: {error}") from None
    except BenchmarkError:
        raise  # says itself what is wrong, for instance that memory ran out
    except (ValueError, ArithmeticError, RuntimeError, OSError, MemoryError) as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        if is_of_the_machine(error):
            raise LimitError(f"{box.candidate.shown}: cannot be scored on this machine ({what})") from error
        raise SubmissionError(f"{box.candidate.shown}: its model or its answers cannot be scored ({what})") from error


@contextlib.contextmanager
def _curves(folder: Path) -> Iterator[Curves]:
    curves = Curves(folder, from_step=0)
    try:
        yield curves
    finally:
        curves.close()
