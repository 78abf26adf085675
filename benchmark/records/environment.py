"""The machine and the code that a run was made with, and the load of other processes."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Annotated

import psutil
from pydantic import BaseModel, ConfigDict, Field

from benchmark.recipe.runtime import Runtime
from benchmark.recipe.schema import ModelRecipe

_PACKAGES = {"timm": "timm", "open_clip": "open_clip_torch"}
"""The packages of libraries of encoders, by the name that an encoder's name begins with."""

Used = Annotated[str | None, Field(exclude_if=lambda version: version is None)]


class Environment(BaseModel):
    """Where a run was made.

    Attributes:
        timm, open_clip: versions of the libraries of the run's encoders; None, and not written, if it uses none.
        cuda: None on a CPU.
        code_commit, dirty: as `checkout` gives them.
        code_version: of the sources that every run of the task depends on (`code_version.code_version`).
        other_cores: how many cores other processes kept busy meanwhile (`OtherWork`); None if that is unknown.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    python: str
    torch: str
    numpy: str
    timm: Used = None
    open_clip: Used = None
    cuda: str | None
    device: str
    cpu_count: int
    platform: str
    code_commit: str | None
    dirty: bool | None
    code_version: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    runtime: Runtime
    other_cores: Annotated[float, Field(ge=0)] | None


class OtherWork:
    """Measures how many cores other processes keep busy, on average, since its creation.

    That is the CPU time of the whole machine (psutil.cpu_times: user, nice, system, interrupts, and what a hypervisor
    gave to other guests), less the time of this process and of the children that it has waited for, by wall time. It
    says nothing of a GPU. A run that was resumed is measured in its last process alone.
    """

    def __init__(self) -> None:
        self._started, self._busy, self._own = perf_counter(), _busy_seconds(), _own_seconds()

    def cores(self) -> float | None:
        """None where the system does not count."""
        busy = _busy_seconds() - self._busy
        wall = perf_counter() - self._started
        if busy <= 0 or wall <= 0:
            return None
        return round(max(0.0, busy - (_own_seconds() - self._own)) / wall, 2)


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(sum(getattr(times, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq", "steal")))


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def current_environment(
    runtime: Runtime, *, model: ModelRecipe, code_version: str, other_cores: float | None
) -> Environment:
    """Describe this machine, its software, and how a run of a model used them."""
    import numpy
    import torch

    on_gpu = torch.device(runtime.device).type == "cuda"
    commit, dirty = checkout(Path(__file__).resolve())
    return Environment(
        python=platform.python_version(),
        torch=str(torch.__version__),
        numpy=numpy.__version__,
        **_libraries(model),
        cuda=torch.version.cuda if on_gpu else None,
        device=device_name(runtime.device),
        cpu_count=os.cpu_count() or 1,
        platform=f"{platform.system()} {platform.machine()}",
        code_commit=commit,
        dirty=dirty,
        code_version=code_version,
        runtime=runtime,
        other_cores=other_cores,
    )


def _libraries(model: ModelRecipe) -> dict[str, str]:
    """Return the versions of the libraries that a model's encoders are from, by their names in `Environment`."""
    used = {name.partition("/")[0] for name in (model.image_encoder, model.text_encoder)}
    return {name: metadata.version(package) for name, package in _PACKAGES.items() if name in used}


def device_name(device: str) -> str:
    """The name of a GPU, or of the processor for any other device."""
    import torch

    on_gpu = torch.device(device).type == "cuda"
    return torch.cuda.get_device_name(device) if on_gpu else cpu_name()


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next((name for name in names if name), platform.processor() or platform.machine())


def checkout(file: Path) -> tuple[str | None, bool | None]:
    """Commit of the checkout that tracks this file, and whether a tracked Python file differs from it.

    An installed package may be inside somebody else's repository, so git has to track the file. Where it does not,
    CSS_BENCH_COMMIT may say which commit was copied there: its hash, and a "+" behind it if files were changed before;
    both are None without it.
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
