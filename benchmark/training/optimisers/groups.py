"""Parameter groups of an optimiser: learning rate, weight decay, and whether Muon updates them."""

from collections.abc import Set
from typing import Any

from torch import nn

from benchmark.recipe.schema import TrainingRecipe
from models.network import Network

MULTIPLYING_LAYERS: tuple[type[nn.Module], ...] = (
    nn.Linear,
    nn.Bilinear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.RNNBase,
    nn.MultiheadAttention,
)
"""Layers that multiply their input by weight matrices. Embeddings are tables; gates and normalisation scale."""


def layer_weights(*modules: nn.Module, kinds: tuple[type[nn.Module], ...] = MULTIPLYING_LAYERS) -> frozenset[int]:
    """The ids of the weight matrices of layers of these kinds; biases are left out."""
    layers = (layer for module in modules for layer in module.modules() if isinstance(layer, kinds))
    return frozenset(
        id(parameter) for layer in layers for parameter in layer.parameters(recurse=False) if parameter.ndim > 1
    )


def parameter_groups(
    network: Network,
    config: TrainingRecipe,
    *,
    decayed: Set[int],
    orthogonal: Set[int] = frozenset(),
    orthogonal_rate: float = 0.0,
) -> list[dict[str, Any]]:
    """Groups of all trained parameters of a network, each parameter in one.

    A group has its parameters as "params"; "factor", which times the scheduled learning rate is its own: the recipe's
    `encoder_factor` for the image encoder, `scale_factor` for the embeddings' scale; "weight_decay"; and "orthogonal".

    Args:
        decayed: ids of the parameters that the recipe's weight decay is for.
        orthogonal: ids of the parameters whose learning rate is `orthogonal_rate` at its peak.
    """
    encoder = {id(parameter) for parameter in network.image_encoder.parameters()}
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if not parameter.requires_grad:
            continue
        factor = config.encoder_factor if id(parameter) in encoder else 1.0
        if id(parameter) in orthogonal:
            factor *= orthogonal_rate / config.learning_rate
        elif parameter is network.scale:
            factor = config.scale_factor
        decay = config.weight_decay if id(parameter) in decayed else 0.0
        groups.setdefault((factor, decay, id(parameter) in orthogonal), []).append(parameter)
    return [
        {"params": parameters, "factor": factor, "weight_decay": decay, "orthogonal": is_orthogonal}
        for (factor, decay, is_orthogonal), parameters in groups.items()
    ]
