"""LGLI's fusion: the text makes a weight for every channel of every cell."""

import torch
from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import register

SIDE = 4
EPSILON = 1e-5


@register
class Lgli(Composer):
    """y = x + w(t) * (x - mean) / (std + 1e-5), where w(t) is a map as large as the image's, made from the text.

    mean and std (B, C) are over the cells, one a channel, and no gradient passes through them. w is a perceptron of
    the text with one hidden layer of C ReLUs. It makes 4 x 4 cells of C channels, which are interpolated linearly to
    H x W, corner cells in the corners, so that one composer works on maps of any size.

    It fuses at the last three depths of the image encoder, each with weights of its own, as the paper does: the encoder
    goes on from each y. On pooled vectors it fuses once, in the end.

    Departures: the localisation mask of the paper is left out, which the released code multiplies by 1e-5. w starts at
    zero, so y starts as x. std is the biased one, which is defined for a map of one cell. In a pooled vector, a channel
    has one value, which is its own mean; there mean and std are over the channels, and w(t) is one weight a channel.
    """

    info = ComposerInfo(
        name="lgli",
        title="LGLI",
        paper="Huang and Zhang, Language Guided Local Infiltration for Interactive Image Retrieval, CVPR workshops "
        "2023",
        year=2023,
        url="https://arxiv.org/abs/2304.07747",
    )
    levels = 3

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        cells = SIDE * SIDE if spatial else 1
        last = nn.Linear(image_channels, cells * image_channels)
        self.weight = nn.Sequential(nn.Linear(text_width, image_channels), nn.ReLU(), last)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        weight: Tensor = self.weight(text.pooled)
        fixed = image.detach()
        if not self.spatial:
            mean, std = fixed.mean(dim=1, keepdim=True), fixed.std(dim=1, correction=0, keepdim=True)
            return image + weight * (image - mean) / (std + EPSILON)
        mean, std = fixed.mean(dim=(2, 3), keepdim=True), fixed.std(dim=(2, 3), correction=0, keepdim=True)
        grid = weight.view(-1, self.image_channels, SIDE, SIDE)
        rows, columns = (_interpolation(side, like=grid) for side in image.shape[2:])
        composed: Tensor = image + (rows @ grid @ columns.T) * (image - mean) / (std + EPSILON)
        return composed


def _interpolation(side: int, *, like: Tensor) -> Tensor:
    """(side, SIDE): the share of each row of the grid in each row of the map.

    A product with this matrix has a deterministic gradient on a GPU, and `interpolate` has not.
    """
    places = torch.linspace(0, SIDE - 1, side, dtype=like.dtype, device=like.device)
    cells = torch.arange(SIDE, dtype=like.dtype, device=like.device)
    return (1 - (places[:, None] - cells).abs()).clamp(min=0)
