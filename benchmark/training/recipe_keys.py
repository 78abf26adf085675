"""Keys of a recipe that its schema is about to get; until then each has its default here."""

from benchmark.recipe.schema import ModelRecipe as ModelConfig
from benchmark.recipe.schema import TrainingRecipe as TrainingConfig


def text_encoder_name(config: ModelConfig) -> str:
    return str(getattr(config, "text_encoder", "word_lstm"))


def text_weights(config: ModelConfig) -> str:
    return str(getattr(config, "text_weights", ""))


def loss_name(config: TrainingConfig) -> str:
    return str(getattr(config, "loss", "sample_similarity"))
