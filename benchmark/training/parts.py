"""Check a recipe's parts by name, before any data is read."""

from collections.abc import Callable

from benchmark.errors import BenchmarkError, UsageError
from benchmark.recipe.schema import Recipe
from benchmark.recipe.weights_file import path_of, require_same_files
from benchmark.training import losses, optimisers
from benchmark.training.model import text_settings
from models import text_encoders
from models.errors import ModelError, RegistryError, WeightsError
from models.image_encoders import image_encoder


def require_parts(config: Recipe) -> None:
    """Check that a recipe's encoders, loss and optimiser exist, and that the encoders' weights can be read.

    Raises:
        UsageError: there is no part of that name; the message offers the nearest.
        BenchmarkError: weights cannot be downloaded or read, do not fit, or are not those of the recipe.
    """
    model, training = config.model, config.training
    checks: dict[str, Callable[[], object]] = {
        "training.loss": lambda: losses.get(training.loss),
        "training.optimiser": lambda: optimisers.get(training.optimiser),
        "model.text_encoder": lambda: text_encoders.get(model.text_encoder).require(text_settings(model)),
        "model.image_encoder": lambda: _require_image_encoder(config),
    }
    for key, check in checks.items():
        try:
            check()
        except RegistryError as error:
            raise UsageError(f"{key}: {error}") from None
        except ModelError as error:
            raise BenchmarkError(str(error)) from None
    require_same_files(config)


def _require_image_encoder(config: Recipe) -> None:
    model = config.model
    weights = path_of(model.pretrained)
    encoder = image_encoder(model.image_encoder, pretrained=weights or None, image_size=config.data.image_size)
    if encoder.is_frozen and not weights:
        raise WeightsError(
            f"{model.image_encoder} is not trained, so it needs weights: add --pretrained with the path of a file or "
            "the name of published weights"
        )
