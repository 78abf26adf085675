"""Parameter hashing: the text is hashed into the weights of a layer on the image."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import register

MAX_WIDTH = 512
SHARING = 16


@register
class ParameterHashing(Composer):
    """y = W2 ReLU(W(t) (W1 x)), where W(t)_mn = sign(m, n) p(t)_bucket(m, n): the text makes a layer's weights.

    p(t), the candidate weights, is linear in the text. It has one entry for every 16 weights of the D x D layer, and a
    fixed hash tells each weight which entry it shares and with which sign, as in the paper (after Chen et al., 2015,
    Compressing Neural Networks with the Hashing Trick). D = min(C, 512). On the map the layer is a 1x1 convolution.

    Departures: the paper reads the question with a pre-trained GRU and predicts an answer from y; here text encoder and
    head are the benchmark's, and W2 maps back into the image's space. The paper adds a bias to the hashed layer, here
    it has none. The hash is splitmix64 instead of xxHash: as good for the purpose, and six lines. It depends on D
    alone, so it is not stored in checkpoints.
    """

    info = ComposerInfo(
        name="parameter_hashing",
        title="Parameter Hashing",
        paper="Noh et al., Image Question Answering using CNN with Dynamic Parameter Prediction, CVPR 2016",
        year=2016,
        url="https://arxiv.org/abs/1511.05756",
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        self.width = min(image_channels, MAX_WIDTH)
        candidates = max(1, self.width**2 // SHARING)
        buckets, signs = hash_weights(self.width, candidates)
        self.buckets: Tensor
        self.signs: Tensor
        self.register_buffer("buckets", torch.from_numpy(buckets), persistent=False)
        self.register_buffer("signs", torch.from_numpy(signs), persistent=False)
        self.to_candidates = nn.Linear(text_width, candidates)
        self.image_layer = nn.Linear(image_channels, self.width)
        self.output_layer = nn.Linear(self.width, image_channels)

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        x: Tensor = self.image_layer(image.movedim(1, -1))
        candidates: Tensor = self.to_candidates(text.pooled)
        weights = (candidates.index_select(1, self.buckets) * self.signs).view(-1, self.width, self.width)
        cells = x.flatten(1, -2) if self.spatial else x[:, None]
        hashed = torch.relu(cells @ weights.transpose(1, 2)).view_as(x)
        composed: Tensor = self.output_layer(hashed)
        return composed.movedim(-1, 1)


def hash_weights(width: int, buckets: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Bucket in [0, buckets) and sign -1 or 1 of each weight of a (width, width) matrix, row by row: two (width^2,).

    splitmix64 of the weight's number: the upper 32 bits choose the bucket, the lowest one the sign. The same numbers
    on every machine; nothing is drawn from a random generator.
    """
    z = np.arange(1, width**2 + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    bucket = (z >> np.uint64(32)) % np.uint64(buckets)
    sign = 1 - 2 * (z & np.uint64(1)).astype(np.float32)
    return bucket.astype(np.int64), sign
