"""Keys of a recipe that its schema is about to get; until then each has its default here."""

from benchmark.recipe.config import ModelConfig, TrainingConfig


def text_encoder_name(config: ModelConfig) -> str:
    return str(getattr(config, "text_encoder", "word_lstm"))


def text_weights(config: ModelConfig) -> str:
    return str(getattr(config, "text_weights", ""))


def loss_name(config: TrainingConfig) -> str:
    return str(getattr(config, "loss", "sample_similarity"))


def muon_lr(config: TrainingConfig) -> float:
    return float(getattr(config, "muon_lr", 0.0) or config.matrix_rate)
