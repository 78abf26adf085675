"""Cellwise: a perceptron on each cell alone, whose hidden channels the text scales and shifts."""

import torch
from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.coordinates import with_coordinates
from models.registry import register

LAYERS = 2
WIDEN = 2


@register
class Cellwise(Composer):
    """y = ReLU(x + W3 h2): no cell sees another. With scales s and shifts b that are linear in the text,

        h1 = ReLU((1 + s1) * W1 [x; coordinates] + b1);   h2 = ReLU((1 + s2) * W2 h1 + b2)

    Each h is 2 C wide. A modification of CSS changes some cells and leaves the others as they are. A cell's features
    and its two coordinates (from -1 to 1) are enough to decide whether it is one of them, and what it becomes.

    W3 starts at zero, so that y = ReLU(x). The coordinates are left out for a pooled vector, which has one cell.

    Designed for this benchmark. FiLM's blocks differ from it by their 3x3 convolutions and batch normalisation.
    """

    info = ComposerInfo(
        name="cellwise",
        title="Cellwise",
        paper="CSS-bench, a composer of this repository, 2026 (after Perez et al., FiLM, AAAI 2018)",
        year=2026,
        url="https://arxiv.org/abs/1709.07871",
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        width = WIDEN * image_channels
        self.first_layer = nn.Linear(image_channels + 2 if spatial else image_channels, width, bias=False)
        self.second_layer = nn.Linear(width, width, bias=False)
        self.output_layer = nn.Linear(width, image_channels)
        self.modulation = nn.Linear(text_width, LAYERS * 2 * width)
        nn.init.zeros_(self.output_layer.weight)
        nn.init.zeros_(self.output_layer.bias)

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        hidden = (with_coordinates(image) if self.spatial else image).movedim(1, -1)
        modulation: Tensor = self.modulation(text.pooled)
        if self.spatial:
            modulation = modulation[:, None, None]
        first_scale, first_shift, second_scale, second_shift = modulation.chunk(2 * LAYERS, dim=-1)
        hidden = torch.relu((1 + first_scale) * self.first_layer(hidden) + first_shift)
        hidden = torch.relu((1 + second_scale) * self.second_layer(hidden) + second_shift)
        change: Tensor = self.output_layer(hidden).movedim(-1, 1)
        return torch.relu(image + change)
