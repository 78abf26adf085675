"""Exchange red, green and blue in images, and give the colours in their texts other names."""

import re
from collections.abc import Sequence
from itertools import permutations
from typing import Final

import torch
from torch import Tensor

from css_gen.scenes.factors import Colour
from models.base import IMAGE_DEVIATION, IMAGE_MEAN

ORDERS: Final = tuple(permutations(range(3)))
"""Of the channels: the first one leaves them as they are."""

_COLOUR: Final = re.compile(rf"\b({'|'.join(colour for colour in Colour if colour is not Colour.GRAY)})\b")
"""Gray is left out: it has the same amount of every channel, so that it stays gray."""


def exchanged_text(text: str, order: Sequence[int]) -> str:
    """Return what the text says of images whose channel c is channel `order[c]` of the image that it was written for.

    A colour becomes another one, which may be none that a text names. So each order has names of its own for them.

    >>> exchanged_text("make small red circle gray", (1, 0, 2))
    'make small red-grb circle gray'
    """
    return _COLOUR.sub(rf"\1-{''.join('rgb'[channel] for channel in order)}", text)


def exchanged_texts(texts: Sequence[str]) -> list[str]:
    """Return a table of texts for `maybe_exchanged`: the texts, and then all of them for each further order."""
    return [*texts, *(exchanged_text(text, order) for order in ORDERS[1:] for text in texts)]


def maybe_exchanged(
    images: Tensor, texts: Tensor, *, count: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Put the channels of a whole batch into another order, drawn at random, with probability one half.

    Sources, targets and texts change together. What answers a query still answers it then, so labels stay as they are.

    Args:
        images: (N, 3, H, W), normalised.
        texts: (B,) rows of a table of `count` texts that `exchanged_texts` has made longer.
        generator: on the device; None for torch's default one there.

    Returns:
        The images, the rows of the texts, and a bool, a scalar: whether the order is another one.
    """
    device = images.device
    is_exchanged = torch.rand((), generator=generator, device=device) < 0.5
    number = torch.randint(1, len(ORDERS), (), generator=generator, device=device)
    order = torch.tensor(ORDERS, device=device).index_select(0, number[None])[0]
    mean, deviation = torch.tensor(IMAGE_MEAN, device=device), torch.tensor(IMAGE_DEVIATION, device=device)
    factor = (deviation.index_select(0, order) / deviation).view(1, 3, 1, 1)
    offset = ((mean.index_select(0, order) - mean) / deviation).view(1, 3, 1, 1)
    exchanged = torch.addcmul(offset, images.index_select(1, order), factor)
    exchanged = exchanged.contiguous(memory_format=torch.channels_last)
    return torch.where(is_exchanged, exchanged, images), texts + count * number * is_exchanged, is_exchanged
