"""Run a submission's process: in bubblewrap if it works here, always with limits on time and memory.

The plain tier (limits of the kernel and an audit hook, see `confinement`) protects against accidents. Bubblewrap
protects against malice: the process then sees only the installed packages and its scratch folder, has no network, and
ends together with all that it started.
"""

import contextlib
import functools
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from benchmark.errors import BenchmarkError
from benchmark.submissions import bubblewrap
from benchmark.submissions.installed import import_path
from benchmark.submissions.messages import Confined, Done, Failure, Job, Message, harmless, parse

_LONGEST_LINE = 64 * 2**20
_LONGEST_TALK = 512 * 2**20
_LONGEST_LAST_WORDS = 10_000
_OF_GPUS = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")

Hear = Callable[[Message], None]


class SubmissionError(BenchmarkError):
    """Raised when a submission fails or does what it may not: one line that names the cause."""


class LimitError(SubmissionError):
    """Raised when time, memory or disk space ran out: this says something about the machine and the limits given, and
    nothing about whether a record is right."""


class SandboxTier(StrEnum):
    BUBBLEWRAP = "bubblewrap"
    PROCESS = "process"


@dataclass(frozen=True)
class Limits:
    """Limits on one process.

    Attributes:
        seconds: from start to end.
        silent_seconds: between two messages.
        memory_mib: private memory, without a GPU's.
    """

    seconds: float
    silent_seconds: float
    memory_mib: int = 8_192
    open_files: int = 256


@functools.cache
def best_tier() -> SandboxTier:
    """Return bubblewrap if it is installed and the kernel lets it work here."""
    return SandboxTier.BUBBLEWRAP if bubblewrap.works() else SandboxTier.PROCESS


def run(job: Job, limits: Limits, *, tier: SandboxTier, hear: Hear) -> tuple[str, ...]:
    """Have a job done, and return the limits on the process, in words.

    Args:
        hear: called with every message as it arrives, except those of this module's own protocol.

    Raises:
        LimitError: it took too long or too much memory.
        SubmissionError: it failed, or broke the protocol.
    """
    # Not in the scratch folder: the process may write there.
    with TemporaryDirectory(prefix="tirg-bench-job-") as name:
        job_file, output = Path(name) / "job.json", Path(name) / "output.txt"
        job_file.write_text(job.model_dump_json())
        command = [sys.executable, "-P", "-m", "benchmark.submissions.child", str(job_file)]
        if tier is SandboxTier.BUBBLEWRAP:
            command = [*bubblewrap.prefix(job, job_file), *command]
        with output.open("wb") as sink:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=sink,
                env=_environment(Path(job.scratch)),
                start_new_session=True,
            )
        talk = _Talk()
        try:
            _listen(process, limits, talk, hear)
        except _BrokenError as error:
            raise error.kind(f"{job.candidate.shown}: {error}{_last(talk)}; it was stopped") from None
        finally:
            _end(process)
        if talk.failure:
            kind = LimitError if talk.failure.is_limit else SubmissionError
            raise kind(f"{job.candidate.shown}: {talk.failure.message or 'it failed without a word'}")
        if not talk.is_done or process.returncode != 0:
            # The kernel kills what takes the last memory.
            kind = LimitError if _signal(process.returncode) == signal.SIGKILL else SubmissionError
            raise kind(f"{job.candidate.shown}: {_how_it_ended(process.returncode, output)}{_last(talk)}")
    return talk.guards


class _BrokenError(Exception):
    """Raised when a process is to be stopped: it broke a rule of the protocol, or a limit (`kind`)."""

    def __init__(self, message: str, kind: type[SubmissionError] = SubmissionError) -> None:
        super().__init__(message)
        self.kind = kind


class _Talk:
    """The messages of a process so far."""

    def __init__(self) -> None:
        self.guards: tuple[str, ...] = ()
        self.failure: Failure | None = None
        self.is_done = False
        self.last = ""

    def hear(self, message: Message, hear: Hear) -> None:
        if isinstance(message, Confined):
            self.guards = message.guards
        elif isinstance(message, Failure):
            self.failure = message
        elif isinstance(message, Done):
            self.is_done = True
        else:
            self.last = message.event
            hear(message)


def _listen(process: "subprocess.Popen[bytes]", limits: Limits, talk: _Talk, hear: Hear) -> None:
    """Read a process's messages until it ends.

    Raises:
        _BrokenError: a line is not a message, or it took too long.
    """
    assert process.stdout is not None
    for line in _lines(process.stdout, limits):
        try:
            message = parse(line)
        except ValueError:
            raise _BrokenError("it wrote into the channel that is reserved for messages") from None
        talk.hear(message, hear)
    try:
        process.wait(timeout=limits.silent_seconds)
    except subprocess.TimeoutExpired:
        raise _BrokenError("its process did not end") from None


def _last(talk: _Talk) -> str:
    return f" (last sign of life: {talk.last})" if talk.last else ""


def _lines(stream: IO[bytes], limits: Limits) -> Iterator[bytes]:
    """Yield the lines of a stream as they arrive.

    Raises:
        _BrokenError: the stream was silent, or open, for longer than allowed, or sent too much.
    """
    started = heard = time.monotonic()
    waiting, said = bytearray(), 0
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            now = time.monotonic()
            left = min(started + limits.seconds - now, heard + limits.silent_seconds - now)
            if left <= 0:
                is_all = now >= started + limits.seconds
                seconds = limits.seconds if is_all else limits.silent_seconds
                raise _BrokenError(
                    f"it {'took longer than' if is_all else 'gave no sign of life for'} {seconds:g} seconds", LimitError
                )
            if not selector.select(left):
                continue
            chunk = os.read(stream.fileno(), 1 << 16)
            if not chunk:
                return
            said += len(chunk)
            waiting += chunk
            if said > _LONGEST_TALK or len(waiting) > _LONGEST_LINE:
                raise _BrokenError("it said too much")
            if b"\n" in chunk:
                *lines, waiting = waiting.split(b"\n")
                heard = time.monotonic()
                yield from map(bytes, lines)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill the process and all of its session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _signal(code: int) -> int:
    """The signal that ended a process with that exit code, directly or as bubblewrap passes it on; 0 for none."""
    return -code if code < 0 else code - 128 if code > 128 else 0


def _how_it_ended(code: int, output: Path) -> str:
    number = _signal(code)
    if code == 0:
        return "it ended its process before it was done"
    names = {each.value: each.name for each in signal.Signals}
    how = f"its process crashed ({names.get(number, number)})" if number else f"its process ended with exit code {code}"
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - _LONGEST_LAST_WORDS))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    return f"{how}; its last words: {harmless(lines[-1])}" if lines else how


def _environment(scratch: Path) -> dict[str, str]:
    """Pass on no variables except those that set how many threads a library uses and which GPUs it sees."""
    kept = {name: value for name, value in os.environ.items() if name.endswith("_NUM_THREADS") or name in _OF_GPUS}
    return kept | {
        "PATH": "/usr/bin:/bin",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONPATH": import_path(),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }
