"""Build a recipe's network: new for training, or empty for stored weights."""

from collections.abc import Callable, Sequence

import torch

from benchmark.datasets.exchanged_channels import exchanged_texts
from benchmark.errors import BenchmarkError
from benchmark.recipe.schema import ModelRecipe, TrainingRecipe
from benchmark.recipe.weights_file import path_of
from benchmark.training.randomness import initial_seed
from models import text_encoders
from models.errors import ModelError
from models.image_encoders.base import DEFAULT_IMAGE_SIZE
from models.network import PARTS, MakeComposer, Network, build_network
from models.text_encoders import TextSettings
from models.text_encoders.base import TokenizerState


def new_network(
    composer: str | MakeComposer,
    config: ModelRecipe,
    texts: Sequence[str],
    *,
    spatial: bool,
    seed: int,
    image_size: int = DEFAULT_IMAGE_SIZE,
) -> Network:
    """A network whose weights depend on the seed alone; torch's own random state stays as it is.

    Each part draws from a stream of its own (`initial_seed`), so that encoders and head start alike whatever the
    composer, and a composer starts alike wherever it is made.

    Args:
        composer: a name, or a function that makes one.
        texts: those of the training split.
        image_size: in pixels; an image encoder of a library may be made for it.

    Raises:
        BenchmarkError: a name is unknown, weights cannot be read or do not fit, or a text cannot be read.
    """
    tokenizer = tokenizer_of(config, texts)
    with torch.random.fork_rng(devices=[]):
        return _built(
            composer,
            config,
            tokenizer,
            spatial=spatial,
            image_size=image_size,
            before=lambda part: torch.manual_seed(initial_seed(seed, PARTS.index(part))),
        )


def composer_seed(seed: int, earlier: int = 0) -> int:
    """The seed of a composer's initial weights in a run of that seed.

    Args:
        earlier: how many depths before the encoder's last one it composes.
    """
    part = PARTS.index("head") + earlier if earlier else PARTS.index("composer")
    return initial_seed(seed, part)


def empty_network(
    composer: str | MakeComposer,
    config: ModelRecipe,
    tokenizer: TokenizerState,
    *,
    spatial: bool,
    image_size: int = DEFAULT_IMAGE_SIZE,
) -> Network:
    """A network for stored weights to be loaded into. No file but the checkpoint is needed for it.

    Raises:
        BenchmarkError: a name is unknown here, or the tokenizer's state is invalid.
    """
    without_files = config.model_copy(update={"pretrained": "", "text_weights": ""})
    return _built(composer, without_files, tokenizer, spatial=spatial, image_size=image_size)


def tokenizer_of(config: ModelRecipe, texts: Sequence[str]) -> TokenizerState:
    """The tokenizer's state for these training texts.

    Raises:
        BenchmarkError: the text encoder is unknown, or it cannot read a text or its file.
    """
    try:
        return text_encoders.get(config.text_encoder).tokenizer_of(texts, text_settings(config))
    except ModelError as error:
        raise BenchmarkError(str(error)) from None


def texts_to_read(texts: Sequence[str], training: TrainingRecipe) -> Sequence[str]:
    """The training texts and, if channels are exchanged, those with other names of colours: what a tokenizer is made
    from. Mirrored texts have the same words."""
    return exchanged_texts(texts) if training.exchange_channels else texts


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


def _built(
    composer: str | MakeComposer,
    config: ModelRecipe,
    tokenizer: TokenizerState,
    *,
    spatial: bool,
    image_size: int,
    before: Callable[[str], object] = lambda part: None,  # noqa: ARG005
) -> Network:
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
            image_size=image_size,
            before=before,
        )
    except ModelError as error:
        raise BenchmarkError(str(error)) from None
