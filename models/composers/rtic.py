"""RTIC: residual bottlenecks on image and text joined, and a gate between the image and the result."""

import torch
from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import register

BLOCKS = 4


@register
class Rtic(Composer):
    """y = g * x + (1 - g) * f, where f is refined by n = 4 residual blocks and makes the gate g:

        f0 = W LeakyReLU(BN[x; t]);   f(i+1) = f(i) + block(f(i));   g = sigmoid(W2 LeakyReLU(W1 f))

    f is the last f(i). A block is a bottleneck of three linear layers, C -> C/2 -> C/2 -> C, with LeakyReLU between.

    On the map, every cell is composed by the same layers (1x1 convolutions, written as linear layers on the channels).
    W [x; t] is computed as Wx x + Wt t, the text's part once a query instead of once a cell.

    Departures: the graph convolution network that the paper trains next to this module needs a graph over the whole
    training set, which a composer does not see, so this is the paper's RTIC without GCN. The blocks have no batch
    normalisation, and their last layers start at zero, so that f starts as f0. The paper works on pooled vectors.
    """

    info = ComposerInfo(
        name="rtic",
        title="RTIC",
        paper="Shin et al., RTIC: Residual Learning for Text and Image Composition using Graph Convolutional Network, "
        "arXiv 2021",
        year=2021,
        url="https://arxiv.org/abs/2104.03015",
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        self.image_norm = nn.BatchNorm2d(image_channels) if spatial else nn.BatchNorm1d(image_channels)
        self.text_norm = nn.BatchNorm1d(text_width)
        self.activation = nn.LeakyReLU()
        self.image_layer = nn.Linear(image_channels, image_channels)
        self.text_layer = nn.Linear(text_width, image_channels, bias=False)
        self.blocks = nn.ModuleList(_bottleneck(image_channels) for _ in range(BLOCKS))
        self.gate = nn.Sequential(
            nn.Linear(image_channels, image_channels), nn.LeakyReLU(), nn.Linear(image_channels, image_channels)
        )

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        words: Tensor = self.text_layer(self.activation(self.text_norm(text.pooled)))
        seen: Tensor = self.image_layer(self.activation(self.image_norm(image)).movedim(1, -1))
        fused = seen + (words[:, None, None] if self.spatial else words)
        for block in self.blocks:
            fused = fused + block(fused)
        gate = torch.sigmoid(self.gate(fused))
        return torch.lerp(fused, image.movedim(1, -1).to(gate.dtype), gate).movedim(-1, 1)


def _bottleneck(channels: int) -> nn.Module:
    width = max(1, channels // 2)
    last = nn.Linear(width, channels)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(channels, width), nn.LeakyReLU(), nn.Linear(width, width), nn.LeakyReLU(), last)
