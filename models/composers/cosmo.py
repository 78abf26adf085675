"""CoSMo: the text changes the image's content, then its style."""

import torch
from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import register

BLOCKS = 2
EPSILON = 1e-5


@register
class Cosmo(Composer):
    """The image without its style, x' = (x - mean) / std, has its content changed twice, and gets a style back:

        v = V [x'; t];   x' = x' + w R A v;   A = softmax(Q v . K v) + softmax(Wt t . x')
        y = (g1 * std + gamma) * x' + g2 * mean + beta

    mean and std (B, C) are over the cells, one a channel, as in instance normalisation. V, Q, K, R and Wt are linear,
    and w is one learnable number. A is (N, N) for N cells, with softmax over the second N, and its dot products are
    divided by sqrt(C) first; the second term, the cells that the text asks for, is the same in every row. g1, g2
    (sigmoids), gamma and beta are linear in the text.

    Departures: w, gamma and beta start at zero. The paper's A has a value layer, which is linear between linear layers
    and so part of R here. A pooled vector is one cell, which equals its mean; there mean and std are over the channels,
    and A, which has one cell to choose from, is left out.
    """

    info = ComposerInfo(
        name="cosmo",
        title="CoSMo",
        paper="Lee, Kim and Han, CoSMo: Content-Style Modulation for Image Retrieval with Text Feedback, CVPR 2021",
        year=2021,
        url="https://github.com/postBG/CosMo.pytorch",
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        self.blocks = nn.ModuleList(_Content(image_channels, text_width, spatial=spatial) for _ in range(BLOCKS))
        self.gates = nn.Linear(text_width, 2 * image_channels)
        self.style = nn.Linear(text_width, 2 * image_channels)
        nn.init.zeros_(self.style.weight)
        nn.init.zeros_(self.style.bias)

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        cells = (image if self.spatial else image[:, :, None]).flatten(2).transpose(1, 2)
        over = 1 if self.spatial else 2
        mean = cells.mean(dim=over, keepdim=True)
        std = (cells.var(dim=over, correction=0, keepdim=True) + EPSILON).sqrt()
        content = (cells - mean) / std
        for block in self.blocks:
            content = block(content, text.pooled[:, None])
        std_gate, mean_gate = torch.sigmoid(self.gates(text.pooled)[:, None]).chunk(2, dim=2)
        gamma, beta = self.style(text.pooled)[:, None].chunk(2, dim=2)
        composed: Tensor = (std_gate * std + gamma) * content + mean_gate * mean + beta
        return composed.transpose(1, 2).reshape(image.shape)


class _Content(nn.Module):
    """x' (B, N, C), text (B, 1, T) -> (B, N, C)."""

    def __init__(self, channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__()
        self.spatial = spatial
        self.image_layer = nn.Linear(channels, channels)
        self.text_layer = nn.Linear(text_width, channels, bias=False)
        self.output_layer = nn.Linear(channels, channels)
        self.weight = nn.Parameter(torch.zeros(()))
        if spatial:
            self.query = nn.Linear(channels, channels)
            self.key = nn.Linear(channels, channels, bias=False)  # a bias would add the same to all cells
            self.searched = nn.Linear(text_width, channels)

    def forward(self, content: Tensor, text: Tensor) -> Tensor:
        joint: Tensor = self.image_layer(content) + self.text_layer(text)
        if self.spatial:
            scale = joint.shape[2] ** -0.5
            among_cells = torch.softmax(scale * self.query(joint) @ self.key(joint).transpose(1, 2), dim=2)
            by_text = torch.softmax(scale * self.searched(text) @ content.transpose(1, 2), dim=2)
            joint = (among_cells + by_text) @ joint
        changed: Tensor = content + self.weight * self.output_layer(joint)
        return changed
