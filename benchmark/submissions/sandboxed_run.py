"""Check, train and ask a submission: its composer in a process of its own, everything else in this one."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import ValidationError
from torch import Tensor

from benchmark.datasets.splits import Split
from benchmark.device import make_accelerator, peak_memory_mib, reproducible
from benchmark.errors import BenchmarkError
from benchmark.recipe.identity import Run
from benchmark.recipe.runtime import Runtime
from benchmark.records.schema import ComposerCard
from benchmark.runs.single_run import CHECKPOINT_NAME, MODEL_NAME
from benchmark.runs.termination import is_asked
from benchmark.scoring.evaluation import Evaluation
from benchmark.submissions import sandbox, scratch
from benchmark.submissions.exchange import Area, new_file
from benchmark.submissions.installed import hidden_folders, package_folders
from benchmark.submissions.machine import is_of_the_machine
from benchmark.submissions.messages import Candidate, Done, Examine, Finding, Job, Loaded
from benchmark.submissions.process import LimitError, Limits, SubmissionError
from benchmark.submissions.remote import Link, RemoteComposer
from benchmark.submissions.sandbox import SandboxTier
from benchmark.submissions.scoring import AnswerError, score
from benchmark.submissions.trial import CHANNELS, TEXT_WIDTH, features
from benchmark.training.checkpoint import Checkpoint, Code, load_model, model_tensors
from benchmark.training.loop import Trained, steps_done
from benchmark.training.loop import train as train_network
from benchmark.training.model import composer_seed, empty_network, new_network, require_texts, texts_to_read
from benchmark.training.progress import RunReporter, reported
from benchmark.training.samplers import make_sampler
from models.network import Network

CHECK_LIMITS = Limits(seconds=120, silent_seconds=60)
_LONGEST_SILENCE = 300.0
_MOST_FINDINGS = 1_000


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


class TrainedSubmission(NamedTuple):
    """The result of a training, counted and measured in this process.

    Attributes:
        parameters: of the whole network, and of the composer alone.
        peak_memory_mib: on a CPU, of this process and the composer's together, with the code of both; on a GPU, of
            this process alone.
    """

    trained: Trained
    parameters: tuple[int, int]
    peak_memory_mib: float


def check(
    candidate: Candidate, *, tier: SandboxTier, hear: Callable[[Finding], None], limits: Limits = CHECK_LIMITS
) -> ComposerCard:
    """Examine a candidate's class, and return its card.

    Args:
        hear: called with every point of the contract when it was examined.

    Raises:
        SubmissionError: its code cannot be loaded, breaks a rule, or was stopped. A broken contract does not raise:
            `hear` is told.
    """
    with _linked(candidate, tier=tier, device="cpu", limits=limits) as (link, loaded):
        try:
            card = ComposerCard(**loaded.model_dump(exclude={"event"}))
        except ValidationError as error:
            first = error.errors()[0]
            what = f"{first['loc'][0]} is {first['input']!r} ({first['msg']})"
            raise link.child.blame(f"its info does not fit: {what}") from None
        link.child.tell(Examine())
        is_sound, count = True, 0
        while not isinstance(message := link.child.hear(), Done):
            if not isinstance(message, Finding):
                raise link.child.blame("it answered with something else than findings")
            count += 1
            if count > _MOST_FINDINGS:
                raise link.child.blame("it sent too many findings")
            hear(message)
            is_sound &= not message.problem
        if is_sound:
            _rehearse(link, auxiliary=card.auxiliary)
    return card


def _rehearse(link: Link, *, auxiliary: bool) -> None:
    """Take a step in both modes, on random numbers, in the way in which a composer is trained.

    Raises:
        SubmissionError: it fails there.
    """
    for spatial in (True, False):
        composer = RemoteComposer(
            CHANNELS, TEXT_WIDTH, spatial=spatial, link=link, seed=0, bf16=False, auxiliary=auxiliary
        ).train()
        image, text = features(spatial=spatial)
        image.requires_grad_()
        if not auxiliary:
            composer(image, text).sum().backward()
            continue
        target, _ = features(spatial=spatial, seed=1)
        composed, own = composer.with_auxiliary(image, text, target.requires_grad_())
        loss: Tensor = composed.sum() if own is None else composed.sum() + own
        loss.backward()  # type: ignore[no-untyped-call]


def train(
    box: Box,
    training: Split,
    scored: Split,
    identity: Run,
    *,
    folder: Path,
    title: str,
    code: Code,
    auxiliary: bool = False,
    levels: int = 1,
) -> TrainedSubmission:
    """Train, resuming an interrupted training. The model is `folder/model.safetensors`.

    Args:
        scored: a split whose texts have to be readable.
        code: of this training; a checkpoint of other code is ignored.
        auxiliary, levels: whether the composer's own loss counts, and at how many depths it composes, as its card says.

    Raises:
        SubmissionError: the composer failed, or was stopped.
    """
    config, runtime = identity.recipe.training, box.runtime.model_copy(update={"compile": False, "graph": False})
    state = folder / CHECKPOINT_NAME
    done, is_other_code = steps_done(state, identity, code)
    if is_other_code:
        box.reporter.message(f"{title}: starts over, because {state} was made by other code")
    elif done:
        box.reporter.message(f"{title}: resumes after step {done}, from {state}")
    with (
        _blamed_on(box, "it cannot be trained"),
        _linked(box.candidate, tier=box.tier, device=box.device, limits=box.limits) as (link, _),
        reproducible(box.device),
        reported(box.reporter, title, config.steps, folder, done) as show,
    ):
        network = new_network(
            _Maker(link, identity, levels, auxiliary),
            identity.recipe.model,
            texts_to_read(training.texts, config),
            spatial=identity.spatial,
            seed=identity.seed,
            image_size=identity.recipe.data.image_size,
        )
        require_texts(network, scored.texts)
        trained = train_network(
            network,
            training,
            make_sampler(training, groups=config.sources, modifications=config.modifications, seed=identity.seed),
            identity,
            accelerator=make_accelerator(box.device, config.precision),
            checkpoint_path=state,
            report=show,
            stop=is_asked,
            runtime=runtime,
            code=code,
        )
        memory = peak_memory_mib(box.device) + (link.child.peak_memory_mib() if box.device == "cpu" else 0.0)
    tensors, tokenizer = model_tensors(network), network.text_encoder.tokenizer
    Checkpoint(identity, tokenizer, config.steps, 0.0, tensors).write(folder / MODEL_NAME)
    return TrainedSubmission(trained, network.parameter_counts(), memory)


def answer(box: Box, split: Split, identity: Run, *, folder: Path, levels: int = 1) -> Evaluation:
    """Have the composer of `folder/model.safetensors` answer the split's queries, and score the answers.

    Raises:
        SubmissionError: it failed, was stopped, or its model or an answer is invalid.
    """
    recipe = identity.recipe
    accelerator = make_accelerator(box.device, recipe.training.precision)

    @contextlib.contextmanager
    def started() -> Iterator[Network]:
        with _linked(box.candidate, tier=box.tier, device=box.device, limits=box.limits) as (link, _):
            checkpoint = Checkpoint.read(folder / MODEL_NAME)
            network = empty_network(
                _Maker(link, identity, levels),
                recipe.model,
                checkpoint.tokenizer,
                spatial=identity.spatial,
                image_size=recipe.data.image_size,
            )
            load_model(network, checkpoint.tensors)
            network.arrange(accelerator.device, recipe.data.image_size)
            yield network.eval()

    with _blamed_on(box, "its answers cannot be scored"), reproducible(box.device):
        return score(
            started,
            split,
            accelerator=accelerator,
            batch_size=box.runtime.batch_size,
            precision=recipe.training.precision,
        )


class _Maker:
    """Make the composers of one network in their process, the last one first."""

    def __init__(self, link: Link, identity: Run, levels: int, auxiliary: bool = False) -> None:
        self.levels = levels if identity.spatial else 1
        self._link, self._identity, self._auxiliary, self._made = link, identity, auxiliary, 0

    def __call__(self, image_channels: int, text_width: int, *, spatial: bool) -> RemoteComposer:
        earlier, self._made = self._made, self._made + 1
        return RemoteComposer(
            image_channels,
            text_width,
            spatial=spatial,
            link=self._link,
            seed=composer_seed(self._identity.seed, earlier),
            bf16=self._identity.recipe.training.precision == "bf16",
            auxiliary=self._auxiliary,
            earlier=earlier,
            is_first=earlier == self.levels - 1,
        )


@contextlib.contextmanager
def _linked(candidate: Candidate, *, tier: SandboxTier, device: str, limits: Limits) -> Iterator[tuple[Link, Loaded]]:
    """Start a process with that candidate's composer."""
    with scratch.temporary("composer") as place, new_file() as ours, new_file() as theirs:
        job = Job(
            candidate=candidate,
            scratch=str(place.resolve()),
            readable=package_folders(),
            hidden=hidden_folders(),
            areas=(ours, theirs),
            device=device,
            threads=torch.get_num_threads(),
            memory_mib=limits.memory_mib,
            open_files=limits.open_files,
        )
        with sandbox.started(job, limits, tier=tier) as (child, loaded):
            yield Link(child, Area(ours), Area(theirs)), loaded


@contextlib.contextmanager
def _blamed_on(box: Box, what: str) -> Iterator[None]:
    """Name the submission in errors that its numbers cause, and the machine in those that it causes itself.

    Args:
        what: the consequence, such as "it cannot be trained".
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
        why = " ".join(f"{type(error).__name__}: {error}".split())
        if is_of_the_machine(error):
            raise LimitError(f"{box.candidate.shown}: {what} on this machine ({why})") from error
        raise SubmissionError(f"{box.candidate.shown}: {what} ({why})") from error
