"""Run our commands as processes with a fault in them; a server that has imported everything forks most of them."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import models

INJECTION = Path(__file__).parent / "injection"
ROOT = Path(models.__file__).parents[1]
MODULES = {"css-gen": "css_gen.cli", "tirg-bench": "benchmark.cli"}
KILLED = -signal.SIGKILL

Fault = dict[str, Any]

_SERVER = """
import importlib, json, os, signal, socket, sys
sys.path.insert(0, sys.argv[2])
from sitecustomize import install
import torch
from benchmark.cli.main import main as tirg_bench
from css_gen.cli import main as css_gen
import benchmark.leaderboard.files, benchmark.runs.fresh, benchmark.runs.side_by_side, benchmark.runs.termination
from css_gen.render import render
from css_gen.storage.configuration import Configuration

torch.set_num_threads(1)
torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2, 2))])
from css_gen.progress import Silent
from css_gen.render import warm_up
warm_up(Configuration(images=60, size=32), Silent())
channel = socket.socket(fileno=int(sys.argv[1]))
while asked := channel.recv(1 << 20):
    asked = json.loads(asked)
    process = os.fork()
    if process == 0:
        channel.close()
        os.setsid()
        output = os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ["FAULT"] = json.dumps(asked["fault"])
        sys.argv = asked["words"]
        try:
            install(asked["fault"])
            (css_gen if asked["words"][0] == "css-gen" else tirg_bench)()
        except SystemExit as ended:
            sys.stdout.flush()
            os._exit(ended.code)
        finally:
            os._exit(99)
    channel.send(str(process).encode())
    _, status = os.waitpid(process, 0)
    channel.send(str(os.waitstatus_to_exitcode(status)).encode())
"""


class Process:
    """A command that runs in a session of its own. Its output goes to a file."""

    def __init__(self, pid: int, output: Path) -> None:
        self.pid, self._output = pid, output

    def wait(self, seconds: float | None = None) -> int | None:
        """Return its exit code, or None if it still runs after so many seconds."""
        raise NotImplementedError

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a signal to the command, not to its workers, and return the exit code."""
        os.kill(self.pid, number)
        code = self.wait()
        assert code is not None
        return code

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")


class Started(Process):
    """A process of its own, as a person starts it."""

    def __init__(self, *words: object, fault: Fault | None = None, folder: Path) -> None:
        descriptor, name = tempfile.mkstemp(dir=folder)
        paths = os.pathsep.join([str(INJECTION), str(ROOT)])
        program, *rest = map(str, words)
        with os.fdopen(descriptor, "wb") as sink:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", MODULES[program], *rest],
                stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "FAULT": json.dumps(fault or {})},
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip
        super().__init__(self.popen.pid, Path(name))

    def wait(self, seconds: float | None = None) -> int | None:
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


class _Forked(Process):
    def __init__(self, channel: socket.socket, output: Path) -> None:
        super().__init__(int(channel.recv(100)), output)
        self._channel = channel
        self._code: int | None = None

    def wait(self, seconds: float | None = None) -> int | None:
        if self._code is None and select.select([self._channel], [], [], seconds)[0]:
            self._code = int(self._channel.recv(100))
        return self._code


class Server:
    """Starts commands by a fork, one at a time, so that hundreds of them need not import torch."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._server = subprocess.Popen(
                [sys.executable, "-c", _SERVER, str(other.fileno()), str(INJECTION)],
                pass_fds=[other.fileno()],
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            )

    def start(self, *words: object, fault: Fault | None = None) -> Process:
        descriptor, name = tempfile.mkstemp(dir=self._folder)
        os.close(descriptor)
        asked = {"words": [*map(str, words)], "fault": fault or {}, "output": name}
        self._channel.send(json.dumps(asked).encode())
        return _Forked(self._channel, Path(name))

    def run(self, *words: object, fault: Fault | None = None) -> tuple[int, str]:
        """Return the exit code and the output of a command, when it has ended."""
        process = self.start(*words, fault=fault)
        code = process.wait()
        assert code is not None
        return code, process.output

    def close(self) -> None:
        self._channel.close()
        self._server.wait()


def children(process_id: int) -> list[int]:
    """The processes that a process started, without multiprocessing's resource tracker."""
    found = [int(word) for word in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()]
    return [child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
