"""Concatenation of image and text, followed by two layers."""

import torch
from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import register


@register
class Concat(Composer):
    """y = W2 f(W1 [x; t]): a two-layer perceptron on the image and the text side by side.

    The layers are google/tirg's: BN-ReLU-Linear-BN-ReLU-Dropout-Linear, C + T wide inside.

    On the map the perceptron reads the mean over the cells, as google/tirg's does, and the result is the same in every
    cell. With 3x3 convolutions on the map instead it would be TIRG's residual branch: TIRG without its gate.
    """

    info = ComposerInfo(
        name="concat",
        title="Concat",
        paper="Vo et al., Composing Text and Image for Image Retrieval, CVPR 2019 (baseline)",
        year=2019,
        url="https://arxiv.org/abs/1812.07119",
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        joint = image_channels + text_width
        self.layers = nn.Sequential(
            nn.BatchNorm1d(joint),
            nn.ReLU(),
            nn.Linear(joint, joint, bias=False),
            nn.BatchNorm1d(joint),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(joint, image_channels),
        )

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        vector = image.mean(dim=(2, 3)) if self.spatial else image
        query: Tensor = self.layers(torch.cat((vector, text.pooled), dim=1))
        return query[:, :, None, None].expand_as(image) if self.spatial else query
