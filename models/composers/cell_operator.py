"""Cell operator: the text is a matrix, applied to each cell to the degree that the text selects it."""

import torch
from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.coordinates import with_coordinates
from models.registry import register

RANK = 32


@register
class CellOperator(Composer):
    """y = ReLU(x + a(x, t) U(t) V(t)' x): Attribute as Operator's matrix, with a weight a from 0 to 1 for each cell.

        a = sigmoid(w' ReLU((1 + s(t)) * W [x; coordinates] + b(t)))

    U(t) and V(t), (C, R) with R = 32, say how an object changes; a says which cells the text means. s, b, U and V are
    linear in the text, W makes C channels, and coordinates are the cell's row and column, each from -1 to 1.

    U starts at zero, so y starts as ReLU(x). A pooled vector is one cell, without coordinates.

    Designed for this benchmark. The matrix is the one of `attribute_as_operator`, which applies it to all cells alike.
    """

    info = ComposerInfo(
        name="cell_operator",
        title="Cell operator",
        paper="CSS-bench, a composer of this repository, 2026 (after Nagarajan and Grauman, ECCV 2018)",
        year=2026,
        url="https://arxiv.org/abs/1803.09851",
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        self.to_u = nn.Linear(text_width, image_channels * RANK)
        self.to_v = nn.Linear(text_width, image_channels * RANK)
        self.image_layer = nn.Linear(image_channels + 2 if spatial else image_channels, image_channels, bias=False)
        self.modulation = nn.Linear(text_width, 2 * image_channels)
        self.weight = nn.Linear(image_channels, 1)
        nn.init.zeros_(self.to_u.weight)
        nn.init.zeros_(self.to_u.bias)

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        u: Tensor = self.to_u(text.pooled).view(-1, self.image_channels, RANK)
        v: Tensor = self.to_v(text.pooled).view(-1, self.image_channels, RANK)
        cells = (image if self.spatial else image[:, :, None]).flatten(2)
        seen = (with_coordinates(image) if self.spatial else image[:, :, None]).flatten(2).transpose(1, 2)
        scale, shift = self.modulation(text.pooled)[:, None].chunk(2, dim=2)
        hidden = torch.relu((1 + scale) * self.image_layer(seen) + shift)
        weight = torch.sigmoid(self.weight(hidden)).transpose(1, 2)
        operated = torch.relu(cells + weight * (u @ (v.transpose(1, 2) @ cells)))
        return operated.view_as(image)
