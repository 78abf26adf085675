"""A small ResNet for images of about 32x32 pixels, trained on a CPU."""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock

from models.image_encoders.base import ImageEncoder, register


class CellGates(nn.Module):
    """(B, C, h, w) -> the same, each cell's channels times its own learnt gates, from 0 to 2.

    The head averages over the cells, so the channels have to say where something is. Deep networks learn that from
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


@register("small_resnet")
def small_resnet() -> ImageEncoder:
    """128 channels, 1/8 of the image's side: two residual blocks, then `CellGates`. Depths: 1/2, 1/4 and 1/8."""
    layers = OrderedDict(
        conv1=nn.Conv2d(3, 24, 3, stride=2, padding=1, bias=False),
        bn1=nn.BatchNorm2d(24),
        relu=nn.ReLU(inplace=True),
        layer1=_halving_block(24, 48),
        layer2=_halving_block(48, 128),
        gates=CellGates(128),
    )
    encoder = ImageEncoder(layers, channels=128, reduction=8, depths={"relu": 24, "layer1": 48, "gates": 128})
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, BasicBlock):
            nn.init.zeros_(layer.bn2.weight)  # each block starts as its shortcut alone, which trains faster
    return encoder


def _halving_block(in_channels: int, channels: int) -> BasicBlock:
    shortcut = nn.Sequential(nn.Conv2d(in_channels, channels, 1, stride=2, bias=False), nn.BatchNorm2d(channels))
    return BasicBlock(in_channels, channels, stride=2, downsample=shortcut)
