"""AdamW with weight decay on the weight matrices of layers only."""

import torch

from benchmark.recipe.schema import TrainingRecipe
from benchmark.training.optimisers.groups import layer_weights, parameter_groups
from benchmark.training.optimisers.registry import register
from models.network import Network


@register("adamw")
def adamw(network: Network, config: TrainingRecipe) -> torch.optim.Optimizer:
    """AdamW. Biases, normalisation, gates, embeddings and the embeddings' scale are not decayed."""
    groups = parameter_groups(network, config, decayed=layer_weights(network))
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True, capturable=True)
