"""Relation network: a perceptron reads every pair of cells together with the text."""

from torch import Tensor, nn
from torch.nn import functional

from models.base import Composer, ComposerInfo, TextFeatures
from models.coordinates import with_coordinates
from models.products import Linear
from models.registry import register

WIDTH = 256
SIDE = 3
LAYERS = 4


@register
class Relationship(Composer):
    """y = f(mean over pairs (i, j) of g(o_i, o_j, t)): f and g are perceptrons, the objects o are the map's cells.

    As in the paper an object is a cell's channels and its two coordinates, g has four layers and f three, all 256 wide.

    On the map, y is the same in every cell, since no cell is left once the pairs are averaged. A pooled vector is one
    object, so its only pair is with itself: y = f(g(x, x, t)), a perceptron on the image and the text.

    Departures: a map of more than 3x3 cells is average-pooled to 3x3 first, because pairs grow with the fourth power
    of the side: 9 cells make 81 pairs, 64 make 4,096, which would cost many times what the image encoder does. The
    mean replaces the paper's sum, so that the scale does not depend on the number of cells. f has no dropout. Weights
    start from He's normal distribution.

    g's first layer is computed as Wi o_i + Wj o_j + Wt t, which equals W [o_i; o_j; t], once a cell instead of a pair.
    """

    info = ComposerInfo(
        name="relationship",
        title="Relationship",
        paper="Santoro et al., A Simple Neural Network Module for Relational Reasoning, NeurIPS 2017",
        year=2017,
        url="https://arxiv.org/abs/1706.01427",
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        object_width = image_channels + 2 if spatial else image_channels
        self.first_object = nn.Linear(object_width, WIDTH)
        self.second_object = nn.Linear(object_width, WIDTH, bias=False)
        self.words = nn.Linear(text_width, WIDTH, bias=False)
        self.g = nn.Sequential(nn.ReLU(inplace=True), *(_layer(WIDTH) for _ in range(LAYERS - 1)))
        self.f = nn.Sequential(_layer(WIDTH), _layer(WIDTH), nn.Linear(WIDTH, image_channels))
        # torch's default shrinks the signal in each of the seven layers until only the biases are left of it
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        objects = _cells(image) if self.spatial else image[:, None]
        first: Tensor = self.first_object(objects)[:, :, None]
        second: Tensor = self.second_object(objects)[:, None]
        words: Tensor = self.words(text.pooled)[:, None, None]
        pairs: Tensor = self.g(first + (second + words))
        related = pairs.sum(dim=(1, 2)) / (objects.shape[1] ** 2)  # mean's gradient would divide for every pair
        query: Tensor = self.f(related)
        return query[:, :, None, None].expand_as(image) if self.spatial else query


def _layer(width: int) -> nn.Module:
    return nn.Sequential(Linear(width, width), nn.ReLU(inplace=True))


def _cells(image: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, N, C + 2), N at most 3 x 3."""
    height, width = image.shape[2:]
    pooled = functional.adaptive_avg_pool2d(image, (min(height, SIDE), min(width, SIDE)))
    return with_coordinates(pooled).flatten(2).transpose(1, 2)
