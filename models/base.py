"""The contract of a composer: its input, its output, and its description."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_DEVIATION = (0.229, 0.224, 0.225)
"""Of red, green and blue, from 0 to 1: images come to encoders normalised by ImageNet's, which most weights expect."""

MOST_LEVELS = 4
"""At how many depths of the image encoder a composer may compose."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class TextFeatures(NamedTuple):
    """The modification texts of a batch, encoded.

    Words come first and padding after them, and every row has at least one word. What `tokens` holds where `mask` is
    False must not change a composer's output.
    """

    pooled: Tensor
    """(B, T): one vector a text."""
    tokens: Tensor
    """(B, L, T): one vector a word, in order; after a text's last word there is padding."""
    mask: Tensor
    """(B, L), bool: True where there is a word."""


@dataclass(frozen=True, kw_only=True)
class ComposerInfo:
    """The facts that the leaderboard and the command line show about a composer.

    `name` is its key everywhere (command line, records, folders): lowercase letters, digits and underscores, a letter
    first. `title` is how the tables print it. A composer that by design ignores the image or the text says so in
    `uses_image` and `uses_text`, and the tests hold it to that.

    Raises ValueError for a name outside these rules, an empty title or paper, or a url that is not http(s).
    """

    name: str
    title: str
    paper: str
    year: int
    url: str
    uses_image: bool = True
    uses_text: bool = True

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"composer name {self.name!r}: expected lowercase letters, digits and underscores, a letter first"
            )
        for field in ("title", "paper"):
            if not getattr(self, field).strip():
                raise ValueError(f"composer {self.name!r}: {field} is empty")
        if not self.url.startswith(("https://", "http://")):
            raise ValueError(f"composer {self.name!r}: url is {self.url!r}, expected one that starts with https://")


class Composer(nn.Module, ABC):
    """Join the features of an image with those of a text into features of the image that the text asks for.

    A composer works in one of two modes, fixed when it is made: on the feature map (B, C, H, W), H and W at least 1 and
    free to differ between calls, when `spatial`, else on the pooled vector (B, C). It returns the shape it was given,
    in the image's own feature space: the network's head turns a composed query and a plain target image into
    embeddings alike. It owns no encoder, loss, device or data.

    A subclass sets `info`, implements `forward`, and if it has parameters extends `__init__`, with this signature. One
    that brings a loss of its own implements `auxiliary`, too. Raises ValueError if a width is below one.

    One that composes at several depths of the image encoder says at how many in `levels`. The network then makes one
    composer for each of the encoder's last depths, with the channels of the map there. Each gets that map of the source
    and the text, and the encoder goes on from what it returns; target images pass through the encoder alone. The
    contract of each of them is the same. On pooled vectors there is one depth.
    """

    info: ClassVar[ComposerInfo]
    levels: ClassVar[int] = 1

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__()
        if image_channels < 1 or text_width < 1:
            raise ValueError(
                f"image_channels is {image_channels} and text_width {text_width}: expected at least 1 of each"
            )
        self.image_channels = image_channels
        self.text_width = text_width
        self.spatial = spatial

    @abstractmethod
    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        """(B, C, H, W), or (B, C) if not spatial -> the same shape. In eval mode row b depends on row b alone."""

    def auxiliary(
        self, composed: Tensor, image: Tensor, text: TextFeatures, target: Tensor  # noqa: ARG002
    ) -> Tensor | None:  # fmt: skip
        """Return a loss term of the composer's own, a scalar that is minimised, or None for none. Optional.

        It is called in training alone, after `forward` on the same batch, and added to the loss times the recipe's
        `training.auxiliary`, 1 by default; with several `levels`, of the last one alone. Gradients flow into whatever
        it uses, the encoders included; detach what should stay as it is. Where several queries of a batch start from
        one source, its features are there several times.

        Args:
            composed: what `forward` returned for `image` and `text`, with its gradient.
            image: (B, C, H, W), or (B, C) if not spatial: features of the source images.
            target: the same shape: features of the target images as the encoder gives them.
        """
        return None

    @property
    def has_auxiliary(self) -> bool:
        """Whether it brings a loss of its own, so that `auxiliary` is called in training."""
        return brings_auxiliary(type(self))

    def with_auxiliary(self, image: Tensor, text: TextFeatures, target: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return `forward`'s features and `auxiliary`'s loss of one training batch. The network calls it; do not
        override it."""
        composed: Tensor = self(image, text)
        return composed, self.auxiliary(composed, image, text, target)


def brings_auxiliary(kind: type[Composer]) -> bool:
    """Whether a composer's class implements `auxiliary`."""
    return kind.auxiliary is not Composer.auxiliary
