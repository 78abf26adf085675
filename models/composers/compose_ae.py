"""ComposeAE's composition: the text rotates the image in a complex space."""

import math

import torch
from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import register

FILTERS = 16
WINDOWS = 16


@register
class ComposeAe(Composer):
    """y = w0 rho([re; im]) + w1 conv([re; im; x; t'; z]), with learnable w that starts at (10, 1), and

        z = perceptron(x);   d = perceptron(t);   re = z * cos d;   im = z * sin d

    The text is an angle d for each channel, by which the image z is rotated. t' is the text, linearly in C channels.
    All perceptrons have one hidden layer of C ReLUs, rho included. conv reads the five vectors as channels along their
    C numbers: a convolution of 3 to 16 filters, ReLU, the maximum in each of 16 windows, and a linear layer.

    On the map every cell is composed by the same layers.

    Departures: composition only. The paper trains it with losses of its own, which decode the composed vector to the
    image and the text, and demand that the text rotates the target back; a composer has no loss here. The convolution
    has 16 filters instead of 64, because it runs in every cell, and the windows do not overlap (there are fewer than 16
    if 16 does not divide C). The paper's first layers have batch normalisation, which is left out. Which five vectors
    are stacked is our reading.
    """

    info = ComposerInfo(
        name="compose_ae",
        title="ComposeAE (composition only)",
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

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        x = image.movedim(1, -1)
        angle: Tensor = self.angle(text.pooled)
        words: Tensor = self.text_layer(text.pooled)
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
