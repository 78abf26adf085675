"""The process that runs a submission: `python -m benchmark.submissions.child job.json`.

It confines itself, loads the submission's code, and then does what it is told on its standard input, line by line,
until that ends. It answers on the stream that was its standard output. Whatever the submission prints goes to its
standard error. Nothing of css_gen, of a dataset, or of training is imported here.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from benchmark.submissions.messages import (
    Confined,
    Done,
    Examine,
    Failure,
    Finding,
    Forward,
    Job,
    Make,
    Message,
)
from benchmark.submissions.messages import parse_command as parse

Say = Callable[[Message], None]


def main() -> None:
    job = Job.model_validate_json(Path(sys.argv[1]).read_bytes())
    commands, say = _streams()
    from benchmark.submissions import confinement, kernel

    kernel.end_with_parent()
    kernel.leave_network()  # while the process has one thread
    import torch

    # What a task uses is imported before the limits: they would refuse parts of it.
    from benchmark.device import is_out_of_memory, keep_freed_memory, reproducible
    from benchmark.submissions import contract, loading
    from benchmark.submissions.composing import Composing
    from benchmark.submissions.exchange import Area
    from benchmark.submissions.machine import is_of_the_machine

    torch.set_num_threads(job.threads)
    keep_freed_memory()
    areas = [Area(descriptor) for descriptor in job.areas]
    hook = confinement.confine(job)
    say(Confined())

    def explain(error: BaseException) -> str:
        return confinement.explain(error, job, is_out_of_memory)

    problem, is_limit = "", False
    try:
        with reproducible(job.device):
            kind, loaded = loading.load(job.candidate)
            composing = Composing(kind, *areas, device=job.device)
            answer: Message = loaded
            while not hook.refused:
                say(answer)
                line = commands()
                if not line:
                    break
                command = parse(line)
                if isinstance(command, Examine):
                    for each in contract.examine(kind, explain):
                        say(Finding(what=each.what, problem=each.problem, remark=each.remark))
                    answer = Done()
                elif isinstance(command, Make):
                    answer = composing.make(command)
                elif isinstance(command, Forward):
                    answer = composing.forward(command)
                else:
                    answer = composing.backward(command)
    except BaseException as error:
        problem, is_limit = explain(error), is_of_the_machine(error)
    # An error may be a consequence of what was refused, so that is named first.
    if hook.refused and hook.refused[0] not in problem:
        problem, is_limit = hook.refused[0], False
    if problem:
        say(Failure(message=problem, is_limit=is_limit))
    # Threads and exit handlers of the submission do not run any more.
    os._exit(1 if problem else 0)


def _streams() -> tuple[Callable[[], bytes], Say]:
    """Reserve standard input for commands and standard output for messages; what else is written there goes to standard
    error, and what else is read from there is empty."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)

    def say(message: Message) -> None:
        line = memoryview(message.model_dump_json().encode() + b"\n")
        while line:
            line = line[sink.write(line) :]

    return source.readline, say


if __name__ == "__main__":
    main()
