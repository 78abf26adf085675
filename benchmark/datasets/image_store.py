"""Keep uint8 images on the device, and make normalised, augmented and mirrored batches of them."""

import re
import warnings

import torch
from torch import Tensor

from benchmark.datasets.splits import Pixels
from models.base import IMAGE_DEVIATION, IMAGE_MEAN

_OTHER_SIDE = {"left": "right", "right": "left"}


class ImageStore:
    """Images of a split. They are kept in the GPU's memory; on a CPU they stay in the mapped file until they are used.

    Args:
        pixels: (N, H, W, 3).
        device: where batches are made.
    """

    def __init__(self, pixels: Pixels, device: torch.device) -> None:
        with warnings.catch_warnings():
            # Of an array that cannot be written to: nothing here writes to it, and a copy could be larger than memory.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            stored = torch.from_numpy(pixels)
        self._pixels = stored if device.type == "cpu" else stored.to(device)
        mean, deviation = torch.tensor(IMAGE_MEAN, device=device), torch.tensor(IMAGE_DEVIATION, device=device)
        self._factor = (1 / (255 * deviation)).view(1, 3, 1, 1)
        self._offset = (-mean / deviation).view(1, 3, 1, 1)

    def __len__(self) -> int:
        return len(self._pixels)

    def everything(self) -> Tensor:
        """All images, as `batch` returns them."""
        return self._normalised(self._pixels)

    def batch(self, rows: Tensor) -> Tensor:
        """Rows (B,), int64, on the device -> normalised float32 (B, 3, H, W), channels_last."""
        return self._normalised(self._pixels.index_select(0, rows))

    def augmented(
        self, rows: Tensor, *, shift: int, brightness: float, generator: torch.Generator | None = None
    ) -> Tensor:
        """As `batch`, changed in ways that leave every text about an image true: no flips, left and right are words.

        Args:
            shift: each image moves by up to so many pixels in each direction; its edge is repeated.
            brightness: each image's light is multiplied by 1 - brightness to 1 + brightness.
            generator: on the device; None for torch's default one there.
        """
        count, device = len(rows), rows.device
        pixels = self._pixels
        if shift:
            height, width = pixels.shape[1:3]
            moves = torch.randint(-shift, shift + 1, (2, count, 1), generator=generator, device=device)
            y = (torch.arange(height, device=device) + moves[0]).clamp(0, height - 1)
            x = (torch.arange(width, device=device) + moves[1]).clamp(0, width - 1)
            taken = pixels[rows[:, None, None], y[:, :, None], x[:, None, :]]
        else:
            taken = pixels.index_select(0, rows)
        if not brightness:
            return self._normalised(taken)
        light = 1 + brightness * (2 * torch.rand(count, 1, 1, 1, generator=generator, device=device) - 1)
        return self._normalised(taken, light)

    def _normalised(self, taken: Tensor, light: Tensor | float = 1.0) -> Tensor:
        return torch.addcmul(self._offset, taken.permute(0, 3, 1, 2).to(torch.float32), self._factor * light)


def mirrored_text(text: str) -> str:
    """What the text says of mirrored images.

    >>> mirrored_text("add small red circle to top-left")
    'add small red circle to top-right'
    """
    return re.sub(r"\b(left|right)\b", lambda found: _OTHER_SIDE[found[0]], text)


def maybe_mirrored(
    images: Tensor, texts: Tensor, *, count: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Exchange left and right in a whole batch, or leave it as it is, each with probability one half.

    Sources, targets and texts change together. What answers a query still answers it then, so labels stay as they are.

    Args:
        images: (N, C, H, W).
        texts: (B,) rows of a table of `count` texts that is followed by their `mirrored_text`.
        generator: on the device; None for torch's default one there.

    Returns:
        The images, the rows of the texts, and a bool, a scalar: whether they are mirrored.
    """
    is_mirrored = torch.rand((), generator=generator, device=images.device) < 0.5
    return torch.where(is_mirrored, images.flip(3), images), texts + count * is_mirrored, is_mirrored
