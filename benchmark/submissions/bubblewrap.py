"""Bubblewrap: a process that sees the installed packages and its scratch folder, and nothing else of the machine."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmark.submissions.messages import Job

_PROBE_SECONDS = 20
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/sys")


def works() -> bool:
    """Tell whether it is installed and the kernel lets it work here."""
    if shutil.which("bwrap") is None:
        return False
    arguments = ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "--die-with-parent", "true"]
    try:
        return subprocess.run(arguments, capture_output=True, timeout=_PROBE_SECONDS).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def prefix(job: Job, job_file: Path) -> list[str]:
    """Return the words in front of a command that put it into bubblewrap."""
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    command += ["--proc", "/proc", "--dev", "/dev"]
    for folder in ("/dev/shm", "/tmp"):
        command += ["--size", str(job.memory_mib * 2**20), "--tmpfs", folder]
    if job.device != "cpu":
        for device in sorted(Path("/dev").glob("nvidia*")):
            command += ["--dev-bind-try", str(device), str(device)]
    for path in _outermost([*_SYSTEM, *job.readable, job.candidate.file, str(job_file)]):
        command += ["--ro-bind-try", path, path]
    for folder in job.hidden:
        command += ["--tmpfs", folder]
    return [*command, "--bind", job.scratch, job.scratch, "--chdir", job.scratch]


def _outermost(paths: Sequence[str]) -> list[str]:
    """Return each path once, a folder before its contents."""
    return sorted(dict.fromkeys(paths), key=lambda path: (path.count("/"), path))
