"""Muon: weight matrices are updated by their orthogonalised momentum, everything else by AdamW."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.recipe.schema import TrainingRecipe
from benchmark.training.optimisers.groups import layer_weights, parameter_groups
from benchmark.training.optimisers.registry import register
from models.network import Network

ITERATIONS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315
"""The quintic that its authors found to bring singular values to about one in five iterations."""


@register("muon")
def muon(network: Network, config: TrainingRecipe) -> torch.optim.Optimizer:
    """Muon for the linear and convolution layers of image encoder and composer, AdamW for everything else."""
    groups = parameter_groups(
        network,
        config,
        decayed=layer_weights(network),
        orthogonal=layer_weights(network.image_encoder, network.composer, kinds=(nn.Linear, nn.Conv2d)),
        orthogonal_rate=config.muon_lr,
    )
    return Muon(groups, lr=config.learning_rate, fused=True)


class Muon(torch.optim.AdamW):
    """Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024.

    A group with `"orthogonal": True` holds weights of linear and convolution layers; each W, as a matrix with a row per
    output, changes by

        m = 0.95 m + 0.05 g;   W = (1 - lr decay) W - lr sqrt(max(1, rows / columns)) orthogonal(0.95 m + 0.05 g)

    Other groups are AdamW's. On CSS this takes fewer steps than AdamW alone, which matters where a step is slow.

    torch.optim.Muon is not used: it refuses convolutions, and it multiplies in bfloat16, which few CPUs know.
    """

    MOMENTUM = 0.95

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; `closure`, if there is one, computes the gradients first, and its result is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if not group.get("orthogonal"):
                continue
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, rate=group["lr"], decay=group["weight_decay"])
                    weight.grad = None  # AdamW leaves alone what has no gradient
        super().step()
        return loss

    def _move(self, weight: Tensor, gradient: Tensor, *, rate: float, decay: float) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros(())  # AdamW expects one of every state that it loads
            state["momentum"] = torch.zeros_like(weight)
        state["step"] += 1
        momentum: Tensor = state["momentum"].lerp_(gradient, 1 - self.MOMENTUM)
        direction = orthogonalised(gradient.lerp(momentum, self.MOMENTUM).flatten(1))
        rows, columns = direction.shape
        weight.mul_(1 - rate * decay)
        weight.add_(direction.view(weight.shape), alpha=-rate * max(1.0, rows / columns) ** 0.5)


def orthogonalised(matrix: Tensor) -> Tensor:
    """(M, N) -> (M, N): the same singular vectors, all singular values between 0.6 and 1.3 unless they are tiny.

    Newton-Schulz: X becomes a X + b (X X') X + c (X X')^2 X, five times. Each factor is a polynomial in X X', so all of
    them commute and are multiplied with each other first, as small square matrices; X itself is multiplied once.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalised(matrix.T).T
    x: Tensor = matrix / (torch.linalg.matrix_norm(matrix) + 1e-7)
    gram = x @ x.T
    product: Tensor | None = None
    for iteration in range(ITERATIONS):
        factor = _B * gram + _C * (gram @ gram)
        factor.diagonal().add_(_A)
        product = factor if product is None else factor @ product
        if iteration < ITERATIONS - 1:
            gram = factor @ gram @ factor
    assert product is not None
    return product @ x
