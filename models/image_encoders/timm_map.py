"""Feature maps of timm's networks: `timm/NAME` for the deepest, `timm/NAME@STRIDE` for the deepest of that stride."""

import re
import sys
from collections import OrderedDict
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from models.base import IMAGE_DEVIATION, IMAGE_MEAN
from models.errors import RegistryError, WeightsError
from models.image_encoders.base import ImageEncoder, Normalisation, register_library
from models.parts import required, unknown
from models.weights import Weights, load, quietly, read_file, reason

_DOWNLOAD = "timm"
"""The word of `pretrained` that asks for the weights that timm names for a network."""


class _Asked(NamedTuple):
    """A network of timm, the stride of the map (None for the deepest map), and the side of the images in pixels."""

    name: str
    stride: int | None
    image_size: int

    def __str__(self) -> str:
        return f"timm/{self.name}"


class TimmMap(nn.Module):
    """(B, 3, H, W) -> one map (B, C, h, w) of a timm network, which may hold it as (B, h, w, C)."""

    def __init__(self, network: nn.Module, *, channels_last: bool) -> None:
        super().__init__()
        self.network = network
        self._channels_last = channels_last

    def forward(self, images: Tensor) -> Tensor:
        (features,) = self.network(images)
        taken: Tensor = features.permute(0, 3, 1, 2) if self._channels_last else features
        return taken


@register_library("timm")
def timm_map(name: str, *, pretrained: str | None, image_size: int) -> ImageEncoder:
    """Make the encoder of `timm/NAME` or `timm/NAME@STRIDE`; other arguments as those of `image_encoder`.

    Networks with a fixed input size (ViT, Swin) are made for `image_size`, and positions in a weights file are
    resampled to it. Layers behind the map are left out where timm can leave them out, and not trained where it cannot.

    Raises:
        RegistryError: timm is not installed, or it has no such network, stride or image size.
        WeightsError: the weights cannot be downloaded or read, or do not fit.
    """
    timm = required("timm", "timm")
    asked = _parsed(timm, name, image_size)
    index, channels, stride = _place_of(timm, asked)
    trained = None if pretrained is None else _trained(timm, asked, pretrained)
    network = _made(timm, asked, trained, features_only=True, out_indices=(index,))
    found = TimmMap(network, channels_last=str(getattr(network, "output_fmt", "")).endswith("NHWC"))
    _probe(found, asked, channels, stride)
    layers = OrderedDict[str, nn.Module](timm=found)
    config = timm.get_pretrained_cfg(asked.name)
    if (tuple(config.mean), tuple(config.std)) != (IMAGE_MEAN, IMAGE_DEVIATION):
        layers = OrderedDict(normalisation=Normalisation(config.mean, config.std), **layers)
    return ImageEncoder(layers, channels=channels, reduction=stride)


def _parsed(timm: ModuleType, name: str, image_size: int) -> _Asked:
    """Split NAME@STRIDE. Raises RegistryError if timm has no such network."""
    network, at, stride = name.partition("@")
    if at and not re.fullmatch(r"[1-9]\d{0,3}", stride):
        raise RegistryError(f"timm/{name}: the stride is {stride!r}, expected a number, as in timm/resnet18@16")
    bare, dot, tag = network.partition(".")
    if not timm.is_model(bare):
        raise RegistryError(unknown("network of timm", network, timm.list_models()))
    tags = [each.partition(".")[2] for each in timm.list_pretrained(f"{bare}.*")]
    if dot and tag not in tags:
        raise RegistryError(unknown(f"weights of timm/{bare}", tag, tags or ["none"]))
    return _Asked(network, int(stride) if at else None, image_size)


def _place_of(timm: ModuleType, asked: _Asked) -> tuple[int, int, int]:
    """The index, channels and stride of the map that is asked for; of several with one stride, the deepest.

    The network is asked for all of its maps in order: with other `out_indices` timm returns the maps in the network's
    order and describes them in the order that was asked for.
    """
    with torch.random.fork_rng(devices=[]):
        info = _made(timm, asked, None, features_only=True).feature_info
    maps = list(zip(info.out_indices, info.channels(), info.reduction(), strict=True))
    fitting = [found for found in maps if asked.stride in (None, found[2])]
    if not fitting:
        strides = sorted({stride for _, _, stride in maps})
        raise RegistryError(
            f"{asked} has no map of stride {asked.stride}: there {'is' if len(strides) == 1 else 'are'} "
            f"{', '.join(f'@{stride}' for stride in strides)}"
        )
    index, channels, stride = max(fitting, key=lambda found: int(found[0]))
    return int(index), int(channels), int(stride)


def _made(timm: ModuleType, asked: _Asked, weights: dict[str, Tensor] | None, **options: Any) -> Any:
    """timm's network, of these weights if there are any. They have to fit: timm itself leaves out what does not."""
    if timm.get_pretrained_cfg(asked.name).fixed_input_size:
        options["img_size"] = asked.image_size
    if weights is not None:
        options |= {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": weights}}
    try:
        with quietly():
            network = timm.create_model(asked.name, **options)
    except Exception as error:  # a network may refuse features, or a size, in any way
        raise RegistryError(f"{asked} cannot be made for images of {asked.image_size} px ({reason(error)})") from error
    network.pretrained_cfg = network.default_cfg = {}  # they would keep a copy of the weights
    return network


def _trained(timm: ModuleType, asked: _Asked, pretrained: str) -> dict[str, Tensor]:
    """The state dict of the whole network without its classifier, from a file or from the hub."""
    with torch.random.fork_rng(devices=[]):
        if pretrained == _DOWNLOAD:
            return _downloaded(timm, asked)
        weights = read_file(pretrained, f"{asked}, or give {_DOWNLOAD!r} to download timm's own")
        whole = _made(timm, asked, None, num_classes=0)
    config = timm.get_pretrained_cfg(asked.name)
    classifiers = config.classifier if isinstance(config.classifier, tuple | list) else [config.classifier or "fc"]
    # LeViT's and RepViT's classifiers are a norm and a linear layer: timm names the latter, and leaves out both.
    parents = {f"{parent}." for classifier in classifiers if (parent := classifier.rpartition(".")[0])}
    left_out = tuple(each for each in parents if not any(name.startswith(each) for name in whole.state_dict()))
    own = {
        name: value
        for name, value in weights.tensors.items()
        if name.rpartition(".")[0] not in classifiers and not name.startswith(left_out)
    }
    # By this name timm's files of networks convert other spellings, and resample positions to the image's size.
    adapt = getattr(sys.modules[type(whole).__module__], "checkpoint_filter_fn", None)
    if adapt is not None:
        try:
            with quietly():
                own = adapt(own, whole)
        except Exception as error:  # a file of another network can make it fail in any way
            raise WeightsError(f"{weights.source}: does not fit {asked} ({reason(error)})") from error
    load(whole, Weights(weights.source, own))
    found: dict[str, Tensor] = whole.state_dict()
    return found


def _downloaded(timm: ModuleType, asked: _Asked) -> dict[str, Tensor]:
    size = {"img_size": asked.image_size} if timm.get_pretrained_cfg(asked.name).fixed_input_size else {}
    try:
        with quietly():
            network = timm.create_model(asked.name, pretrained=True, num_classes=0, **size)
    except Exception as error:  # the hub's client has errors of many kinds
        raise WeightsError(
            f"could not get timm's weights for {asked} ({reason(error)}); download them where there is a network, and "
            "give the file's path instead of 'timm'"
        ) from error
    found: dict[str, Tensor] = network.state_dict()
    return found


def _probe(encoder: TimmMap, asked: _Asked, channels: int, stride: int) -> None:
    """Check the map of one image against what timm says of it, and exclude from training what does not change it."""
    encoder.eval()
    try:
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            features = encoder(torch.zeros(1, 3, asked.image_size, asked.image_size))
            features.sum().backward()
    except Exception as error:  # timm's asserts about sizes, among others
        raise RegistryError(f"{asked} cannot read images of {asked.image_size} px ({reason(error)})") from error
    sides = {asked.image_size // stride, -(-asked.image_size // stride)}
    if features.ndim != 4 or features.shape[1] != channels or not set(features.shape[2:]) <= sides:
        raise RegistryError(
            f"{asked}: its map is {tuple(features.shape)} for images of {asked.image_size} px, and timm says "
            f"{channels} channels of stride {stride}; choose another network"
        )
    for parameter in encoder.parameters():
        parameter.requires_grad_(parameter.grad is not None)
        parameter.grad = None
    encoder.train()
