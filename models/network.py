"""Encoders, composer and head: from pixels and words to the embeddings that are compared."""

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

import models
from models.base import TextFeatures
from models.image_encoders import image_encoder
from models.text_encoders import Vocabulary, WordLSTM

_CHANNELS_PER_CELL = 20
"""Above so many channels for each cell of the map, weights outweigh it: between 128 on 4x4 and 512 on 4x4, measured."""

INITIAL_SCALE = 4.0
"""Of the embeddings, learnable: the paper's."""


class NetworkConfig(Protocol):
    """The sizes of a network, and its encoders by name."""

    @property
    def image_encoder(self) -> str: ...
    @property
    def pretrained(self) -> str: ...
    @property
    def text_width(self) -> int: ...
    @property
    def state_width(self) -> int: ...
    @property
    def embedding_width(self) -> int: ...
    @property
    def dropout(self) -> float: ...


class Network(nn.Module):
    """A composer with all that it shares with the others of its leaderboard.

    The image encoder gives a map (B, C, H, W). Where `spatial`, the composer works on it and the head begins with its
    average; else the average is taken first and the composer works on (B, C). The head's linear layer then makes
    embeddings of composed queries and of plain images alike, of length `scale`.
    """

    def __init__(self, composer: str, config: NetworkConfig, vocabulary: Vocabulary, *, spatial: bool) -> None:
        super().__init__()
        self.spatial = spatial
        self.vocabulary = vocabulary
        self.image_encoder = image_encoder(config.image_encoder, pretrained=config.pretrained or None)
        self.text_encoder = WordLSTM(
            len(vocabulary), text_width=config.text_width, state_width=config.state_width, dropout=config.dropout
        )
        channels = self.image_encoder.channels
        self.composer = models.create(composer, channels, config.text_width, spatial=spatial)
        self.head = nn.Linear(channels, config.embedding_width)
        self.scale = nn.Parameter(torch.tensor(INITIAL_SCALE))
        self.map_layout = torch.channels_last
        self.to(memory_format=torch.channels_last)

    def arrange(self, device: torch.device, image_size: int) -> None:
        """Move to the device, in the layout of memory that is fastest there for images of that size.

        That is channels_last, but for a composer and the encoder's last stage on a CPU if their weights are large
        beside the map: their convolutions would spend their time on putting weights and gradients in another order.
        """
        self.to(device)
        side = -(-image_size // self.image_encoder.reduction)
        if device.type == "cpu" and self.image_encoder.channels > _CHANNELS_PER_CELL * side**2:
            self.map_layout = torch.contiguous_format
            for part in (self.image_encoder[-1], self.composer):
                part.to(memory_format=self.map_layout)

    def forward(self, images: Tensor, group: Tensor, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """One training batch: its G source images are the first of `images`, its B targets the others.

        Args:
            images: (G + B, 3, H, W), normalised.
            group: (B,), which source image each query starts from.
            ids, mask: (B, L), the texts as `Vocabulary.encode` gives them.

        Returns:
            Embeddings (B, D) of the composed queries and (B, D) of the targets, both of length `scale`.
        """
        features = self.encode_images(images)
        targets = len(group)
        sources = take_rows(features[:-targets], group)
        return self.embed_queries(sources, ids, mask), self.embed_images(features[-targets:])

    def encode_images(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, C, H', W'), or (B, C) if not spatial."""
        *earlier, last = self.image_encoder
        for stage in earlier:
            images = stage(images)
        features: Tensor = last(images.contiguous(memory_format=self.map_layout))
        return features if self.spatial else features.mean(dim=(2, 3))

    def embed_images(self, features: Tensor) -> Tensor:
        """Features as `encode_images` gives them -> (B, D)."""
        pooled = features.mean(dim=(2, 3)) if self.spatial else features
        return functional.normalize(self.head(pooled).float(), dim=1) * self.scale

    def embed_queries(self, features: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Features of the source images and texts (B, L) -> (B, D)."""
        text: TextFeatures = self.text_encoder(ids, mask)
        return self.embed_images(self.composer(features, text))

    def parameter_counts(self) -> tuple[int, int]:
        """Trained numbers of the whole network, and of the composer alone."""
        return _count(self.parameters()), _count(self.composer.parameters())


def take_rows(features: Tensor, rows: Tensor) -> Tensor:
    """features[rows]; a map that is channels_last stays so, which plain indexing does not promise."""
    if features.ndim == 2 or features.is_contiguous():
        return features.index_select(0, rows)
    return features.permute(0, 2, 3, 1).index_select(0, rows).permute(0, 3, 1, 2)


def _count(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
