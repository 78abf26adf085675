"""Several processes that make one run together: each takes its share of every batch, and all hold the same network.

Plain torch.distributed does what is needed here in a few lines: a gather with gradients, a mean of gradients, a sum.
DistributedDataParallel and accelerate would wrap the network, average the loss over processes instead of computing it
over the whole batch, and know nothing of losses whose negatives are the rows of other processes.

How gradients come out right: every process computes the loss L of the whole batch from gathered embeddings, so together
they differentiate the sum of `count` equal losses. The gather passes each process the gradients of its own rows from
all of them, and the mean over processes of the parameters' gradients is the gradient of L.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from benchmark.errors import BenchmarkError

T = TypeVar("T")

_START, _WAIT = timedelta(minutes=10), timedelta(hours=3)
"""How long processes wait for each other at the start, and in each exchange."""

_LAST_SECONDS, _LOOK_SECONDS = 60.0, 0.1


class Processes:
    """One of the processes that make a run together. The default is a single process.

    Attributes:
        rank: from 0. Process 0 leads: it alone reports and writes files.
        count: how many there are.
        has_whole_batch: whether what is computed now has all rows of the batch in every process.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count, self.has_whole_batch = rank, count, False

    @property
    def is_leader(self) -> bool:
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Every `count`-th item."""
        return items[self.rank :: self.count]

    def share_of_batch(self, images: Tensor, group: Tensor, texts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """This process's part of what the network gets: sources that follow each other, and their queries.

        Args:
            images: (G + B, ...), the sources and then the targets.
            group: (B,), which source each query starts from, ascending and equally often each.
            texts: (B,).
        """
        if self.count == 1:
            return images, group, texts
        queries = len(texts) // self.count
        sources = (len(images) - len(texts)) // self.count
        rows = slice(self.rank * queries, (self.rank + 1) * queries)
        of_sources = images[self.rank * sources : (self.rank + 1) * sources]
        own = torch.cat([of_sources, images[len(images) - len(texts) :][rows]])
        return own, group[rows] - self.rank * sources, texts[rows]

    def gathered(self, share: Tensor) -> Tensor:
        """The rows (n, ...) of this process -> those of all (count * n, ...), in order, with gradients."""
        if self.count == 1:
            return share
        if share.dtype == torch.bool:
            return self.gathered(share.byte()).bool()
        rows: Tensor = _Gathered.apply(share, self)
        return rows

    def summed(self, value: Tensor) -> Tensor:
        """The sum over all processes, without gradient, in place."""
        if self.count > 1:
            distributed.all_reduce(value)
        return value

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over all processes."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.count == 1 or not gradients:
            return
        mean = self.summed(torch.cat([gradient.reshape(-1) for gradient in gradients])) / self.count
        parts = torch.split(mean, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    @contextmanager
    def whole_batch(self) -> Iterator[None]:
        """A part of a step that every process computes for all rows of the batch."""
        self.has_whole_batch = True
        try:
            yield
        finally:
            self.has_whole_batch = False

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """Run the block in the leader first, for example to write a file that the others then read."""
        if self.count > 1 and not self.is_leader:
            distributed.barrier()
        yield
        if self.count > 1 and self.is_leader:
            distributed.barrier()

    def require_equal(self, digest: str) -> None:
        """Raise BenchmarkError unless all processes have the same hash, such as that of their weights."""
        own = torch.tensor([*bytes.fromhex(digest)], dtype=torch.float32)
        own = own.cuda() if distributed.is_initialized() and distributed.get_backend() == "nccl" else own
        if not torch.equal(self.summed(own.clone()), own * self.count):
            raise BenchmarkError("the processes of this run hold different weights; run it with --devices 1")


class _Gathered(torch.autograd.Function):
    """The rows of all processes; the gradient of a row is the sum of what all processes give it.

    As torch.distributed.nn.functional.all_gather, which is deprecated.
    """

    @staticmethod
    def forward(ctx: Any, share: Tensor, processes: Processes) -> Tensor:
        ctx.processes = processes
        parts = [torch.empty_like(share, memory_format=torch.contiguous_format) for _ in range(processes.count)]
        distributed.all_gather(parts, share.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        processes: Processes = ctx.processes
        rows = len(gradient) // processes.count
        whole = processes.summed(gradient.clone(memory_format=torch.contiguous_format))
        return whole[processes.rank * rows : (processes.rank + 1) * rows], None


ALONE = Processes()


@contextmanager
def together(count: int, device: str, work: Callable[[Processes], None]) -> Iterator[Processes]:
    """Start further processes that run `work`, and lead them in the block. They end before it is left.

    Args:
        count: of processes, this one among them; 1 for none but it.
        device: cpu, or cuda for a GPU each.
        work: what the others do with their `Processes`. It is sent to them, so it is a function of a module or a
            partial of one, and takes part in every exchange that the block takes part in.

    Raises:
        BenchmarkError: one of them failed or was killed.
    """
    if count == 1:
        yield ALONE
        return
    context = multiprocessing.get_context("spawn")
    with TemporaryDirectory(prefix="css-bench-") as name:
        folder = Path(name)
        arguments = [(Processes(rank, count), device, folder, work) for rank in range(1, count)]
        others = [context.Process(target=_follow, args=each, daemon=True) for each in arguments]
        try:
            for other in others:
                other.start()
            _await(others, folder)
            with _joined(Processes(0, count), device, folder) as leader, _ended(others, folder):
                yield leader
        finally:
            for other in others:
                other.kill()
                other.join()


def _await(others: Sequence[BaseProcess], folder: Path) -> None:
    """Return when all others are about to join. Raise BenchmarkError if one has ended: nobody must wait for it."""
    while len(list(folder.glob("ready-*"))) < len(others):
        if any(other.exitcode is not None for other in others):
            raise _ended_early(others, folder)
        wait([other.sentinel for other in others], timeout=_LOOK_SECONDS)


def _ended_early(others: Sequence[BaseProcess], folder: Path) -> BenchmarkError:
    said = [path.read_text() for path in sorted(folder.glob("failed-*"))]
    codes = [f"exit code {other.exitcode}" for other in others if other.exitcode]
    return BenchmarkError(
        f"one of the {len(others) + 1} processes of this run ended early ({'; '.join(said or codes)}); run the same "
        "command again to resume"
    )


@contextmanager
def _ended(others: Sequence[BaseProcess], folder: Path) -> Iterator[None]:
    """Wait for the others after the block. If it fails, end them; raise BenchmarkError if one of them was the cause."""
    try:
        yield
    except BaseException as error:
        for other in others if isinstance(error, RuntimeError) else ():
            other.join(1.0)  # whoever loses another process notices at once, and the other ends a little later
        failed = _ended_early(others, folder) if any(other.exitcode for other in others) else None
        for other in others:
            other.kill()
        if isinstance(error, RuntimeError) and failed:
            raise failed from error
        raise
    for other in others:
        other.join(_LAST_SECONDS)


def _follow(processes: Processes, device: str, folder: Path, work: Callable[[Processes], None]) -> None:
    # What Ctrl-C and SIGTERM mean is decided by the leader, which ends this process.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        with _joined(processes, device, folder):
            work(processes)
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        (folder / f"failed-{processes.rank}").write_text(said[:500])
        sys.exit(1)


@contextmanager
def _joined(processes: Processes, device: str, folder: Path) -> Iterator[Processes]:
    """Connect the processes, on this machine alone."""
    store = distributed.FileStore(str(folder / "store"), processes.count)  # type: ignore[attr-defined]
    store.set_timeout(_START)
    if device != "cpu":
        torch.cuda.set_device(processes.rank)
    elif sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    if not processes.is_leader:
        (folder / f"ready-{processes.rank}").touch()
    backend = "gloo" if device == "cpu" else "nccl"
    distributed.init_process_group(backend, store=store, rank=processes.rank, world_size=processes.count, timeout=_WAIT)
    try:
        yield processes
    finally:
        distributed.destroy_process_group()
