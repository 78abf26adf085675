"""The baseline that ignores the text."""

from torch import Tensor

from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import register


@register
class ImageOnly(Composer):
    """y = x: the query is the source image itself, untouched.

    Shows how far a benchmark is answered by images that look alike, so it must stay low on a good dataset.
    """

    info = ComposerInfo(
        name="image_only",
        title="Image only",
        paper="Vo et al., Composing Text and Image for Image Retrieval, CVPR 2019 (baseline)",
        year=2019,
        url="https://arxiv.org/abs/1812.07119",
        uses_text=False,
    )

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:  # noqa: ARG002  ignoring the text is the point
        return image
