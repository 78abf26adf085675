"""Device selection, precision, determinism and memory accounting.

A submission's process uses this file, and may see nothing of css_gen, which `benchmark.errors` builds on; so errors are
imported where they are raised.
"""

import ctypes
import re
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from accelerate import Accelerator

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""Of glibc's mallopt."""


def choose_device(asked: str | None) -> str:
    """Choose the device of that name; by default the GPU if there is one.

    Raises:
        UsageError: torch does not know it or does not see it here.
    """
    from benchmark.errors import UsageError

    if asked is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", asked):
        raise UsageError(f"--device {asked}: expected cpu, cuda, or cuda:N")
    if asked.startswith("cuda"):
        seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(asked.partition(":")[2] or 0) >= seen:
            raise UsageError(f"--device {asked}: torch sees {seen} GPUs here; leave the option out or use cpu")
    return asked


def make_accelerator(device: str, precision: str) -> "Accelerator":
    """Make a fresh accelerator: accelerate keeps one state a process, which would keep the last run's precision."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    if device.startswith("cuda:"):
        torch.cuda.set_device(device)
    return Accelerator(cpu=device == "cpu", mixed_precision="bf16" if precision == "bf16" else "no")


@contextmanager
def reproducible(device: str) -> Iterator[None]:
    """Make every kernel of a CPU give the same result each time. On a GPU that costs speed: only seeds are set."""
    if device != "cpu":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for later allocations, for the rest of the process.

    Every step allocates its activations and gradients again. Given back to the kernel and asked for again, each of
    their pages costs a fault and is cleared, together a tenth of a step of ResNet-18 on a CPU (docs/performance.md).
    Only glibc can do this; elsewhere nothing happens.
    """
    if mallopt := _of_c_library("mallopt"):
        mallopt(_MMAP_THRESHOLD, 2**30)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def _of_c_library(name: str) -> Callable[..., int] | None:
    """A function that only glibc has; None elsewhere."""
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
    return found


def start_measuring_memory(device: str) -> None:
    """Reset `peak_memory_mib`. On a CPU this works on Linux only; elsewhere it counts from the process's start."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        return
    if trim := _of_c_library("malloc_trim"):
        trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_memory_mib(device: str) -> float:
    """Peak memory in MiB: of the device, or on a CPU of the process."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 2**20
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 2**10
    except (OSError, IndexError):
        unit = 1 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def kept_for_gradient(forward: Callable[[], object]) -> dict[int, int]:
    """Measure the pieces of memory, address to bytes, that a forward pass keeps for its gradient.

    Args:
        forward: its result has to hold on to all that was kept, so that no address is used twice.
    """
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = forward()
    del result
    return kept


@contextmanager
def memory_advice(where: str, options: str, precision: str) -> Iterator[None]:
    """Turn running out of memory into a BenchmarkError that says which options to lower."""
    from benchmark.errors import BenchmarkError

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        more = ", or use training.precision=bf16" if precision == "fp32" else ""
        raise BenchmarkError(f"out of memory {where}: lower {options}{more}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of torch or Python says that memory ran out, on a GPU or on the CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error)
