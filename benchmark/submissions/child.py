"""The process that runs a submission: `python -m benchmark.submissions.child job.json`.

It confines itself, loads the submission's code, does the one task of its job, and reports on the stream that was its
standard output. Whatever the submission prints goes to its standard error.
"""

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmark.submissions.messages import Answered, Confined, Done, Failure, Finding, Job, Message, Step, TrainingDone

Say = Callable[[Message], None]


def main() -> None:
    job = Job.model_validate_json(Path(sys.argv[1]).read_bytes())
    say = _speaker()
    from benchmark.submissions import confinement, kernel

    kernel.end_with_parent()
    network = confinement.leave_network()
    import torch

    from benchmark.device import is_out_of_memory, start_measuring_memory
    from benchmark.submissions.machine import is_of_the_machine
    from benchmark.submissions.tampering import changed, snapshot

    torch.set_num_threads(job.threads)
    _warm_up()
    start_measuring_memory(job.device)
    before = snapshot()
    hook, guards = confinement.confine(job)
    say(Confined(guards=(network, *guards)))
    problem, is_limit = "", False
    try:
        _TASKS[job.task](job, say)
    except BaseException as error:
        problem, is_limit = confinement.explain(error, job, is_out_of_memory), is_of_the_machine(error)
    # Errors may be consequences of these two, so these are named first.
    if hook.refused:
        problem = problem if hook.refused[0] in problem else hook.refused[0]
    elif names := changed(before):
        problem, is_limit = f"it changed {', '.join(names[:3])}, which it may only use", False
    say(Failure(message=problem, is_limit=is_limit) if problem else Done())
    # Threads and exit handlers of the submission do not run any more.
    os._exit(1 if problem else 0)


def _check(job: Job, say: Say) -> None:
    from benchmark.device import is_out_of_memory
    from benchmark.submissions import confinement
    from benchmark.submissions.contract import examine
    from benchmark.submissions.loading import load

    kind, loaded = load(job.candidate)
    say(loaded)
    for answer in examine(kind, lambda error: confinement.explain(error, job, is_out_of_memory)):
        say(Finding(what=answer.what, problem=answer.problem, remark=answer.remark))


def _train(job: Job, say: Say) -> None:
    from benchmark.device import make_accelerator, peak_memory_mib, reproducible
    from benchmark.runs.single_run import new_network
    from benchmark.submissions.exchange import MODEL, STATE, TRAINING, read_training
    from benchmark.submissions.loading import load
    from benchmark.training.checkpoint import Checkpoint, model_tensors
    from benchmark.training.loop import train
    from benchmark.training.progress import Progress

    scratch = Path(job.scratch)
    split, batches, identity = read_training(Path(job.readable[0]) / TRAINING)
    _, loaded = load(job.candidate)
    say(loaded)

    def report(progress: Progress) -> None:
        say(
            Step(
                step=progress.step,
                loss=progress.loss,
                learning_rate=progress.learning_rate,
                queries_per_second=progress.queries_per_second,
                seconds_left=progress.seconds_left,
            )
        )

    with reproducible(job.device):
        network = new_network(identity, split)
        trained = train(
            network,
            split,
            batches,
            identity,
            accelerator=make_accelerator(job.device, identity.recipe.training.precision),
            checkpoint_path=scratch / STATE,
            report=report,
        )
    tensors = model_tensors(network)
    tokenizer, steps = network.text_encoder.tokenizer, identity.recipe.training.steps
    Checkpoint(identity, tokenizer, steps, 0.0, tensors).write(scratch / MODEL)
    say(
        TrainingDone(
            losses=trained.losses,
            seconds=trained.seconds,
            seconds_before=trained.seconds_before,
            peak_memory_mib=peak_memory_mib(job.device),
            own_parameters=network.parameter_counts()[1],
        )
    )


def _compose(job: Job, say: Say) -> None:
    import torch

    from benchmark.device import make_accelerator
    from benchmark.submissions.exchange import ANSWERED, ASKED, MODEL, read_question, write_answer
    from benchmark.submissions.loading import load
    from benchmark.training.checkpoint import Checkpoint

    scratch, asked = Path(job.scratch), Path(job.readable[0])
    _, loaded = load(job.candidate)
    say(loaded)
    checkpoint = Checkpoint.read(asked / MODEL)
    accelerator = make_accelerator(job.device, checkpoint.run.recipe.training.precision)
    network = checkpoint.network()
    network.arrange(accelerator.device, checkpoint.run.recipe.data.image_size)
    composer = network.composer.eval()
    (scratch / ANSWERED).mkdir(exist_ok=True)
    with torch.inference_mode():
        for path in sorted((asked / ASKED).glob("*.safetensors")):
            image, text = read_question(path, accelerator.device)
            if network.spatial:
                image = image.contiguous(memory_format=network.map_layout)
            with accelerator.autocast():
                composed = composer(image, text)
            write_answer(scratch / ANSWERED, path.name, composed)
            say(Answered())


_USED = (
    "runs.single_run",
    "scoring.evaluation",
    "submissions.contract",
    "submissions.exchange",
    "submissions.loading",
    "training.loop",
)
_TASKS: dict[str, Callable[[Job, Say], None]] = {"check": _check, "train": _train, "compose": _compose}


def _speaker() -> Say:
    """Reserve standard output for messages, and send what else is written there to standard error."""
    stream = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)

    def say(message: Message) -> None:
        stream.write(message.model_dump_json().encode() + b"\n")

    return say


def _warm_up() -> None:
    """Import all that a task uses, and let torch wrap every optimiser's step, which it does at its first use.

    Both would look like changes made by the submission.
    """
    import torch

    for name in _USED:
        importlib.import_module(f"benchmark.{name}")
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    for kind in _subclasses(torch.optim.Optimizer):
        with contextlib.suppress(TypeError, ValueError):  # one that wants other arguments is none of a recipe's
            kind([weight], lr=0.1)


def _subclasses(kind: type) -> Iterator[Any]:
    below: list[type[Any]] = kind.__subclasses__()
    for each in below:
        yield each
        yield from _subclasses(each)


if __name__ == "__main__":
    main()
