"""The contract of an image encoder, and image encoders by name."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from torch import nn

from models.errors import WeightsError
from models.image_encoders.weights import Weights, load, read_weights
from models.parts import Parts


class ImageEncoder(nn.Sequential):
    """Turn images (B, 3, H, W), normalised, into a feature map (B, C, h, w) without negative values.

    C is `channels`; h and w are H and W divided by `reduction`, rounded up. The layers run one after the other: the
    network may keep the last one in another memory layout than the rest.

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
    ) -> None:
        super().__init__(layers)
        self.channels = channels
        self.reduction = reduction
        self.depths = dict(depths or {next(reversed(layers)): channels})

    def stages(self, levels: int) -> list[list[nn.Module]]:
        """The layers up to each of the last `levels` depths, those of the earlier ones left out."""
        ends = list(self.depths)[-levels:]
        stages: list[list[nn.Module]] = [[]]
        for name, layer in self.named_children():
            stages[-1].append(layer)
            if name in ends[:-1]:
                stages.append([])
        return stages


class _Registered(NamedTuple):
    make: Callable[[], ImageEncoder]
    published: Mapping[str, Callable[[], Weights]]


_encoders: Parts[_Registered] = Parts("image encoder", group="tirg_bench.image_encoders")


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


def names() -> tuple[str, ...]:
    """The names of all image encoders, sorted."""
    return _encoders.names()


def image_encoder(name: str, *, pretrained: str | Path | None = None) -> ImageEncoder:
    """Make an image encoder.

    Args:
        name: `resnet18` (512 channels, 1/32 of the image's side), `resnet50` (2,048 channels, 1/32), `small_resnet`
            (128 channels, 1/8) or another registered name.
        pretrained: None for random weights (from torch's current random state); "torchvision" for the ImageNet weights
            that torchvision downloads and caches; or the path of a file with the same parameter names (.safetensors,
            or a state dict that torch.save wrote). A classifier in it (fc.*) is left out.

    Raises:
        RegistryError: there is no encoder of that name.
        WeightsError: the weights cannot be downloaded or read, or do not fit.
    """
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
