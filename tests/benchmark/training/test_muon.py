"""The arithmetic of Muon against singular value decompositions and the update written out."""

import copy

import pytest
import torch
from torch import nn

from benchmark.training.optimisers.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (5, 5), (12, 30), (30, 12), (64, 576)])
def test_singular_vectors_stay_and_singular_values_come_near_one(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(sum(shape))
    matrix = torch.randn(shape, generator=generator)
    u, values, v = torch.linalg.svd(matrix, full_matrices=False)
    inner = u.T @ orthogonalised(matrix) @ v.T
    moved = inner.diagonal()
    # Newton-Schulz started from the norm cannot lift what is tiny beside it
    lifted = moved[values / values.square().sum().sqrt() > 0.01]
    assert len(lifted) > 0
    assert lifted.min() > 0.6
    assert lifted.max() < 1.3
    torch.testing.assert_close(inner, torch.diag(moved), atol=2e-3, rtol=0)


@pytest.mark.parametrize("scale", [1e-3, 1e6])
def test_the_length_of_a_gradient_does_not_matter(scale: float) -> None:
    matrix = torch.randn(6, 10, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(orthogonalised(matrix * scale), orthogonalised(matrix), atol=2e-3, rtol=0)


def test_a_rank_of_one_and_nothing_at_all_stay_finite() -> None:
    one = torch.outer(torch.arange(1.0, 5), torch.arange(1.0, 9))
    u, _, v = torch.linalg.svd(one, full_matrices=False)
    found = orthogonalised(one)
    assert 0.6 < float(u[:, 0] @ found @ v[0]) < 1.3
    torch.testing.assert_close(orthogonalised(torch.zeros(3, 4)), torch.zeros(3, 4))


def test_steps_are_the_written_rule_for_matrices_and_adamw_for_the_rest() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 40, 3)
    other = copy.deepcopy(layer)
    weight = layer.weight.detach().clone()
    ours = Muon(
        [
            {"params": [layer.weight], "orthogonal": True, "lr": 0.1, "weight_decay": 0.2},
            {"params": [layer.bias], "orthogonal": False},
        ],
        lr=0.01,
        weight_decay=0.0,
        fused=True,
    )
    adamw = torch.optim.AdamW([other.bias], lr=0.01, weight_decay=0.0)
    momentum = torch.zeros_like(weight)
    for step in range(3):
        gradient = torch.randn(weight.shape, generator=torch.Generator().manual_seed(step))
        layer.weight.grad = gradient.clone()
        layer.bias.grad = torch.ones(40) * step
        other.bias.grad = torch.ones(40) * step
        ours.step()
        adamw.step()
        momentum = 0.95 * momentum + 0.05 * gradient
        direction = orthogonalised((0.95 * momentum + 0.05 * gradient).reshape(40, 27)).reshape(weight.shape)
        weight = weight * (1 - 0.1 * 0.2) - 0.1 * (40 / 27) ** 0.5 * direction
    torch.testing.assert_close(layer.weight.detach(), weight, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(layer.bias, other.bias)


def test_a_layer_without_a_gradient_stays() -> None:
    layer = nn.Linear(3, 4)
    before = layer.weight.detach().clone()
    Muon([{"params": [layer.weight], "orthogonal": True}], lr=0.1, fused=True).step()
    torch.testing.assert_close(layer.weight.detach(), before)


@pytest.mark.parametrize("shape", [(8, 24), (24, 8), (16, 16), (8, 4, 3, 3), (40, 3, 3, 3)])
def test_weights_of_one_shape_move_together_as_each_would_alone(shape: tuple[int, ...]) -> None:
    """And as matrices in the order of `flatten`, whatever the layout in memory."""
    generator = torch.Generator().manual_seed(len(shape))
    starts, gradients = torch.randn(2, 3, *shape, generator=generator)
    weights = [nn.Parameter(start.clone()) for start in starts]
    if len(shape) == 4:
        weights[1].data = weights[1].data.to(memory_format=torch.channels_last)
    rate = torch.tensor(0.1)
    ours = Muon([{"params": weights, "orthogonal": True, "lr": rate, "weight_decay": 0.2}], fused=True)
    for _ in range(2):
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient.clone()
        ours.step()
    for weight, start, gradient in zip(weights, starts, gradients, strict=True):
        expected, momentum = start.flatten(1), torch.zeros_like(gradient)
        for _ in range(2):
            momentum = 0.95 * momentum + 0.05 * gradient
            direction = orthogonalised((0.95 * momentum + 0.05 * gradient).flatten(1))
            rows, columns = direction.shape
            expected = 0.98 * expected - 0.1 * max(1.0, rows / columns) ** 0.5 * direction
        assert (weight.detach().flatten(1) - expected).norm() < 1e-3 * expected.norm()
