"""A submission's process: commands to it, messages from it, its limits, and how it ended."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import psutil

from benchmark.errors import BenchmarkError
from benchmark.submissions.machine import MachineError
from benchmark.submissions.messages import Command, Failure, Message, harmless, parse

_LONGEST_LINE = 16 * 2**20
_LONGEST_LAST_WORDS = 10_000

M = TypeVar("M", bound=Message)


class SubmissionError(BenchmarkError):
    """Raised when a submission fails or does what it may not: one line that names the cause."""


class LimitError(SubmissionError, MachineError):
    """Raised when time, memory or disk space ran out: this says something about the machine and the limits given, and
    nothing about whether a record is right."""


@dataclass(frozen=True)
class Limits:
    """Limits on one process.

    Attributes:
        seconds: from start to end.
        silent_seconds: for one answer.
        memory_mib: private memory, without a GPU's.
    """

    seconds: float
    silent_seconds: float
    memory_mib: int = 8_192
    open_files: int = 256


class Child:
    """A submission's process, which answers commands.

    Every method raises LimitError if it takes too long or too much memory, and SubmissionError if it fails, ends, or
    breaks the protocol; both name the candidate.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", shown: str, limits: Limits, output: Path) -> None:
        self._process, self._shown, self._limits, self._output = process, shown, limits, output
        self._until = time.monotonic() + limits.seconds
        self._waiting = bytearray()
        self._last = ""
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)

    def ask(self, command: Command, kind: type[M]) -> M:
        """Give a command, and return the answer, which has to be of that kind."""
        self.tell(command)
        return self.expect(kind)

    def tell(self, command: Command) -> None:
        """Give a command."""
        assert self._process.stdin is not None
        line = memoryview(command.model_dump_json().encode() + b"\n")
        until = self._patience()
        with contextlib.suppress(BrokenPipeError):  # what it said last tells why
            while line:
                self._wait(self._process.stdin, selectors.EVENT_WRITE, until)
                line = line[os.write(self._process.stdin.fileno(), line) :]

    def expect(self, kind: type[M]) -> M:
        """Return its next message, which has to be of that kind."""
        message = self.hear()
        if not isinstance(message, kind):
            raise self._broken()
        return message

    def hear(self) -> Message:
        """Return its next message."""
        until = self._patience()
        while b"\n" not in self._waiting:
            assert self._process.stdout is not None
            self._wait(self._process.stdout, selectors.EVENT_READ, until)
            chunk = os.read(self._process.stdout.fileno(), 1 << 16)
            if not chunk:
                raise self._ended()
            self._waiting += chunk
            if len(self._waiting) > _LONGEST_LINE:
                raise self._stopped("it said too much")
        line, _, self._waiting = self._waiting.partition(b"\n")
        try:
            message = parse(bytes(line))
        except ValueError:
            raise self._broken() from None
        if isinstance(message, Failure):
            kind = LimitError if message.is_limit else SubmissionError
            raise kind(f"{self._shown}: {message.message or 'it failed without a word'}")
        self._last = message.event
        return message

    def blame(self, what: str) -> SubmissionError:
        """Return an error that names the candidate."""
        return SubmissionError(f"{self._shown}: {what}")

    def peak_memory_mib(self) -> float:
        """The most memory that it and all that it started had so far, as the kernel counts it; 0 where it does not."""
        try:
            process = psutil.Process(self._process.pid)
            family = [process, *process.children(recursive=True)]
            status = [Path(f"/proc/{each.pid}/status").read_text() for each in family]
            return sum(int(text.partition("VmHWM:")[2].split()[0]) for text in status) / 2**10
        except (OSError, IndexError, psutil.Error):
            return 0.0

    def end(self) -> None:
        """Kill the process and all of its session."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _patience(self) -> float:
        return min(self._until, time.monotonic() + self._limits.silent_seconds)

    def _wait(self, stream: IO[bytes], event: int, until: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(stream, event)
            if selector.select(max(0.0, until - time.monotonic())):
                return
        is_all = until >= self._until
        seconds = self._limits.seconds if is_all else self._limits.silent_seconds
        what = f"it {'took longer than' if is_all else 'gave no sign of life for'} {seconds:g} seconds"
        raise self._stopped(what, LimitError)

    def _broken(self) -> SubmissionError:
        return self._stopped("it wrote into the channel that is reserved for messages")

    def _stopped(self, what: str, kind: type[SubmissionError] = SubmissionError) -> SubmissionError:
        last = f" (last sign of life: {self._last})" if self._last else ""
        return kind(f"{self._shown}: {what}{last}; it was stopped")

    def _ended(self) -> SubmissionError:
        try:
            code = self._process.wait(timeout=self._limits.silent_seconds)
        except subprocess.TimeoutExpired:
            return self._stopped("its process did not end")
        # The kernel kills what takes the last memory.
        kind = LimitError if _signal(code) == signal.SIGKILL else SubmissionError
        last = f" (last sign of life: {self._last})" if self._last else ""
        return kind(f"{self._shown}: {_how_it_ended(code, self._output)}{last}")


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
