"""Limits that a submission's process puts on itself before it loads the submission's code.

The kernel's limits hold whatever the code does. The audit hook is Python's: it names what was tried, which the kernel
does not, and without bubblewrap nothing else protects other files. Code that tries to can get around it; `sandbox` has
the stronger tier.
"""

import os
import re
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmark.submissions import kernel
from benchmark.submissions.messages import Job

_OTHER_PROCESS = re.compile(r"/proc/(\d+)(?:/|$)")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_RESERVED = 2 * 2**30
"""Of addresses, for the stacks and heaps of threads, most of which is never touched."""

_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/proc", "/sys", "/dev", "/etc/ld.so.cache", "/etc/localtime")
"""Read by the C library and torch on any Linux."""

_MEMORY_HINT = "limit of memory"
_GENERATOR = "css_gen"

_PROCESSES = (
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.exec",
    "os.system",
    "subprocess.Popen",
    "os.kill",
    "os.killpg",
)
_NETWORK = ("socket.__new__", "socket.connect", "socket.getaddrinfo", "socket.bind")
_CHANGES_FILES = {
    "os.remove": 1, "os.rename": 2, "os.mkdir": 1, "os.rmdir": 1, "os.link": 2, "os.symlink": 2, "os.truncate": 1,
    "os.chmod": 1, "os.chown": 1, "os.utime": 1, "os.setxattr": 1,
}  # fmt: skip
"""How many of an event's first arguments are paths."""


class RefusedError(BaseException):
    """Raised when the submission tries what it may not. Not an Exception, so that `except Exception` lets it pass."""


class Hook:
    """An audit hook that refuses files outside the given folders, css_gen, processes, and the network.

    Attributes:
        refused: every attempt, in order, including those whose error the submission caught.
    """

    def __init__(self, *, readable: tuple[str, ...], hidden: tuple[str, ...], writable: str) -> None:
        self.refused: list[str] = []
        self._readable = tuple(map(os.path.realpath, (*readable, writable)))
        self._hidden = tuple(map(os.path.realpath, hidden))
        self._writable = os.path.realpath(writable)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "import":
            if str(arguments[0]).partition(".")[0] == _GENERATOR:
                self._refuse(f"it tried to import {arguments[0]}, which a submission may not: it renders the data")
        elif event == "open":
            path, mode, flags = arguments
            is_write = bool((flags or 0) & _WRITES) or any(letter in (mode or "") for letter in "wax+")
            self._look_at(path, is_write)
        elif event in _CHANGES_FILES:
            for path in arguments[: _CHANGES_FILES[event]]:
                self._look_at(path, is_write=True)
        elif event in _PROCESSES:
            self._refuse(f"it tried to start or stop a process ({event}), which a submission may not")
        elif event in _NETWORK:
            self._refuse(f"it tried to use the network ({event}), which a submission may not")

    def _look_at(self, path: Any, is_write: bool) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        real = os.path.realpath(os.fsdecode(path))
        if real == os.devnull:
            return
        other = _OTHER_PROCESS.match(real)
        if other and int(other[1]) != os.getpid():
            self._refuse(f"it tried to open {real}, which is another process's")
        if not _is_in(real, (self._writable,) if is_write else self._readable) or _is_in(real, self._hidden):
            what = "write" if is_write else "read"
            self._refuse(f"it tried to {what} {real}, outside its scratch folder")

    def _refuse(self, what: str) -> None:
        self.refused.append(what)
        raise RefusedError(what)


def confine(job: Job) -> Hook:
    """Limit this process for the rest of its life. Returns the hook that has noted what it refused."""
    memory = job.memory_mib * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    if job.device == "cpu":
        # RLIMIT_DATA does not count shared memory; CUDA reserves far more addresses than it uses.
        addresses = _addresses() + memory + _RESERVED
        resource.setrlimit(resource.RLIMIT_AS, (addresses, addresses))
    # A file may be memory: those that we share are, and those of a scratch folder on tmpfs.
    resource.setrlimit(resource.RLIMIT_FSIZE, (memory, memory))
    resource.setrlimit(resource.RLIMIT_NOFILE, (job.open_files, job.open_files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(job.scratch)
    readable = (*_SYSTEM, job.candidate.file, *job.readable)
    hook = Hook(readable=readable, hidden=job.hidden, writable=job.scratch)
    kernel.refuse_processes(allows_memory=job.device != "cpu")  # CUDA may need it
    sys.addaudithook(hook)
    return hook


def _addresses() -> int:
    """Return the bytes of address space that this process has now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 64 * 2**30


def explain(error: BaseException, job: Job, is_out_of_memory: Callable[[BaseException], bool]) -> str:
    """Describe what ended a submission, with the line of its own file where it happened."""
    is_ours = type(error).__module__.partition(".")[0] in ("benchmark", "models")
    what = str(error) if is_ours else f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, SystemExit):
        what = f"it called sys.exit({error.code!r})"
    elif is_out_of_memory(error):
        what = f"it wanted more than its {_MEMORY_HINT} of {job.memory_mib} MiB"
    elif isinstance(error, OSError) and error.errno == 24:
        what = f"it opened more than {job.open_files} files at once"
    elif isinstance(error, RefusedError):
        what = str(error)
    elif isinstance(error, ModuleNotFoundError):
        what = f"it imports {error.name}, which is not installed here"
    line = _line_of(error, job.candidate.file)
    return f"line {line}: {what}" if line else what


def _is_in(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _line_of(error: BaseException, file: str) -> int | None:
    """Find the last line of that file in the error's traceback, or the line of a syntax error in it."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno
    line, trace = None, error.__traceback__
    while trace is not None:
        if file and trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
