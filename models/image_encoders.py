"""Image -> feature map: torchvision's ResNets without their classifier, and a small one for training on a CPU."""

import contextlib
import difflib
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import get_model, get_weight
from torchvision.models.resnet import BasicBlock


class WeightsError(Exception):
    """Pretrained weights could not be had, or do not fit: one line that says which, and what to do."""


class ImageEncoder(nn.Sequential):
    """Images (B, 3, H, W), normalised -> feature map (B, C, h, w), not negative.

    C is `channels`; h and w are H and W over `reduction`, rounded up.
    """

    def __init__(self, layers: "OrderedDict[str, nn.Module]", *, channels: int, reduction: int) -> None:
        super().__init__(layers)
        self.channels = channels
        self.reduction = reduction


class CellGates(nn.Module):
    """(B, C, h, w) -> the same, each cell's channels times its own learnt gates, from 0 to 2.

    The head averages over the cells, so where something lies has to be in the channels. Deep networks learn that from
    their borders, in many more steps than training on a CPU has; here every cell starts with channels of its own. There
    are SIDE x SIDE cells of gates, stretched to the map's size.
    """

    SIDE = 4

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gates = nn.Parameter(2 * torch.randn(1, channels, self.SIDE, self.SIDE))

    def forward(self, features: Tensor) -> Tensor:
        gates: Tensor = self.gates
        if features.shape[2:] != gates.shape[2:]:
            gates = functional.interpolate(gates, size=features.shape[2:], mode="bilinear")
        return features * (2 * torch.sigmoid(gates))


def image_encoder(name: str, *, pretrained: str | Path | None = None) -> ImageEncoder:
    """A new image encoder.

    `resnet18` (512 channels) and `resnet50` (2,048) are torchvision's without pooling and classifier: the map has 1/32
    of the image's side. `small_resnet` (128 channels, 1/8 of the side, two residual blocks, then `CellGates`) is for
    images of about 32x32 on a CPU.

    `pretrained` is None for random weights (from torch's current random state), "torchvision" for the ImageNet weights
    that torchvision downloads and caches, checking their hash, or the path of a file with the same parameter names
    (.safetensors, or a state dict that torch.save wrote). A classifier in it (fc.*) is left out.

    Raises ValueError for an unknown name, WeightsError if the weights cannot be had or do not fit.
    """
    if name not in _ENCODERS:
        nearest = difflib.get_close_matches(name, _ENCODERS, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(_ENCODERS)}"
        raise ValueError(f"no image encoder is called {name!r}; {hint}")
    encoder = _ENCODERS[name]()
    if pretrained == "torchvision":
        _load(encoder, _downloaded_weights(name), f"torchvision's weights for {name}")
    elif pretrained is not None:
        _load(encoder, _stored_weights(Path(pretrained)), str(pretrained))
    return encoder


def _torchvision_resnet(name: str) -> ImageEncoder:
    network = get_model(name, weights=None)
    layers = OrderedDict((child, layer) for child, layer in network.named_children() if child not in ("avgpool", "fc"))
    return ImageEncoder(layers, channels=network.fc.in_features, reduction=32)


def _small_resnet() -> ImageEncoder:
    layers = OrderedDict(
        conv1=nn.Conv2d(3, 24, 3, stride=2, padding=1, bias=False),
        bn1=nn.BatchNorm2d(24),
        relu=nn.ReLU(inplace=True),
        layer1=_halving_block(24, 48),
        layer2=_halving_block(48, 128),
        gates=CellGates(128),
    )
    encoder = ImageEncoder(layers, channels=128, reduction=8)
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, BasicBlock):
            nn.init.zeros_(layer.bn2.weight)  # each block starts as its shortcut alone, which trains faster
    return encoder


def _halving_block(in_channels: int, channels: int) -> BasicBlock:
    shortcut = nn.Sequential(nn.Conv2d(in_channels, channels, 1, stride=2, bias=False), nn.BatchNorm2d(channels))
    return BasicBlock(in_channels, channels, stride=2, downsample=shortcut)


_ENCODERS: dict[str, Callable[[], ImageEncoder]] = {
    "resnet18": partial(_torchvision_resnet, "resnet18"),
    "resnet50": partial(_torchvision_resnet, "resnet50"),
    "small_resnet": _small_resnet,
}
_TORCHVISION_WEIGHTS = {
    "resnet18": "ResNet18_Weights.IMAGENET1K_V1",
    "resnet50": "ResNet50_Weights.IMAGENET1K_V1",
}


def _downloaded_weights(name: str) -> dict[str, Tensor]:
    if name not in _TORCHVISION_WEIGHTS:
        raise WeightsError(
            f"torchvision has no weights for {name}; leave the option out, or use {' or '.join(_TORCHVISION_WEIGHTS)}"
        )
    weights = get_weight(_TORCHVISION_WEIGHTS[name])
    try:
        # torch announces the download on standard output, which belongs to the results of a command
        with contextlib.redirect_stdout(sys.stderr):
            return dict(weights.get_state_dict(progress=False, check_hash=True, weights_only=True))
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(
            f"could not get torchvision's weights for {name} from {weights.url} ({_one_line(error)}); "
            "download that file where there is a network, and give its path instead of 'torchvision'"
        ) from error


def _stored_weights(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file makes torch's unpickler stumble in any way it likes
        raise WeightsError(f"{path}: cannot be read as weights ({_one_line(error)})") from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise WeightsError(f"{path}: expected a state dict, parameter names to tensors")
    return weights


def _load(encoder: ImageEncoder, weights: dict[str, Tensor], source: str) -> None:
    expected = encoder.state_dict()
    given = {name: value for name, value in weights.items() if not name.startswith("fc.")}
    # files from before torch 0.4.1, torchvision's ResNet-18 among them, do not count batches
    missing = [name for name in expected if name not in given and not name.endswith(".num_batches_tracked")]
    unexpected = [name for name in given if name not in expected]
    misshapen = [name for name in expected if name in given and given[name].shape != expected[name].shape]
    for problem, names in (("lacks", missing), ("has unknown", unexpected), ("has the wrong shape for", misshapen)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise WeightsError(f"{source}: does not fit this image encoder: it {problem} {', '.join(names[:3])}{more}")
    encoder.load_state_dict(given, strict=False)


def _one_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
