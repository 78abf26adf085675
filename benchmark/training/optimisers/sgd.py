"""Stochastic gradient descent with momentum: the paper's optimiser."""

import torch

from benchmark.recipe.schema import TrainingRecipe
from benchmark.training.optimisers.groups import parameter_groups
from benchmark.training.optimisers.registry import register
from models.network import Network


@register("sgd")
def sgd(network: Network, config: TrainingRecipe) -> torch.optim.Optimizer:
    """SGD with momentum. As in google/tirg, every parameter is decayed."""
    every = frozenset(id(parameter) for parameter in network.parameters())
    groups = parameter_groups(network, config, decayed=every)
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, fused=True)
