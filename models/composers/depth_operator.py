"""Depth operator: the text is a matrix, applied to the image at the last two depths of its encoder."""

import torch
from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import register

RANK = 32


@register
class DepthOperator(Composer):
    """y = ReLU(x + U(t) V(t)' x) at the last two depths of the image encoder, with weights of their own at each.

    U(t) and V(t), (C, R) with R = 32, are linear in the text. They are applied to every cell of the map, and the
    encoder's last stage is computed from the first y. At the earlier depth a cell depends on a smaller part of the
    image: with `small_resnet` on a window of 15 pixels, at the last depth on one of 39. U starts at zero, so y starts
    as ReLU(x). On pooled vectors there is one depth, and the composer is Attribute as Operator.

    Designed for this benchmark. The matrix is the one of `attribute_as_operator`, which applies it in the end alone.
    Composing inside of the encoder is LGLI's (Huang and Zhang, CVPR workshops 2023).
    """

    info = ComposerInfo(
        name="depth_operator",
        title="Depth operator",
        paper="CSS-bench, a composer of this repository, 2026 (after Nagarajan and Grauman, ECCV 2018)",
        year=2026,
        url="https://arxiv.org/abs/1803.09851",
    )
    levels = 2

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        self.to_u = nn.Linear(text_width, image_channels * RANK)
        self.to_v = nn.Linear(text_width, image_channels * RANK)
        nn.init.zeros_(self.to_u.weight)
        nn.init.zeros_(self.to_u.bias)

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        u: Tensor = self.to_u(text.pooled).view(-1, self.image_channels, RANK)
        v: Tensor = self.to_v(text.pooled).view(-1, self.image_channels, RANK)
        cells = image.flatten(2) if self.spatial else image[:, :, None]
        operated = torch.relu(cells + u @ (v.transpose(1, 2) @ cells))
        return operated.view_as(image)
