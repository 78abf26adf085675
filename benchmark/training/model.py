"""Build a recipe's network: new for training, or empty for stored weights."""

from collections.abc import Sequence

import torch

from benchmark.errors import BenchmarkError
from benchmark.recipe.schema import ModelRecipe
from benchmark.recipe.weights_file import path_of
from models import text_encoders
from models.errors import ModelError
from models.network import Network, build_network
from models.text_encoders import TextSettings
from models.text_encoders.base import TokenizerState


def new_network(composer: str, config: ModelRecipe, texts: Sequence[str], *, spatial: bool, seed: int) -> Network:
    """A network whose weights depend on the seed alone; torch's own random state stays as it is.

    Args:
        texts: those of the training split.

    Raises:
        BenchmarkError: a name is unknown, weights cannot be read or do not fit, or a text cannot be read.
    """
    tokenizer = tokenizer_of(config, texts)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _built(composer, config, tokenizer, spatial=spatial)


def empty_network(composer: str, config: ModelRecipe, tokenizer: TokenizerState, *, spatial: bool) -> Network:
    """A network for stored weights to be loaded into. No file but the checkpoint is needed for it.

    Raises:
        BenchmarkError: a name is unknown here, or the tokenizer's state is invalid.
    """
    without_files = config.model_copy(update={"pretrained": "", "text_weights": ""})
    return _built(composer, without_files, tokenizer, spatial=spatial)


def tokenizer_of(config: ModelRecipe, texts: Sequence[str]) -> TokenizerState:
    """The tokenizer's state for these training texts.

    Raises:
        BenchmarkError: the text encoder is unknown, or it cannot read a text or its file.
    """
    try:
        return text_encoders.get(config.text_encoder).tokenizer_of(texts, text_settings(config))
    except ModelError as error:
        raise BenchmarkError(str(error)) from None


def require_texts(network: Network, texts: Sequence[str]) -> None:
    """Check, before any training, that the network can read the texts of a split that is scored later.

    Raises:
        BenchmarkError: it cannot read one of them.
    """
    try:
        network.text_encoder.tokenize(texts)
    except ModelError as error:
        raise BenchmarkError(str(error)) from None


def text_settings(config: ModelRecipe) -> TextSettings:
    """The recipe's settings for its text encoder."""
    return TextSettings(
        text_width=config.text_width,
        state_width=config.state_width,
        dropout=config.dropout,
        weights=path_of(config.text_weights),
    )


def _built(composer: str, config: ModelRecipe, tokenizer: TokenizerState, *, spatial: bool) -> Network:
    try:
        return build_network(
            composer,
            spatial=spatial,
            image_encoder_name=config.image_encoder,
            pretrained=path_of(config.pretrained),
            text_encoder_name=config.text_encoder,
            tokenizer=tokenizer,
            text=text_settings(config),
            embedding_width=config.embedding_width,
        )
    except ModelError as error:
        raise BenchmarkError(str(error)) from None
