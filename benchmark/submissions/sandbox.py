"""Start a submission's process: in bubblewrap if it works here, always with limits on time and memory.

The plain tier (limits of the kernel and an audit hook, see `confinement`) protects against accidents. Bubblewrap
protects against malice: the process then sees only the installed packages and its scratch folder, has no network, and
ends together with all that it started.
"""

import contextlib
import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmark.submissions import bubblewrap
from benchmark.submissions.installed import import_path
from benchmark.submissions.messages import Confined, Job, Loaded
from benchmark.submissions.process import Child, Limits

_OF_GPUS = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")


class SandboxTier(StrEnum):
    BUBBLEWRAP = "bubblewrap"
    PROCESS = "process"


NOT_STOPPED: dict[SandboxTier, tuple[str, ...]] = {
    SandboxTier.BUBBLEWRAP: (),
    SandboxTier.PROCESS: (
        "read a file outside, past Python",
        "write a file outside, past Python",
        "look at another process, past Python",
        "send a signal to another process, past Python",
    ),
}
"""What submitted code can do that it should not; `tests/benchmark/submissions/test_hostile.py` tries it."""


@functools.cache
def best_tier() -> SandboxTier:
    """Return bubblewrap if it is installed and the kernel lets it work here."""
    return SandboxTier.BUBBLEWRAP if bubblewrap.works() else SandboxTier.PROCESS


@contextlib.contextmanager
def started(job: Job, limits: Limits, *, tier: SandboxTier) -> Iterator[tuple[Child, Loaded]]:
    """Start a submission's process, give it and what it loaded, and kill it at the end.

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
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                env=_environment(Path(job.scratch)),
                pass_fds=job.areas,
                start_new_session=True,
            )
        child = Child(process, job.candidate.shown, limits, output)
        try:
            child.expect(Confined)
            yield child, child.expect(Loaded)
        finally:
            child.end()


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
