"""The contract of an image encoder, and image encoders by name."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn

from models.base import IMAGE_DEVIATION, IMAGE_MEAN
from models.errors import WeightsError
from models.parts import Parts
from models.weights import Weights, load, read_weights

DEFAULT_IMAGE_SIZE = 224
"""In pixels: what most published weights were trained with."""


class ImageEncoder(nn.Sequential):
    """Turn images (B, 3, H, W), normalised, into a feature map (B, C, h, w).

    C is `channels`; h and w are H and W divided by `reduction`, rounded up (down in some networks of libraries). The
    layers run one after the other: the network may keep the last one in another memory layout than the rest. Maps of
    this folder's own encoders have no negative values; those of libraries may.

    A frozen encoder is never trained: it stays in eval mode and passes no gradient on.

    Args:
        depths: the layers whose output a composer may compose, first to last, with its channels; the last layer is one
            of them. It alone if left out.
    """

    def __init__(
        self,
        layers: "OrderedDict[str, nn.Module]",
        *,
        channels: int,
        reduction: int,
        depths: Mapping[str, int] | None = None,
        is_frozen: bool = False,
    ) -> None:
        super().__init__(layers)
        self.channels = channels
        self.reduction = reduction
        self.depths = dict(depths or {next(reversed(layers)): channels})
        self.is_frozen = is_frozen
        if is_frozen:
            self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        return super().train(mode and not self.is_frozen)

    def stages(self, levels: int) -> list[list[nn.Module]]:
        """The layers up to each of the last `levels` depths, those of the earlier ones left out."""
        ends = list(self.depths)[-levels:]
        stages: list[list[nn.Module]] = [[]]
        for name, layer in self.named_children():
            stages[-1].append(layer)
            if name in ends[:-1]:
                stages.append([])
        return stages


class Normalisation(nn.Module):
    """Images as encoders get them (ImageNet's mean and deviation) -> images of another mean and deviation.

    Published weights expect those that they were trained with.
    """

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        super().__init__()
        given_mean, given = torch.tensor(IMAGE_MEAN), torch.tensor(IMAGE_DEVIATION)
        self.register_buffer("factor", (given / torch.tensor(deviation)).view(1, 3, 1, 1))
        self.register_buffer("offset", ((given_mean - torch.tensor(mean)) / torch.tensor(deviation)).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return torch.addcmul(self.get_buffer("offset"), images, self.get_buffer("factor"))


class _Registered(NamedTuple):
    make: Callable[[], ImageEncoder]
    published: Mapping[str, Callable[[], Weights]]


class MakeFromLibrary(Protocol):
    """Makes `LIBRARY/name`, see `image_encoder`. `pretrained` is None, a word of the library's own, or a path."""

    def __call__(self, name: str, *, pretrained: str | None, image_size: int) -> ImageEncoder: ...


_encoders: Parts[_Registered] = Parts("image encoder", group="tirg_bench.image_encoders")
_libraries: Parts[MakeFromLibrary] = Parts("library of image encoders")


def register(
    name: str, *, published: Mapping[str, Callable[[], Weights]] | None = None
) -> Callable[[Callable[[], ImageEncoder]], Callable[[], ImageEncoder]]:
    """Decorator: register a function that makes a new encoder, its weights drawn from torch's current random state.

    Args:
        published: downloads of trained weights by the word that asks for them, such as "torchvision".

    Raises:
        RegistryError: the name is taken.
    """

    def decorator(make: Callable[[], ImageEncoder]) -> Callable[[], ImageEncoder]:
        _encoders.add(name, _Registered(make, published or {}))
        return make

    return decorator


def register_library(name: str) -> Callable[[MakeFromLibrary], MakeFromLibrary]:
    """Decorator: register the function that makes the encoders `name/...`. Raises RegistryError if it is taken."""
    return _libraries.register(name)


def names() -> tuple[str, ...]:
    """The names of all image encoders of this folder and of installed packages, sorted."""
    return _encoders.names()


def image_encoder(
    name: str, *, pretrained: str | Path | None = None, image_size: int = DEFAULT_IMAGE_SIZE
) -> ImageEncoder:
    """Make an image encoder.

    Args:
        name: `resnet18` (512 channels, 1/32 of the image's side), `resnet50` (2,048 channels, 1/32), `small_resnet`
            (128 channels, 1/8) or another registered name; or one of a library: `timm/NAME@STRIDE`.
        pretrained: None for random weights (from torch's current random state); "torchvision" for the ImageNet weights
            that torchvision downloads and caches; a word of the library's; or the path of a file with the same
            parameter names (.safetensors, or a state dict that torch.save wrote). A classifier in it (fc.*) is left
            out.
        image_size: width and height of the images in pixels. Some networks of libraries are made for one size.

    Raises:
        RegistryError: there is no encoder of that name, or its package is not installed.
        WeightsError: the weights cannot be downloaded or read, or do not fit.
    """
    library, slash, own_name = name.partition("/")
    if slash:
        word = str(pretrained) if pretrained else None
        return _libraries.get(library)(own_name, pretrained=word, image_size=image_size)
    registered = _encoders.get(name)
    encoder = registered.make()
    if pretrained is None:
        return encoder
    word = str(pretrained)
    if word in registered.published:
        load(encoder, registered.published[word]())
        return encoder
    if able := [other for other in _encoders.imported() if word in _encoders.get(other).published]:
        raise WeightsError(f"{word} has no weights for {name}; leave the option out, or use {' or '.join(able)}")
    load(encoder, read_weights(Path(pretrained)))
    return encoder
