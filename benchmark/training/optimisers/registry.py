"""Optimisers by name."""

from collections.abc import Callable

import torch

from benchmark.recipe.schema import TrainingRecipe
from models.network import Network
from models.parts import Parts

Maker = Callable[[Network, TrainingRecipe], torch.optim.Optimizer]
"""Makes an optimiser for all trained parameters of a network, in groups as `groups.parameter_groups` gives them."""

_optimisers: Parts[Maker] = Parts("optimiser")


def register(name: str) -> Callable[[Maker], Maker]:
    """Decorator: make an optimiser available as `training.optimiser=NAME`. Raises RegistryError if that is taken."""
    return _optimisers.register(name)


def names() -> tuple[str, ...]:
    """The names of all optimisers, sorted."""
    return _optimisers.names()


def get(name: str) -> Maker:
    """The maker of that name. Raises RegistryError, offering the nearest name, if there is none."""
    return _optimisers.get(name)


def make_optimiser(network: Network, config: TrainingRecipe) -> torch.optim.Optimizer:
    """The recipe's optimiser. Each group's learning rate is the scheduled one times its "factor"."""
    return get(config.optimiser)(network, config)
