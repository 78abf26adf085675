"""Frozen image towers of open_clip: `open_clip/NAME` for the embedding, `open_clip/NAME@STRIDE` for the last map."""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from models.errors import RegistryError
from models.image_encoders.base import ImageEncoder, Normalisation, register_library
from models.open_clip_model import open_clip_model
from models.weights import reason


class OpenClipImage(nn.Module):
    """(B, 3, H, W) -> (B, C, h, w), in float32 also under autocast: the features of cached and of fresh images agree.

    Without `has_map`, the embedding that open_clip compares with texts, not normalised, as a map of one cell. With it,
    the last layer's map.
    """

    def __init__(self, visual: nn.Module, *, has_map: bool) -> None:
        super().__init__()
        self.visual: Any = visual
        self._has_map = has_map

    def extra_repr(self) -> str:
        return f"has_map={self._has_map}"

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            if not self._has_map:
                embedding: Tensor = self.visual(images.float())
                return embedding[:, :, None, None]
            found = self.visual.forward_intermediates(
                images.float(), indices=1, normalize_intermediates=True, intermediates_only=True, output_fmt="NCHW"
            )
            features: Tensor = found["image_intermediates"][0]
            return features


@register_library("open_clip")
def open_clip_image(name: str, *, pretrained: str | None, image_size: int) -> ImageEncoder:
    """Make the frozen encoder of `open_clip/NAME` or `open_clip/NAME@STRIDE`, for images of that size.

    Args:
        pretrained: a tag of open_clip's, the path of a file of the whole model, or None for a network that stored
            weights are loaded into.

    Raises:
        RegistryError: open_clip is not installed, or it has no such model, stride or image size.
        WeightsError: the weights cannot be downloaded or read, or do not fit.
    """
    model_name, at, stride = name.partition("@")
    visual: Any = open_clip_model(model_name, pretrained, image_size=image_size).visual
    found = OpenClipImage(visual, has_map=bool(at))
    try:
        with torch.no_grad():
            _, channels, side, _ = found(torch.zeros(1, 3, image_size, image_size)).shape
    except Exception as error:  # towers differ in what they can give
        raise RegistryError(
            f"open_clip/{name} gives no features of images of {image_size} px ({reason(error)})"
        ) from error
    reduction = image_size // side
    if at and stride != str(reduction):
        raise RegistryError(f"open_clip/{model_name} has no map of stride {stride}: there is @{reduction}")
    layers = OrderedDict[str, nn.Module](
        normalisation=Normalisation(visual.image_mean, visual.image_std), open_clip=found
    )
    return ImageEncoder(layers, channels=channels, reduction=reduction, is_frozen=True)
