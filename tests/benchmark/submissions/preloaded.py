"""A process that has imported what every submission needs, and forks for each job: a test need not wait for torch."""

import json
import os
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from benchmark.submissions import sandbox

_SERVER = """
import json, os, signal, socket, sys, traceback
import fcntl, torch
from benchmark.submissions import child, composing, confinement, contract, kernel, loading

kernel.end_with_parent()
# The first optimiser imports much of torch.
torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2, 2))])
channel = socket.socket(fileno=int(sys.argv[1]))
while True:
    message, descriptors, _, _ = socket.recv_fds(channel, 1 << 16, 9)
    if not message:
        break
    process = os.fork()
    if process == 0:
        channel.close()
        os.setsid()
        asked = json.loads(message)
        # First out of the way of the numbers that they are to have.
        apart = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 200) for descriptor in descriptors]
        for descriptor in descriptors:
            os.close(descriptor)
        for number, descriptor in zip(asked["numbers"], apart):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(asked["env"])
        os.chdir(asked["cwd"])
        sys.argv = asked["argv"]
        try:
            child.main()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(1)
    for descriptor in descriptors:
        os.close(descriptor)
    channel.send(str(process).encode())
    _, status = os.waitpid(process, 0)
    channel.send(str(os.waitstatus_to_exitcode(status)).encode())
"""


class Forked:
    """As much of a `subprocess.Popen` as `sandbox.started` uses."""

    def __init__(self, channel: socket.socket, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self._channel = channel
        self.pid = int(channel.recv(100))
        self.stdin, self.stdout = stdin, stdout
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._channel], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a forked submission", timeout or 0.0)
            self.returncode = int(self._channel.recv(100))
        return self.returncode


class Preloaded:
    """Start a submission's process by a fork; one at a time.

    The process starts with all of its imports done; its limits, its messages and its end are those of a real one.
    """

    def __init__(self, folder: Path) -> None:
        self._environment = sandbox._environment(folder)
        self._channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._server = subprocess.Popen(
                [sys.executable, "-P", "-c", _SERVER, str(other.fileno())],
                pass_fds=[other.fileno()],
                env=self._environment,
            )

    def popen(self, command: list[str], *, env: dict[str, str], **options: Any) -> Any:
        """Start what `sandbox.started` starts; another program, or one with other imports, as a process of its own."""
        is_child = command[:4] == [sys.executable, "-P", "-m", "benchmark.submissions.child"]
        if not is_child or env["PYTHONPATH"] != self._environment["PYTHONPATH"]:
            return subprocess.Popen(command, env=env, **options)
        numbers = [0, 1, 2, *options["pass_fds"]]
        asked = json.dumps({"argv": command[3:], "env": env, "cwd": str(Path.cwd()), "numbers": numbers}).encode()
        (commands, writing), (reading, messages) = os.pipe(), os.pipe()
        descriptors = [commands, messages, options["stderr"].fileno(), *options["pass_fds"]]
        socket.send_fds(self._channel, [asked], descriptors)
        os.close(commands)
        os.close(messages)
        return Forked(self._channel, os.fdopen(writing, "wb", buffering=0), os.fdopen(reading, "rb", buffering=0))

    def close(self) -> None:
        self._channel.close()
        self._server.wait()
