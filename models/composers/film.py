"""FiLM: the text scales and shifts the channels of residual convolution blocks."""

import torch
from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.coordinates import with_coordinates
from models.registry import register

BLOCKS = 4


@register
class Film(Composer):
    """Four residual blocks, each with its own scale and shift (1 + g, b) per channel, linear in the text:

        s = ReLU(Conv1x1[x; coordinates]);   x' = s + ReLU((1 + g) * BN(Conv3x3(s)) + b)

    Blocks, the scale's offset of one, and the two coordinate channels (from -1 to 1) are the paper's.

    Departures: the paper reduces the image to 128 channels first and classifies the result; here the blocks keep the
    image's C channels, since the result has to be in the image's space. The paper's scales and shifts are made by a GRU
    that reads the text for them alone; here a linear layer makes them from the benchmark's text features. A pooled
    vector is a map of one cell: no coordinates, and the convolutions are linear layers.
    """

    info = ComposerInfo(
        name="film",
        title="FiLM",
        paper="Perez et al., FiLM: Visual Reasoning with a General Conditioning Layer, AAAI 2018",
        year=2018,
        url="https://arxiv.org/abs/1709.07871",
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        self.blocks = nn.ModuleList(_Block(image_channels, spatial=spatial) for _ in range(BLOCKS))
        self.modulation = nn.Linear(text_width, BLOCKS * 2 * image_channels)

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        x = image if self.spatial else image[:, :, None, None]
        modulation: Tensor = self.modulation(text.pooled)[:, :, None, None]
        for block, film in zip(self.blocks, modulation.chunk(BLOCKS, dim=1), strict=True):
            scale, shift = film.chunk(2, dim=1)
            x = block(x, 1 + scale, shift)
        return x if self.spatial else x[:, :, 0, 0]


class _Block(nn.Module):
    """x (B, C, H, W), scale and shift (B, C, 1, 1) -> (B, C, H, W)."""

    def __init__(self, channels: int, *, spatial: bool) -> None:
        super().__init__()
        self.spatial = spatial
        self.input_layer = nn.Conv2d(channels + 2 if spatial else channels, channels, 1)
        self.residual_layer = nn.Conv2d(channels, channels, 3 if spatial else 1, padding="same", bias=False)
        self.norm = nn.BatchNorm2d(channels, affine=False)

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        x = torch.relu(self.input_layer(with_coordinates(x) if self.spatial else x))
        return x + torch.relu(scale * self.norm(self.residual_layer(x)) + shift)
