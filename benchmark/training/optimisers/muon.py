"""Muon: weight matrices are updated by their orthogonalised momentum, everything else by AdamW."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.recipe.schema import TrainingRecipe
from benchmark.training.optimisers.groups import layer_weights, parameter_groups
from benchmark.training.optimisers.registry import register
from models.network import Network
from models.products import product

_FACTORS = (
    (8.3837, -24.7659, 18.3571),
    (4.0434, -3.0114, 0.5695),
    (3.5056, -2.6267, 0.5257),
    (2.4901, -1.8343, 0.4368),
)
"""The coefficients of each iteration, chosen one after the other (Amsel et al., The Polar Express, 2025): of all
a s + b s^3 + c s^5 the one that brings all s from 0.003 to 1 nearest to one, then the same for the range that is left.
Four of them bring those s to 0.80 to 1.20; five iterations with the constant 3.4445, -4.7750, 2.0315 of Muon's authors
bring them to 0.68 to 1.20."""


@register("muon")
def muon(network: Network, config: TrainingRecipe) -> torch.optim.Optimizer:
    """Muon for the linear and convolution layers of image encoder and composer, AdamW for everything else."""
    groups = parameter_groups(
        network,
        config,
        decayed=layer_weights(network),
        orthogonal=layer_weights(network.image_encoder, *network.composers, kinds=(nn.Linear, nn.Conv2d)),
        orthogonal_rate=config.muon_lr,
    )
    return Muon(groups, lr=config.learning_rate, fused=True, capturable=True)


class Muon(torch.optim.AdamW):
    """Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024.

    A group with `"orthogonal": True` holds weights of linear and convolution layers; each W, as a matrix with a row per
    output, changes by

        m = 0.95 m + 0.05 g;   W = (1 - lr decay) W - lr sqrt(max(1, rows / columns)) orthogonal(0.95 m + 0.05 g)

    Other groups are AdamW's. On CSS this takes fewer steps than AdamW alone, which matters where a step is slow.

    torch.optim.Muon is not used: it refuses convolutions, and it multiplies in bfloat16, which few CPUs know.

    Weights of one shape are updated together. Rates may be numbers or tensors, so that a step can be captured as a CUDA
    graph: no Python number changes between steps, and nothing waits for the device.
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
            alike: dict[torch.Size, list[Tensor]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    alike.setdefault(weight.shape, []).append(weight)
            for weights in alike.values():
                self._move(weights, rate=group["lr"], decay=group["weight_decay"])
        super().step()
        return loss

    def _move(self, weights: list[Tensor], *, rate: Tensor | float, decay: float) -> None:
        """Update weights of one shape."""
        gradients: list[Tensor] = []
        for weight in weights:
            state = self.state[weight]
            if not state:
                state["step"] = torch.zeros((), device=weight.device)  # AdamW expects one of every state that it loads
                state["momentum"] = torch.zeros_like(weight)
            assert weight.grad is not None
            gradients.append(weight.grad)
            weight.grad = None  # AdamW leaves alone what has no gradient
        momenta = [self.state[weight]["momentum"] for weight in weights]
        torch._foreach_add_([self.state[weight]["step"] for weight in weights], 1)
        torch._foreach_lerp_(momenta, gradients, 1 - self.MOMENTUM)
        ahead = torch._foreach_lerp(gradients, momenta, self.MOMENTUM)
        # In the order in memory of a channels_last weight. Which column comes first changes nothing in the result.
        matrices = torch.stack([each.movedim(1, -1).flatten(1) for each in ahead])
        rows, columns = matrices.shape[1:]
        directions = orthogonalised(matrices) * (-rate * max(1.0, rows / columns) ** 0.5)
        shape = weights[0].movedim(1, -1).shape
        torch._foreach_mul_(weights, 1 - rate * decay)
        torch._foreach_add_(weights, [each.view(shape).movedim(-1, 1) for each in directions])


def orthogonalised(matrices: Tensor) -> Tensor:
    """(B, M, N) -> (B, M, N), or (M, N) -> (M, N): the same singular vectors, all singular values between 0.8 and 1.2
    unless they are tiny.

    Newton-Schulz: X becomes a X + b (X X') X + c (X X')^2 X, four times. Each factor is a polynomial in X X', so all
    of them commute and are multiplied with each other first, as small square matrices; X itself is multiplied once.
    """
    if matrices.shape[-2] > matrices.shape[-1]:
        return orthogonalised(matrices.mT).mT
    with _fast_float32(matrices.device):
        x = matrices / (torch.linalg.matrix_norm(matrices, keepdim=True) + 1e-7)
        gram, powers = product(x, x.mT), None
        for iteration, (a, b, c) in enumerate(_FACTORS, start=1):
            factor = b * gram + c * product(gram, gram)
            factor.diagonal(dim1=-2, dim2=-1).add_(a)
            powers = factor if powers is None else product(factor, powers)
            if iteration < len(_FACTORS):
                gram = product(product(factor, gram), factor)
        assert powers is not None
        return product(powers, x)


@contextmanager
def _fast_float32(device: torch.device) -> Iterator[None]:
    """TF32 for matrix products on a GPU: the direction of a step needs no more digits."""
    if device.type != "cuda":
        yield
        return
    backend = torch.backends.cuda.matmul
    before = backend.fp32_precision
    backend.fp32_precision = "tf32"
    try:
        yield
    finally:
        backend.fp32_precision = before
