"""VAL: a joint attention gates the image, a self-attention adds to it."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import register

HEADS = 2
KERNEL = 7


@register
class Val(Composer):
    """y = a gate * x + b W attention(v), with v = V [x; t] (B, C, H, W) and learnable numbers a and b:

        gate = sigmoid(Wg mean over the cells of v) * sigmoid(convolution(mean over the channels of v))

    The gate is a product of one number a channel and one number a cell. The attention among the cells is softmax(Q K' /
    sqrt(d)) in two heads, half of the channels each, and all of Q, K and its values are linear in v.

    Departures: the paper composes at three depths of the image encoder and the benchmark's composers see its last map,
    so this is VAL at one depth, without the text matched to the levels as an auxiliary loss. Its convolution is as
    large as the map; here it is 7x7, which from every cell reaches all of a map of 4x4, so that the size may vary. a
    starts at 1 and b at 0, as in the released code. A pooled vector is its only cell: the gate is sigmoid(Wg v), and
    the attention is its values.
    """

    info = ComposerInfo(
        name="val",
        title="VAL (one depth)",
        paper="Chen, Gong and Bazzani, Image Search with Text Feedback by Visiolinguistic Attention Learning, "
        "CVPR 2020",
        year=2020,
        url="https://github.com/yanbeic/VAL",
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        self.heads = math.gcd(image_channels, HEADS)
        self.image_layer = nn.Linear(image_channels, image_channels)
        self.text_layer = nn.Linear(text_width, image_channels, bias=False)
        self.channel_gate = nn.Linear(image_channels, image_channels)
        self.value = nn.Linear(image_channels, image_channels)
        self.attended = nn.Linear(image_channels, image_channels)
        if spatial:
            self.cell_gate = nn.Conv2d(1, 1, KERNEL, padding="same")
            self.query = nn.Linear(image_channels, image_channels)
            self.key = nn.Linear(image_channels, image_channels, bias=False)  # a bias would add the same to all cells
        self.gated_weight = nn.Parameter(torch.ones(()))
        self.attended_weight = nn.Parameter(torch.zeros(()))

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        x = image.movedim(1, -1)
        words: Tensor = self.text_layer(text.pooled)
        joint: Tensor = self.image_layer(x) + (words[:, None, None] if self.spatial else words)
        value: Tensor = self.value(joint)
        if self.spatial:
            gate = torch.sigmoid(self.channel_gate(joint.mean(dim=(1, 2), keepdim=True)))
            by_cell = self.cell_gate(joint.mean(dim=3)[:, None])
            gate = gate * torch.sigmoid(by_cell).movedim(1, -1)
            value = self._among_cells(joint, value)
        else:
            gate = torch.sigmoid(self.channel_gate(joint))
        composed: Tensor = self.gated_weight * gate * x + self.attended_weight * self.attended(value)
        return composed.movedim(-1, 1)

    def _among_cells(self, joint: Tensor, value: Tensor) -> Tensor:
        query, key, values = (
            part.flatten(1, 2).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(joint), self.key(joint), value)
        )
        attended = functional.scaled_dot_product_attention(query, key, values)
        return attended.transpose(1, 2).reshape(value.shape)
