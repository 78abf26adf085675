"""Memory that two processes share, and the tensors in it.

Each of the two writes into an area of its own, from the start for every message, and the other reads there. Tensors
keep their strides: kernels choose their way, and so their rounding, by the layout of what they get.
"""

import contextlib
import math
import mmap
import os
import sys
import tempfile
from collections.abc import Iterator

import torch
from torch import Tensor

from benchmark.submissions.messages import Piece

if sys.platform == "linux":
    import fcntl

_ALIGNMENT = 64
"""Of torch's own memory on a CPU."""
_LEAST = 2**20


class Area:
    """Memory that one process writes tensors into, side by side, and another one reads. It grows as needed.

    Args:
        descriptor: of a file that both have, from `new_file`.
        end: where the next tensor begins.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._bytes = torch.empty(0, dtype=torch.uint8)
        self.end = 0

    def put(self, tensor: Tensor) -> Piece:
        """Write a tensor behind the others. Raises OSError if the file cannot grow."""
        tensor = tensor.detach()
        if _extent(tensor.shape, tensor.stride()) > _different(tensor):
            tensor = tensor.contiguous()  # it has gaps
        extent = _extent(tensor.shape, tensor.stride())
        start, stop = self.end, self.end + extent * tensor.element_size()
        if stop > len(self._bytes):
            # The other process can enlarge the file, and it cannot shrink.
            os.ftruncate(self._descriptor, max(2 * stop, _LEAST, os.fstat(self._descriptor).st_size))
            self._map()
        self._bytes[start:stop].view(tensor.dtype).copy_(tensor.as_strided((extent,), (1,)))
        self.end = -(-stop // _ALIGNMENT) * _ALIGNMENT
        name = str(tensor.dtype).removeprefix("torch.")
        return Piece(offset=start, dtype=name, shape=tuple(tensor.shape), strides=tensor.stride())  # type: ignore[arg-type]

    def view(self, piece: Piece) -> Tensor:
        """The tensor where it is. Raises ValueError or RuntimeError if there is none."""
        return self._flat(piece).as_strided(piece.shape, piece.strides)

    def take(self, piece: Piece) -> Tensor:
        """A copy of the tensor, which nobody else can change. Raises as `view`."""
        return self._flat(piece).clone().as_strided(piece.shape, piece.strides)

    def _flat(self, piece: Piece) -> Tensor:
        dtype: torch.dtype = getattr(torch, piece.dtype)
        if len(piece.shape) != len(piece.strides):
            raise ValueError(f"expected a stride for each of {len(piece.shape)} dimensions, got {len(piece.strides)}")
        extent = _extent(piece.shape, piece.strides)
        if extent > math.prod(piece.shape):
            raise ValueError("expected a tensor without gaps")
        stop = piece.offset + extent * dtype.itemsize
        if stop > len(self._bytes):
            self._map()
        if stop > len(self._bytes):
            raise ValueError(f"expected a tensor within {len(self._bytes)} bytes, got one that ends at {stop}")
        return self._bytes[piece.offset : stop].view(dtype)

    def _map(self) -> None:
        size = os.fstat(self._descriptor).st_size
        if size:
            # The earlier mapping stays as long as a tensor needs it: both show the same memory.
            self._bytes = torch.frombuffer(mmap.mmap(self._descriptor, size), dtype=torch.uint8)


@contextlib.contextmanager
def new_file() -> Iterator[int]:
    """Make an empty file in memory, or, where the system has none, on disk; give its descriptor, and close it at last.

    On Linux it cannot shrink: a process whose memory ended before its mapping would be killed. Nor can either process
    forbid the other one to write or to enlarge it.
    """
    with tempfile.TemporaryFile() if sys.platform != "linux" else contextlib.nullcontext() as file:
        if sys.platform != "linux":
            assert file is not None
            yield file.fileno()
            return
        descriptor = os.memfd_create("tirg-bench", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
            yield descriptor
        finally:
            os.close(descriptor)


def _extent(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """How many numbers lie between the first and the last of a tensor, both included."""
    if 0 in shape:
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))


def _different(tensor: Tensor) -> int:
    """How many numbers a tensor has in memory."""
    count = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        count *= size if stride else min(size, 1)
    return count
