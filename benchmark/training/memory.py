"""Targets of earlier steps as further negatives: Wang et al., Cross-Batch Memory for Embedding Learning, CVPR 2020.

They cost no image to encode. Their embeddings are those of the step that they were targets in, and get no gradient.
"""

import torch
from torch import Tensor
from torch.nn import functional

EMPTY = -1
"""The label of a row that holds no target yet."""


class TargetMemory:
    """The targets of the last `rows` queries that were added, in tensors that keep their place.

    Args:
        rows: how many targets to keep; 0 for none.
        width: of the embeddings.
        device: where they are kept.

    Attributes:
        is_used: bool, a scalar on the device. Where it is false, `joined` marks the kept targets as empty.
    """

    def __init__(self, rows: int, width: int, device: torch.device) -> None:
        self._embeddings = torch.zeros(rows, width, device=device)
        self._labels = torch.full((rows,), EMPTY, device=device)
        self.is_used = torch.ones((), dtype=torch.bool, device=device)

    @torch.no_grad()
    def add(self, target: Tensor, labels: Tensor, *, unless: Tensor | None = None) -> None:
        """Keep targets (B, D) of any norm and their labels (B,); the oldest make room.

        Args:
            unless: bool, a scalar on the device: where it is true, the memory stays as it is.
        """
        if not (kept := len(self._labels)):
            return
        embeddings = torch.cat([functional.normalize(target.float()), self._embeddings])[:kept]
        rows = torch.cat([labels, self._labels])[:kept]
        if unless is not None:
            embeddings, rows = self._embeddings.where(unless, embeddings), self._labels.where(unless, rows)
        self._embeddings.copy_(embeddings)
        self._labels.copy_(rows)

    def joined(
        self, target: Tensor, labels: Tensor, scale: Tensor, *, unless: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The targets (B, D) of length `scale` and their labels (B,), each followed by those that are kept.

        Args:
            unless: bool, a scalar on the device: where it is true, the kept targets are also marked as empty.
        """
        if not len(self._labels):
            return target, labels
        kept = self._labels.where(self.is_used if unless is None else self.is_used & ~unless, EMPTY)
        return torch.cat([target, self._embeddings * scale]), torch.cat([labels, kept])

    def tensors(self) -> dict[str, Tensor]:
        """All of the state, by name: empty without rows. The tensors are the memory's own."""
        kept = {"memory.embeddings": self._embeddings, "memory.labels": self._labels}
        return kept if len(self._labels) else {}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Continue from what `tensors` of a memory of the same size returned, among others."""
        for name, mine in self.tensors().items():
            mine.copy_(tensors[name])
