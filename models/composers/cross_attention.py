"""Cross-attention: every cell of the image reads the words."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.base import Composer, ComposerInfo, TextFeatures
from models.coordinates import with_coordinates
from models.registry import register

BLOCKS = 2
HEADS = 8
WIDEN = 4


@register
class CrossAttention(Composer):
    """Two blocks, in which the cells are queries, and the words keys and values:

        x = x + W attention(LN(x) + P coordinates, words);   x = x + W2 ReLU(W1 LN(x))

    The attention is softmax(Q K' / sqrt(d)) V in 8 heads (fewer if 8 does not divide C), with padding masked out.
    W1 widens to 4 C. P maps the cell's two coordinates (from -1 to 1) to C channels; a pooled vector has none.

    The words are the sentence's vector t and the L word vectors, to which sines and cosines of their place in the text
    are added as in the Transformer: the benchmark's word vectors do not say in which order they come, and "make red
    circle blue" is not "make blue circle red". t is one more word, as it is the only one that has read the others.

    A baseline of ours: the Transformer decoder's layer without its self-attention, started at the identity (W and W2
    are zero). It tells whether reading the words one by one helps.
    """

    info = ComposerInfo(
        name="cross_attention",
        title="Cross-attention",
        paper="Vaswani et al., Attention Is All You Need, NeurIPS 2017 (the decoder's attention)",
        year=2017,
        url="https://arxiv.org/abs/1706.03762",
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        self.blocks = nn.ModuleList(_Block(image_channels, text_width, spatial=spatial) for _ in range(BLOCKS))

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        words = torch.cat((text.pooled[:, None], text.tokens + _places(text.tokens)), dim=1)
        mask = functional.pad(text.mask, (1, 0), value=True)[:, None, None]
        cells = (image if self.spatial else image[:, :, None, None]).flatten(2).transpose(1, 2)
        coordinates = with_coordinates(image[:, :0]).flatten(2).transpose(1, 2) if self.spatial else None
        for block in self.blocks:
            cells = block(cells, words, mask, coordinates)
        return cells.transpose(1, 2).reshape(image.shape)


class _Block(nn.Module):
    """Cells (B, N, C), words (B, L, T), mask (B, 1, 1, L), coordinates (B, N, 2) or None -> (B, N, C)."""

    def __init__(self, channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__()
        self.heads = math.gcd(channels, HEADS)
        self.norm = nn.LayerNorm(channels)
        self.place = nn.Linear(2, channels, bias=False) if spatial else None
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(text_width, channels, bias=False)  # a bias would add the same to all words
        self.value = nn.Linear(text_width, channels)
        self.attended = nn.Linear(channels, channels)
        last = nn.Linear(WIDEN * channels, channels)
        self.perceptron = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, WIDEN * channels), nn.ReLU(), last)
        for layer in (self.attended, last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, cells: Tensor, words: Tensor, mask: Tensor, coordinates: Tensor | None) -> Tensor:
        query = self.norm(cells)
        if self.place is not None:
            query = query + self.place(coordinates)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(query), self.key(words), self.value(words))
        )
        read = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        cells = cells + self.attended(read.transpose(1, 2).flatten(2))
        changed: Tensor = cells + self.perceptron(cells)
        return changed


def _places(tokens: Tensor) -> Tensor:
    """(L, T): sin(i / 10000^(2 k / T)) in column 2 k for word i, and its cosine in column 2 k + 1."""
    length, width = tokens.shape[1:]
    dtype = torch.promote_types(tokens.dtype, torch.float32)
    columns = torch.arange(width, dtype=dtype, device=tokens.device)
    rates = torch.exp(-math.log(10_000) / width * (columns - columns % 2))
    angles = torch.arange(length, dtype=dtype, device=tokens.device)[:, None] * rates
    return torch.where(columns % 2 == 0, angles.sin(), angles.cos()).to(tokens.dtype)
