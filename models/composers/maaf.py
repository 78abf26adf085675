"""MAAF: cells and words attend to each other as one sequence."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import register

HEADS = 8
WIDTH = 256


@register
class Maaf(Composer):
    """One Transformer layer over the sequence s of all cells and words, padding masked out:

        s = s + drop(W attention(LN(s)));   s = s + drop(W2 drop(ReLU(W1 LN(s))));   y = cell + mean over the words

    The attention is softmax(Q K' / sqrt(d)) V in 8 heads (fewer if 8 does not divide C). W1 is 256 wide, dropout
    is 0.1, and a linear layer maps the words to C channels.

    Departures: the paper's query is the mean over all cells and words, in the embedding space; here the result has to
    be a map in the image's space, so each cell keeps its place and the words' mean is added to all. The paper's words
    are the states of an LSTM; the benchmark's are embeddings that have read no other word, so the text's vector t is
    one more word. W and W2 start at zero, so y starts as x plus the mean of the words. In their run on CSS the authors
    replaced the softmax by the identity; here it is kept, as in their other runs. A pooled vector is one cell.
    """

    info = ComposerInfo(
        name="maaf",
        title="MAAF",
        paper="Dodds et al., Modality-Agnostic Attention Fusion for visual search with text feedback, arXiv 2020",
        year=2020,
        url="https://arxiv.org/abs/2007.00145",
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        self.heads = math.gcd(image_channels, HEADS)
        self.to_image = nn.Linear(text_width, image_channels)
        self.norm = nn.LayerNorm(image_channels)
        self.query = nn.Linear(image_channels, image_channels)
        self.key = nn.Linear(image_channels, image_channels, bias=False)  # a bias would add the same to every member
        self.value = nn.Linear(image_channels, image_channels)
        self.attended = nn.Linear(image_channels, image_channels)
        self.dropout = nn.Dropout(0.1)
        last = nn.Linear(WIDTH, image_channels)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(image_channels),
            nn.Linear(image_channels, WIDTH),
            nn.ReLU(),
            nn.Dropout(0.1),
            last,
            nn.Dropout(0.1),
        )
        for layer in (self.attended, last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        cells = (image if self.spatial else image[:, :, None]).flatten(2).transpose(1, 2)
        words: Tensor = self.to_image(torch.cat((text.pooled[:, None], text.tokens), dim=1))
        sequence = torch.cat((cells, words), dim=1)
        known = functional.pad(text.mask, (cells.shape[1] + 1, 0), value=True)
        sequence = sequence + self.dropout(self._attention(self.norm(sequence), known[:, None, None]))
        sequence = sequence + self.perceptron(sequence)
        cells, words = sequence.split([cells.shape[1], words.shape[1]], dim=1)
        is_word = functional.pad(text.mask, (1, 0), value=True)[:, :, None]
        mean = words.masked_fill(~is_word, 0).sum(dim=1, keepdim=True) / is_word.sum(dim=1, keepdim=True)
        composed: Tensor = (cells + mean).transpose(1, 2).reshape(image.shape)
        return composed

    def _attention(self, sequence: Tensor, known: Tensor) -> Tensor:
        query, key, value = (
            layer(sequence).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=known)
        mixed: Tensor = self.attended(attended.transpose(1, 2).flatten(2))
        return mixed
