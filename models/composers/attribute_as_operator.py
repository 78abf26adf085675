"""Attributes as operators: the text is a matrix that is applied to the image."""

import torch
from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import register

RANK = 32


@register
class AttributeAsOperator(Composer):
    """y = ReLU(M(t) x), with M(t) = I + U(t) V(t)': the text makes a matrix, the image goes through it.

    U(t) and V(t), (C, R) with R = 32, are linear in the text. On the map M(t) is applied to every cell.

    Departures: the paper has one free C x C matrix for each of a closed list of attributes, started at the identity,
    and a triplet loss with terms of its own (inverse, commutative, auxiliary); an open text has no such list, so its
    features make the matrix, and the loss is the benchmark's, the same for all composers. Of M only the difference
    from the identity is learnt, and its rank is at most R: making a full matrix from the text takes T C^2 weights (134
    million at T = C = 512), this takes 2 R C T (17 million).
    """

    info = ComposerInfo(
        name="attribute_as_operator",
        title="Attribute as Operator",
        paper="Nagarajan and Grauman, Attributes as Operators, ECCV 2018",
        year=2018,
        url="https://arxiv.org/abs/1803.09851",
    )

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
