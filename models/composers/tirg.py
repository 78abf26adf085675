"""TIRG: the text modifies the image by a gate and a residual."""

import torch
from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import register


@register
class Tirg(Composer):
    """y = w0 sigmoid(gate(x, t)) * x + w1 residual(x, t), with w learnable from (1, 10).

    The gate keeps of the image what the text leaves alone; the residual adds what it asks for. Pooled:
    gate = Linear(ReLU(BN[x; t])), residual = Linear(ReLU(Linear(ReLU(BN[x; t])))). On the map both are
    Conv(ReLU(Conv(BN[x; t]))) with 3x3 convolutions and the text tiled over the cells. All are
    C + T wide inside, as in google/tirg.

    Departures: how the text is tiled, see `_MapBranch`; and the official w has four weights, two of them unused.
    """

    info = ComposerInfo(
        name="tirg",
        title="TIRG",
        paper="Vo et al., Composing Text and Image for Image Retrieval - an Empirical Odyssey, CVPR 2019",
        year=2019,
        url="https://arxiv.org/abs/1812.07119",
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        joint = image_channels + text_width
        if spatial:
            self.gate: nn.Module = _MapBranch(image_channels, text_width)
            self.residual: nn.Module = _MapBranch(image_channels, text_width)
        else:
            self.gate = _VectorBranch(nn.BatchNorm1d(joint), nn.ReLU(), nn.Linear(joint, image_channels))
            self.residual = _VectorBranch(
                nn.BatchNorm1d(joint), nn.ReLU(), nn.Linear(joint, joint), nn.ReLU(), nn.Linear(joint, image_channels)
            )
        self.weights = nn.Parameter(torch.tensor([1.0, 10.0]))

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        gate = torch.sigmoid(self.gate(image, text.pooled))
        residual: Tensor = self.residual(image, text.pooled)
        return self.weights[0] * gate * image + self.weights[1] * residual


class _VectorBranch(nn.Module):
    """(B, C), (B, T) -> (B, C): the layers, on image and text side by side."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        composed: Tensor = self.layers(torch.cat((image, text), dim=1))
        return composed


class _MapBranch(nn.Module):
    """(B, C, H, W), (B, T) -> (B, C, H, W): Conv(ReLU(Conv(BN[x; t]))), the text in every cell.

    Conv[x; t] is computed as Conv(x) + W t, with the text tiled over the padding too: google/tirg pads its tiled text
    with zeros, which differs in the border cells alone. The text's part is then one matrix product a row instead of a
    convolution of H W equal vectors, less than half the work in all. One more difference is in batch norm's running
    variance of the text, which is unbiased: over n texts n / (n - 1) times the variance, over the tiled map's n H W
    values n H W / (n H W - 1) times.
    """

    def __init__(self, image_channels: int, text_width: int) -> None:
        super().__init__()
        joint = image_channels + text_width
        self.image_layer = nn.Sequential(nn.BatchNorm2d(image_channels), nn.Conv2d(image_channels, joint, 3, padding=1))
        self.text_layer = nn.Sequential(nn.BatchNorm1d(text_width), nn.Linear(text_width, joint, bias=False))
        self.output_layer = nn.Conv2d(joint, image_channels, 3, padding=1)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        joint = self.image_layer(image) + self.text_layer(text)[:, :, None, None]
        composed: Tensor = self.output_layer(torch.relu(joint))
        return composed
