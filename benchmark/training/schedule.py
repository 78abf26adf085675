"""The learning rate of each step."""

import math

from benchmark.recipe.schema import TrainingRecipe


def schedule(config: TrainingRecipe, step: int) -> float:
    """The learning rate of a step, 0 to `steps` - 1, as a share of its peak."""
    warmup = round(config.warmup * config.steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if config.schedule == "cosine":
        return (1 + math.cos(math.pi * (step - warmup) / (config.steps - warmup))) / 2
    if config.schedule == "steps":
        return config.decay ** (step // config.decay_every)
    return 1.0
