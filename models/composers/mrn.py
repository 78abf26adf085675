"""MRN: element-wise products of image and text, stacked with linear shortcuts."""

import torch
from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.products import Linear
from models.registry import register

BLOCKS = 3
WIDEN = 2


@register
class Mrn(Composer):
    """Three blocks that start from the text, h = t, and look at the image in each:

        h' = S h + tanh(Q h) * tanh(V2 tanh(V1 x))

    and a linear layer from the last h into the image's space. As in the paper, S is a linear shortcut, all other
    layers are affine, and three blocks are stacked.

    On the map the blocks work on every cell alike (1x1 convolutions, written as linear layers on the channels).

    Departures: 2 C wide inside; the paper has 1,200 for features of 2,400 to 4,800. Weights start as in Glorot
    and Bengio (2010), which keeps the size of the signal through the tanh layers.
    """

    info = ComposerInfo(
        name="mrn",
        title="MRN",
        paper="Kim et al., Multimodal Residual Learning for Visual QA, NeurIPS 2016",
        year=2016,
        url="https://arxiv.org/abs/1606.01455",
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        width = WIDEN * image_channels
        self.blocks = nn.ModuleList(
            _Block(image_channels, text_width if block == 0 else width, width) for block in range(BLOCKS)
        )
        self.to_image = Linear(width, image_channels)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                # made for tanh; torch's default shrinks the signal in every layer
                nn.init.xavier_uniform_(layer.weight)

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        x = image.movedim(1, -1)
        h = text.pooled[:, None, None, :] if self.spatial else text.pooled
        for block in self.blocks:
            h = block(h, x)
        composed: Tensor = self.to_image(h)
        return composed.movedim(-1, 1)


class _Block(nn.Module):
    """h (B, ..., in_width), x (B, ..., C) -> (B, ..., width); h may have one cell where x has many."""

    def __init__(self, image_channels: int, in_width: int, width: int) -> None:
        super().__init__()
        self.shortcut = Linear(in_width, width, bias=False)
        self.query = Linear(in_width, width)
        self.image = nn.Sequential(Linear(image_channels, width), nn.Tanh(), Linear(width, width))

    def forward(self, h: Tensor, x: Tensor) -> Tensor:
        shortcut: Tensor = self.shortcut(h)
        return shortcut + torch.tanh(self.query(h)) * torch.tanh(self.image(x))
