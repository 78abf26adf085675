"""Products of float32 matrices that use a CPU's widest instructions.

torch multiplies matrices on a CPU with MKL, which uses AVX-512 on Intel's processors alone. oneDNN, with which torch
convolves, uses it on AMD's as well, and takes 0.4 to 0.8 of the time there (docs/performance.md). Where oneDNN or this
way to it is missing, and on a GPU, torch's own product is used.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


def product(left: Tensor, right: Tensor) -> Tensor:
    """(..., M, K) and (..., K, N) -> (..., M, N), without a gradient; at most one dimension before the last two."""
    if not _takes(left, right):
        return left @ right
    if left.ndim == 3:
        return torch.stack([product(one, other) for one, other in zip(left, right, strict=True)])
    return _multiply(left, right.mT)


class Linear(nn.Linear):
    """nn.Linear for inputs of many rows, such as all cells of a batch of maps: the products of its forward and backward
    pass are `product`."""

    def forward(self, input: Tensor) -> Tensor:
        is_plain = _takes(input, self.weight) and not torch.is_autocast_enabled("cpu")
        if not is_plain or torch.compiler.is_compiling():
            return functional.linear(input, self.weight, self.bias)
        rows: Tensor = _Linear.apply(input.reshape(-1, self.in_features), self.weight, self.bias)
        return rows.view(*input.shape[:-1], self.out_features)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(rows, weight)
        return _multiply(rows, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        rows, weight = ctx.saved_tensors
        of_rows, of_weight, of_bias = ctx.needs_input_grad
        return (
            product(gradient, weight) if of_rows else None,
            product(gradient.mT, rows) if of_weight else None,
            gradient.sum(0) if of_bias else None,
        )


def _takes(*tensors: Tensor) -> bool:
    has_onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not has_onednn or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    return all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 and tensor.numel() for tensor in tensors)


def _multiply(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(R, K), (N, K) and (N,) -> (R, N)."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
    return found
