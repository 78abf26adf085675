"""Layers of which each process has a part of the batch: they compute as if one process had all of it.

torch's SyncBatchNorm works on GPUs alone; this runs anywhere, so that what a GPU would do is tested on a CPU.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from benchmark.errors import UsageError
from benchmark.scoring.processes import Processes
from models.base import Composer, TextFeatures
from models.network import Network

_LAYERS: dict[type[nn.Module], Callable[..., Tensor]] = {}


def share_layers(network: Network, processes: Processes) -> None:
    """Have a network's layers compute over the batches of all processes in training. One process leaves it as it is.

    Batch norm takes the statistics of the whole batch. Dropout draws the mask of the whole batch in every process and
    uses its own rows, so that the draw of a step is that of one process. A composer's own loss is computed from the
    features of the whole batch.

    Raises:
        UsageError: a layer is of a kind that cannot be shared.
    """
    if processes.count == 1:
        return
    for name, layer in network.named_modules():
        if shared := _LAYERS.get(type(layer)):
            vars(layer)["forward"] = partial(shared, layer, processes)
        elif isinstance(layer, _BatchNorm | _DropoutNd):
            raise UsageError(
                f"--devices {processes.count}: {name} is a {type(layer).__name__}, which processes cannot share; leave "
                "--devices out"
            )
    vars(network.composer)["with_auxiliary"] = partial(_with_auxiliary, network.composer, processes)


def _with_auxiliary(
    composer: Composer, processes: Processes, image: Tensor, text: TextFeatures, target: Tensor
) -> tuple[Tensor, Tensor | None]:
    """As `Composer.with_auxiliary`; the loss is of all rows, since it may compare them with each other."""
    composed: Tensor = composer(image, text)
    everywhere = processes.gathered
    texts = TextFeatures(*map(everywhere, text))
    features = everywhere(composed), everywhere(image), texts, everywhere(target)
    with processes.whole_batch():
        return composed, composer.auxiliary(*features)


def _batch_norm(layer: _BatchNorm, processes: Processes, images: Tensor) -> Tensor:
    if not layer.training or processes.has_whole_batch:
        return type(layer).forward(layer, images)
    normalised, mean, variance = _Normalised.apply(images, layer.weight, layer.bias, layer.eps, processes)
    if layer.running_mean is not None and layer.running_var is not None and layer.num_batches_tracked is not None:
        layer.num_batches_tracked.add_(1)
        share = 1 / float(layer.num_batches_tracked) if layer.momentum is None else layer.momentum
        count = processes.count * images.numel() // images.shape[1]
        layer.running_mean.lerp_(mean, share)
        layer.running_var.lerp_(variance * (count / (count - 1)), share)
    found: Tensor = normalised
    return found


class _Normalised(torch.autograd.Function):
    """Images (n, C, ...) by the mean and the variance of all processes' images, which have equally many."""

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, processes: Processes
    ) -> tuple[Tensor, Tensor, Tensor]:
        own = torch.var_mean(_wide(images), _but_channels(images), correction=0)
        variances, means = processes.gathered(torch.stack(own)[None]).unbind(1)
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        ctx.save_for_backward(images, weight, mean, torch.rsqrt(variance + eps))
        ctx.processes = processes
        ctx.mark_non_differentiable(mean, variance)
        return functional.batch_norm(images, mean, variance, weight, bias, eps=eps), mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        images, weight, mean, inverse = ctx.saved_tensors
        processes: Processes = ctx.processes
        shape = (1, -1, *[1] * (images.ndim - 2))
        given = _wide(gradient)
        unit = (_wide(images) - mean.view(shape)) * inverse.view(shape)
        sums = torch.stack([given.sum(_but_channels(images)), (given * unit).sum(_but_channels(images))])
        of_bias, of_weight = sums.clone()
        count = processes.count * images.numel() // images.shape[1]
        constant, slope = (processes.summed(sums) / count).view(2, *shape)
        scale = (inverse if weight is None else inverse * weight).view(shape)
        of_images = ((given - constant - unit * slope) * scale).to(images.dtype)
        return of_images, None if weight is None else of_weight, None if weight is None else of_bias, None, None


def _wide(values: Tensor) -> Tensor:
    """In float32, also under autocast; float64 stays."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _but_channels(images: Tensor) -> list[int]:
    return [0, *range(2, images.ndim)]


def _dropout(layer: nn.Dropout, processes: Processes, features: Tensor) -> Tensor:
    if not layer.training or processes.has_whole_batch:
        return functional.dropout(features, layer.p, layer.training, layer.inplace)
    # In the order in memory that the whole batch would have: that is the order of the draws.
    strides = features.stride()
    order = sorted(range(features.ndim), key=lambda dim: -strides[dim])
    sizes = [features.shape[dim] * (processes.count if dim == 0 else 1) for dim in order]
    whole = features.new_ones(sizes).permute([order.index(dim) for dim in range(features.ndim)])
    mask = functional.dropout(whole, layer.p)
    rows = len(features)
    masked: Tensor = features * mask[processes.rank * rows : (processes.rank + 1) * rows]
    return masked


_LAYERS |= {nn.BatchNorm1d: _batch_norm, nn.BatchNorm2d: _batch_norm, nn.BatchNorm3d: _batch_norm, nn.Dropout: _dropout}
