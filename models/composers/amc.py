"""AMC: experts that change the image in different ways, mixed by a router that sees the query."""

import torch
from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import register

LAYERS = 2
EXPERTS = 3


@register
class Amc(Composer):
    """Two layers, each a mixture of three experts with weights r(x, t) that are positive and sum to one:

        x = r1 x + r2 ((1 + s(t)) * x + b(t)) + r3 (x + W attention(V [x; t]))

    The experts keep the image, scale and shift its channels (s and b are linear in t), or join it with the text and let
    the cells attend to each other: attention(v) = softmax(Q v (K v)' / sqrt(C)) v. The router is the softmax of a
    perceptron of [mean over the cells of x; t] with one hidden layer of C ReLUs: one r a query, the same in every cell.

    Departures: the paper also has cross-attention experts of text and image at several depths of the encoder, and a
    second stack for the text; here are the experts that change the image's last map. Self-attention has one head and
    no layer normalisation. s, b and W start at zero, so y starts as x. A pooled vector is its only cell, so its third
    expert is x + W V [x; t].
    """

    info = ComposerInfo(
        name="amc",
        title="AMC",
        paper="Zhu et al., AMC: Adaptive Multi-expert Collaborative Network for Text-guided Image Retrieval, TOMM 2023",
        year=2023,
        url="https://doi.org/10.1145/3584703",
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        self.layers = nn.ModuleList(_Layer(image_channels, text_width, spatial=spatial) for _ in range(LAYERS))

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        cells = (image if self.spatial else image[:, :, None]).flatten(2).transpose(1, 2)
        for layer in self.layers:
            cells = layer(cells, text.pooled[:, None])
        return cells.transpose(1, 2).reshape(image.shape)


class _Layer(nn.Module):
    """Cells (B, N, C), text (B, 1, T) -> (B, N, C)."""

    def __init__(self, channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__()
        self.spatial = spatial
        self.router = nn.Sequential(
            nn.Linear(channels + text_width, channels), nn.ReLU(), nn.Linear(channels, EXPERTS), nn.Softmax(dim=2)
        )
        self.modulation = nn.Linear(text_width, 2 * channels)
        self.image_layer = nn.Linear(channels, channels)
        self.text_layer = nn.Linear(text_width, channels, bias=False)
        self.attended = nn.Linear(channels, channels)
        if spatial:
            self.query = nn.Linear(channels, channels)
            self.key = nn.Linear(channels, channels, bias=False)  # a bias would add the same to all cells
        for layer in (self.modulation, self.attended):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, cells: Tensor, text: Tensor) -> Tensor:
        keep, modulate, join = self.router(torch.cat((cells.mean(dim=1, keepdim=True), text), dim=2)).chunk(3, dim=2)
        scale, shift = self.modulation(text).chunk(2, dim=2)
        joint: Tensor = self.image_layer(cells) + self.text_layer(text)
        if self.spatial:
            weights = self.query(joint) @ self.key(joint).transpose(1, 2)
            joint = torch.softmax(joint.shape[2] ** -0.5 * weights, dim=2) @ joint
        changed: Tensor = (
            keep * cells + modulate * ((1 + scale) * cells + shift) + join * (cells + self.attended(joint))
        )
        return changed
