"""The machine and the code that a run was made with."""

import os
import platform
import subprocess
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Environment(BaseModel):
    """Where a run was made. `cuda` is None on a CPU.

    `code_commit` and `dirty` are as `checkout` gives them.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    python: str
    torch: str
    numpy: str
    cuda: str | None
    device: str
    cpu_count: int
    platform: str
    code_commit: str | None
    dirty: bool | None


def current_environment(device: str) -> Environment:
    """Describe this machine.

    Args:
        device: what the run computes on, as torch names it: "cpu", "cuda", "cuda:1".
    """
    import numpy
    import torch

    on_gpu = torch.device(device).type == "cuda"
    commit, dirty = checkout(Path(__file__).resolve())
    return Environment(
        python=platform.python_version(),
        torch=str(torch.__version__),
        numpy=numpy.__version__,
        cuda=torch.version.cuda if on_gpu else None,
        device=torch.cuda.get_device_name(device) if on_gpu else cpu_name(),
        cpu_count=os.cpu_count() or 1,
        platform=f"{platform.system()} {platform.machine()}",
        code_commit=commit,
        dirty=dirty,
    )


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next((name for name in names if name), platform.processor() or platform.machine())


def checkout(file: Path) -> tuple[str | None, bool | None]:
    """Commit of the checkout that tracks this file, and whether a tracked Python file differs from it.

    An installed package may lie inside somebody else's repository; git tracking the file is what makes it ours. Where
    it does not, CSS_BENCH_COMMIT may say which commit was copied there: its hash, and a "+" behind it if files were
    changed before; both are None without it.
    """
    try:
        _git(file.parent, "ls-files", "--error-unmatch", file.name)
        return _git(file.parent, "rev-parse", "HEAD"), bool(
            _git(file.parent, "diff", "--name-only", "HEAD", "--", ":/*.py")
        )
    except (OSError, subprocess.SubprocessError):
        copied = os.environ.get("CSS_BENCH_COMMIT", "")
        return (copied.rstrip("+"), copied.endswith("+")) if copied else (None, None)


def _git(folder: Path, *arguments: str) -> str:
    finished = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=30
    )
    return finished.stdout.strip()
