"""ComposeAE's composition: the text rotates the image in a complex space."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import register

FILTERS = 16
WINDOWS = 16
RECONSTRUCTION, SYMMETRY = 0.1, 0.01
SHARPNESS = 16.0


@register
class ComposeAe(Composer):
    """y = w0 rho([re; im]) + w1 conv([re; im; x; t'; z]), with learnable w that starts at (10, 1), and

        z = perceptron(x);   d = perceptron(t);   re = z * cos d;   im = z * sin d

    The text is an angle d for each channel, by which the image z is rotated. t' is the text, linearly in C channels.
    All perceptrons have one hidden layer of C ReLUs, rho included. conv reads the five vectors as channels along their
    C numbers: a convolution of 3 to 16 filters, ReLU, the maximum in each of 16 windows, and a linear layer.

    On the map every cell is composed by the same layers.

    Its own loss is 0.1 (reconstruction of x + reconstruction of t) + 0.01 symmetry, the paper's weights:

        reconstruction = mean |perceptron(y) - x|^2, and the same for t
        symmetry = -mean over i of log softmax over j of (16 cos(b_i, x_j)) at j = i

    where b is composed of the target image and the conjugate rotation, z' * cos d and -z' * sin d: the text's inverse
    turns the target back into the source. Means are over numbers, cells and rows; on the map each cell's x is decoded
    from its y, t from the mean of the cells, and symmetry compares means of the cells. A source that several queries of
    a batch start from is there several times; equal rows add a constant to the symmetry loss and pull nothing apart.

    Departures: the paper's symmetry loss is its main loss, on embeddings; a composer does not know head and loss, so
    this one compares features, with 16 for the square of the embeddings' initial length. The convolution has 16 filters
    instead of 64, because it runs in every cell, and the windows do not overlap (there are fewer than 16 if 16 does not
    divide C). The paper's first layers have batch normalisation, which is left out. Which five vectors are stacked is
    our reading.
    """

    info = ComposerInfo(
        name="compose_ae",
        title="ComposeAE",
        paper="Anwaar, Labintcev and Kleinsteuber, Compositional Learning of Image-Text Query for Image Retrieval, "
        "WACV 2021",
        year=2021,
        url="https://arxiv.org/abs/2006.11149",
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        self.windows = math.gcd(image_channels, WINDOWS)
        self.image_layer = _perceptron(image_channels, image_channels)
        self.angle = _perceptron(text_width, image_channels)
        self.text_layer = nn.Linear(text_width, image_channels)
        self.rho = _perceptron(2 * image_channels, image_channels)
        self.filters = nn.Conv1d(5, FILTERS, 3, padding=1)
        self.output_layer = nn.Linear(FILTERS * self.windows, image_channels)
        self.weights = nn.Parameter(torch.tensor([10.0, 1.0]))
        self.image_decoder = _perceptron(image_channels, image_channels)
        self.text_decoder = _perceptron(image_channels, text_width)

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        return self._composed(image, text.pooled, self.angle(text.pooled))

    def auxiliary(self, composed: Tensor, image: Tensor, text: TextFeatures, target: Tensor) -> Tensor:
        of_image = functional.mse_loss(self.image_decoder(composed.movedim(1, -1)), image.movedim(1, -1))
        of_text = functional.mse_loss(self.text_decoder(self._mean(composed)), text.pooled)
        back = self._mean(self._composed(target, text.pooled, -self.angle(text.pooled)))
        similarities = SHARPNESS * functional.normalize(back) @ functional.normalize(self._mean(image)).T
        symmetry = -similarities.float().log_softmax(dim=1).diagonal().mean()
        return RECONSTRUCTION * (of_image + of_text) + SYMMETRY * symmetry

    def _mean(self, features: Tensor) -> Tensor:
        """(B, C): the mean of the cells."""
        return features.mean(dim=(2, 3)) if self.spatial else features

    def _composed(self, image: Tensor, text: Tensor, angle: Tensor) -> Tensor:
        x = image.movedim(1, -1)
        words: Tensor = self.text_layer(text)
        if self.spatial:
            angle, words = angle[:, None, None], words[:, None, None]
        z: Tensor = self.image_layer(x)
        real, imaginary = z * angle.cos(), z * angle.sin()
        stacked = torch.stack((real, imaginary, x.to(z.dtype), words.expand_as(z), z), dim=-2)
        filtered = torch.relu(self.filters(stacked.reshape(-1, 5, self.image_channels)))
        maxima = filtered.view(*filtered.shape[:2], self.windows, -1).amax(dim=3)
        convolved = self.output_layer(maxima.flatten(1)).view(z.shape)
        composed: Tensor = (
            self.weights[0] * self.rho(torch.cat((real, imaginary), dim=-1)) + self.weights[1] * convolved
        )
        return composed.movedim(-1, 1)


def _perceptron(in_width: int, channels: int) -> nn.Module:
    return nn.Sequential(nn.Linear(in_width, channels), nn.ReLU(), nn.Linear(channels, channels))
