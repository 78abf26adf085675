"""Batches seen in a mirror: images with left and right exchanged, and texts with the words exchanged."""

import re

import torch
from torch import Tensor

_OTHER = {"left": "right", "right": "left"}


def mirrored_text(text: str) -> str:
    """What the text says of mirrored images.

    >>> mirrored_text("add small red circle to top-left")
    'add small red circle to top-right'
    """
    return re.sub(r"\b(left|right)\b", lambda found: _OTHER[found[0]], text)


def maybe_mirrored(images: Tensor, texts: Tensor, *, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Exchange left and right in a whole batch, or leave it as it is, each with probability one half.

    Sources, targets and texts change together. What answers a query still answers it then, so labels stay as they are.

    Args:
        images: (N, C, H, W).
        texts: (B,) rows of a table of `count` texts that is followed by their `mirrored_text`.
        generator: on the device.
    """
    is_mirrored = torch.rand((), generator=generator, device=images.device) < 0.5
    return torch.where(is_mirrored, images.flip(3), images), texts + count * is_mirrored
