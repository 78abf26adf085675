"""open_clip's models by name, with the weights of a file, of a tag, or random ones."""

from pathlib import Path
from typing import Any

from models.errors import RegistryError, WeightsError
from models.parts import required, unknown
from models.weights import quietly, reason


def config_of(name: str) -> dict[str, Any]:
    """open_clip's description of a model.

    Raises:
        RegistryError: open_clip is not installed or has no model of that name, or it is not an image tower beside a
            text tower.
    """
    open_clip = required("open_clip", "open_clip")
    if name not in open_clip.list_models():
        raise RegistryError(unknown("model of open_clip", name, open_clip.list_models()))
    found: dict[str, Any] = open_clip.get_model_config(name)
    if "multimodal_cfg" in found or "hf_model_name" in found["text_cfg"]:
        raise RegistryError(
            f"open_clip/{name} cannot be used: it needs weights of Hugging Face's transformers, or decodes texts; "
            "choose another model, such as open_clip/ViT-B-32"
        )
    return found


def open_clip_model(name: str, weights: str | None, *, image_size: int | None = None) -> Any:
    """Make a whole model (a module with `.visual` and `.text`) in float32, in eval mode, without gradients.

    Args:
        weights: None for random ones, from torch's current random state; a tag of open_clip's, which is downloaded; or
            the path of a file (.safetensors, or what torch.save wrote) of the whole model. No code of it is run.
        image_size: the side of the images in pixels; None for the model's own. Positions in the weights are resampled.

    Raises:
        RegistryError: as `config_of`, or the model cannot be made for that size.
        WeightsError: the weights cannot be downloaded or read, or do not fit.
    """
    open_clip, config = required("open_clip", "open_clip"), config_of(name)
    if weights is not None:
        _require_weights(open_clip, name, config, weights)
    try:
        with quietly():
            model = open_clip.create_model(
                name,
                pretrained=weights,
                pretrained_text=False,
                force_image_size=image_size,
                force_custom_text=True,
                weights_only=True,
            )
    except Exception as error:  # a damaged file, the hub's client and towers of timm can fail in any way
        if weights is None:
            size = f" for images of {image_size} px" if image_size else ""
            raise RegistryError(f"open_clip/{name} cannot be made{size} ({reason(error)})") from error
        if Path(weights).is_file():
            raise WeightsError(
                f"{weights}: does not fit open_clip/{name} or is damaged ({_shortened(error)})"
            ) from error
        raise WeightsError(
            f"could not get open_clip's weights {weights} for {name} ({_shortened(error)}); download them where there "
            f"is a network, and give the file's path instead of {weights!r}"
        ) from error
    return model.eval().requires_grad_(False)


def _require_weights(open_clip: Any, name: str, config: dict[str, Any], weights: str) -> None:
    """Check that weights are a file, or a tag whose model has the same activations: open_clip itself only warns."""
    if Path(weights).is_file():
        return
    tags = open_clip.list_pretrained_tags_by_model(name)
    if weights not in tags:
        raise WeightsError(
            f"{weights}: there is no such file, and {unknown(f'tag of {name}', weights, tags or ['none'])}"
        )
    expected = bool(open_clip.get_pretrained_cfg(name, weights).get("quick_gelu", False))
    if expected != bool(config.get("quick_gelu", False)):
        other = f"{name}-quickgelu" if expected else name.removesuffix("-quickgelu")
        raise WeightsError(f"{weights} was trained with other activations than {name} has; use open_clip/{other}")


def _shortened(error: Exception) -> str:
    """In one line: torch lists the names that do not fit on lines of their own."""
    return " ".join(str(error).split())[:200] or type(error).__name__
