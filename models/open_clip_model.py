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
            the path of a file (.safetensors, or what torch.save wrote) of the whole model. No code of it is run. A file
            is normalised for as the tag is in `TAG=PATH`, or as all published weights of the model are.
        image_size: the side of the images in pixels; None for the model's own. Positions in the weights are resampled.

    Raises:
        RegistryError: as `config_of`, or the model cannot be made for that size.
        WeightsError: the weights cannot be downloaded or read, or do not fit.
    """
    open_clip, config = required("open_clip", "open_clip"), config_of(name)
    source, normalisation = (None, {}) if weights is None else _source_of(open_clip, name, config, weights)
    try:
        with quietly():
            model = open_clip.create_model(
                name,
                pretrained=source,
                pretrained_text=False,
                force_preprocess_cfg=normalisation,
                force_image_size=image_size,
                force_custom_text=True,
                weights_only=True,
            )
    except Exception as error:  # a damaged file, the hub's client and towers of timm can fail in any way
        if source is None:
            size = f" for images of {image_size} px" if image_size else ""
            raise RegistryError(f"open_clip/{name} cannot be made{size} ({reason(error)})") from error
        if Path(source).is_file():
            raise WeightsError(
                f"{weights}: does not fit open_clip/{name} or is damaged ({_shortened(error)})"
            ) from error
        raise WeightsError(
            f"could not get open_clip's weights {weights} for {name} ({_shortened(error)}); download them where there "
            f"is a network, and give the file's path instead of {weights!r}"
        ) from error
    return model.eval().requires_grad_(False)


def _source_of(open_clip: Any, name: str, config: dict[str, Any], weights: str) -> tuple[str, dict[str, Any]]:
    """The file or the tag, and the mean and deviation of its images where open_clip does not know them.

    open_clip takes OpenAI's for every file, and only warns of other activations.
    """
    tags = open_clip.list_pretrained_tags_by_model(name)
    published = {tag: open_clip.get_pretrained_cfg(name, tag) for tag in tags}
    activations = bool(config.get("quick_gelu", False))
    tag, _, path = weights.partition("=")
    if Path(weights).is_file():
        if not tags:
            return weights, {}
        if len({repr(_training_of(found)) for found in published.values()}) > 1:
            example = next((tag for tag in tags if _training_of(published[tag])[-1] == activations), tags[0])
            raise WeightsError(
                f"{weights}: published weights of open_clip/{name} differ in activations or normalisation, and a file "
                f"does not say which it has; name the tag that it was trained like, as in {example}={weights}"
            )
        tag, path = tags[0], weights
    elif not Path(path).is_file():
        tag, path = weights, ""
    if tag not in published:
        missing = f"{weights}: there is no such file, and " if not path else f"{weights}: "
        raise WeightsError(missing + unknown(f"tag of {name}", tag, tags or ["none"]))
    mean, deviation, expected = _training_of(published[tag])
    if expected != activations:
        other = f"{name}-quickgelu" if expected else name.removesuffix("-quickgelu")
        raise WeightsError(f"{weights} was trained with other activations than {name} has; use open_clip/{other}")
    return (path, {"mean": mean, "std": deviation}) if path else (tag, {})


def _training_of(published: dict[str, Any]) -> tuple[Any, Any, bool]:
    """Mean and deviation of the images, and whether the activations are QuickGELU."""
    return published["mean"], published["std"], bool(published.get("quick_gelu", False))


def _shortened(error: Exception) -> str:
    """In one line: torch lists the names that do not fit on lines of their own."""
    return " ".join(str(error).split())[:200] or type(error).__name__
