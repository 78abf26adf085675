"""torchvision's ResNets without their classifier."""

import contextlib
import pickle
import sys
from collections import OrderedDict
from functools import partial
from pathlib import Path
from urllib.parse import urlparse

import torch
from torchvision.models import get_model, get_weight

from models.errors import WeightsError
from models.image_encoders.base import ImageEncoder, register
from models.weights import Weights, reason


def _downloaded(name: str, version: str) -> Weights:
    """torchvision's weights of that version for the network of that name, from torch's cache or the network."""
    weights = get_weight(version)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    was_there = cached.is_file()
    try:
        # torch announces the download on standard output, which belongs to the results of a command
        with contextlib.redirect_stdout(sys.stderr):
            tensors = dict(weights.get_state_dict(progress=False, check_hash=True, weights_only=True))
    except Exception as error:  # a damaged file makes torch's unpickler fail in any way
        if was_there and not isinstance(error, OSError | MemoryError):
            raise WeightsError(
                f"{cached} is damaged ({type(error).__name__}); delete this file: it is then downloaded again"
            ) from error
        if not isinstance(error, OSError | RuntimeError | EOFError | pickle.UnpicklingError):
            raise
        raise WeightsError(
            f"could not get torchvision's weights for {name} from {weights.url} ({reason(error)}); "
            "download that file where there is a network, and give its path instead of 'torchvision'"
        ) from error
    return Weights(str(cached), tensors)


@register("resnet18", published={"torchvision": partial(_downloaded, "resnet18", "ResNet18_Weights.IMAGENET1K_V1")})
def resnet18() -> ImageEncoder:
    """512 channels, 1/32 of the image's side. Depths: 1/8, 1/16 and 1/32."""
    return _without_classifier("resnet18")


@register("resnet50", published={"torchvision": partial(_downloaded, "resnet50", "ResNet50_Weights.IMAGENET1K_V1")})
def resnet50() -> ImageEncoder:
    """2,048 channels, 1/32 of the image's side."""
    return _without_classifier("resnet50")


def _without_classifier(name: str) -> ImageEncoder:
    network = get_model(name, weights=None)
    layers = OrderedDict((child, layer) for child, layer in network.named_children() if child not in ("avgpool", "fc"))
    channels = network.fc.in_features
    depths = {"layer2": channels // 4, "layer3": channels // 2, "layer4": channels}
    return ImageEncoder(layers, channels=channels, reduction=32, depths=depths)
