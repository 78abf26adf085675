"""Combiner: a learnt mixture of image and text, plus a perceptron on both."""

import torch
from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import register

WIDEN = 2


@register
class Combiner(Composer):
    """y = perceptron(h) + l t' + (1 - l) x, where t' = Wm t is the text in the image's space, and

        h = [drop(ReLU(Wx x)); drop(ReLU(Wt t'))];   l = sigmoid(perceptron(h)), one number a cell

    Both perceptrons have one hidden layer of ReLUs, as wide as h, and dropout of 0.5 after it.

    On the map, every cell is composed by the same layers, with its own l. The perceptrons' first layer is
    computed in two parts, that of the text once a query instead of once a cell.

    Departures: the paper combines CLIP's features, where image and text are in one space; here Wm maps the text into
    the image's space first. Wx and Wt widen to 2 C, where the paper has 4 C, since this runs in every cell. The
    perceptron of the sum starts at zero in its last layer, so that y starts as the mixture.
    """

    info = ComposerInfo(
        name="combiner",
        title="Combiner",
        paper="Baldrati et al., Effective Conditioned and Composed Image Retrieval Combining CLIP-Based Features, "
        "CVPR 2022",
        year=2022,
        url="https://github.com/ABaldrati/CLIP4Cir",
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        width = WIDEN * image_channels
        self.to_image = nn.Linear(text_width, image_channels)
        self.image_layer = nn.Sequential(nn.Linear(image_channels, width), nn.ReLU(), nn.Dropout(0.5))
        self.text_layer = nn.Sequential(nn.Linear(image_channels, width), nn.ReLU(), nn.Dropout(0.5))
        self.sum = _Perceptron(width, image_channels)
        self.mixture = _Perceptron(width, 1)
        nn.init.zeros_(self.sum.output_layer.weight)
        nn.init.zeros_(self.sum.output_layer.bias)

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        words: Tensor = self.to_image(text.pooled)
        if self.spatial:
            words = words[:, None, None]
        x = image.movedim(1, -1)
        seen, read = self.image_layer(x), self.text_layer(words)
        share = torch.sigmoid(self.mixture(seen, read))
        composed: Tensor = self.sum(seen, read) + share * words + (1 - share) * x
        return composed.movedim(-1, 1)


class _Perceptron(nn.Module):
    """x (B, ..., W), t (B, ..., W) -> (B, ..., out): two layers on [x; t]; t may have one cell where x has many."""

    def __init__(self, width: int, out_width: int) -> None:
        super().__init__()
        self.image_layer = nn.Linear(width, 2 * width)
        self.text_layer = nn.Linear(width, 2 * width, bias=False)
        self.dropout = nn.Dropout(0.5)
        self.output_layer = nn.Linear(2 * width, out_width)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        hidden = self.dropout(torch.relu(self.image_layer(image) + self.text_layer(text)))
        composed: Tensor = self.output_layer(hidden)
        return composed
