"""The baseline that ignores the image."""

from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import register


@register
class TextOnly(Composer):
    """y = W t: the query is the text alone; on a map, the same in every cell.

    Shows how far a benchmark is answered by the text without the image, so it must stay near chance on CSS.

    Departure: google/tirg takes t itself for the query, which needs a text as wide as the embedding. W maps any width
    into the image's feature space, where the head that all composers share takes over.
    """

    info = ComposerInfo(
        name="text_only",
        title="Text only",
        paper="Vo et al., Composing Text and Image for Image Retrieval, CVPR 2019 (baseline)",
        year=2019,
        url="https://arxiv.org/abs/1812.07119",
        uses_image=False,
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        self.to_image = nn.Linear(text_width, image_channels)

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        query: Tensor = self.to_image(text.pooled)
        return query[:, :, None, None].expand_as(image) if self.spatial else query
