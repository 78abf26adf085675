"""Losses by name."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from benchmark.recipe.schema import TrainingRecipe
from models.parts import Parts


class Loss(Protocol):
    """The loss of one batch, a pure function.

    Args:
        query: embeddings (B, D) of the composed queries, of length `scale`.
        target: embeddings (B, D) of their targets, of length `scale`; row i belongs to query i. With `training.memory`
            targets of earlier steps follow, (B + R, D), without gradient.
        positive_mask: bool (B, targets), true where target j answers query i, too, and must not count as its negative.
        generator: for everything that the loss draws, on the embeddings' device; None for torch's default one there.
        config: the recipe's part on training.

    Returns:
        A scalar, float32.
    """

    def __call__(
        self,
        query: Tensor,
        target: Tensor,
        *,
        positive_mask: Tensor,
        generator: torch.Generator | None = None,
        config: TrainingRecipe,
    ) -> Tensor: ...


_losses: Parts[Loss] = Parts("loss")


def register(name: str) -> Callable[[Loss], Loss]:
    """Decorator: make a loss available as `training.loss=NAME`. Raises RegistryError if the name is taken."""
    return _losses.register(name)


def names() -> tuple[str, ...]:
    """The names of all losses, sorted."""
    return _losses.names()


def get(name: str) -> Loss:
    """The loss of that name. Raises RegistryError, offering the nearest name, if there is none."""
    return _losses.get(name)


def batch_loss(
    query: Tensor,
    target: Tensor,
    *,
    positive_mask: Tensor,
    config: TrainingRecipe,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The recipe's loss of one batch; arguments as in `Loss`."""
    loss = get(config.loss)
    return loss(query, target, positive_mask=positive_mask, generator=generator, config=config)
