"""Permute the colour channels of images, and rename the colours in their texts."""

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
_NAMES: Final = tuple("-" + "".join("rgb"[channel] for channel in order) for order in ORDERS[1:])


def exchanged_text(text: str, order: Sequence[int]) -> str:
    """Rewrite a text for images whose channel c is channel `order[c]` of the original.

    The new colours may have no name in the grammar, so each order has its own names.

    >>> exchanged_text("make small red circle gray", (1, 0, 2))
    'make small red-grb circle gray'
    """
    return _COLOUR.sub(rf"\1-{''.join('rgb'[channel] for channel in order)}", text)


def exchanged_texts(texts: Sequence[str]) -> list[str]:
    """Return a table of texts for `ChannelExchange`: the texts, and then all of them for each further order."""
    return [*texts, *(exchanged_text(text, order) for order in ORDERS[1:] for text in texts)]


def is_exchanged_name(word: str) -> bool:
    """Whether a word is a name that `exchanged_text` gives a colour, which no text of a dataset has."""
    return word.endswith(_NAMES) and _COLOUR.match(word) is not None


class ChannelExchange:
    """Put the channels of a whole batch into another order, drawn at random, with probability one half.

    Sources, targets and texts change together. What answers a query still answers it then, so labels stay as they are.

    Args:
        device: where batches are; the tensors that an exchange needs are made once.
    """

    def __init__(self, device: torch.device) -> None:
        self._orders = torch.tensor(ORDERS, device=device)
        mean, deviation = torch.tensor(IMAGE_MEAN, device=device), torch.tensor(IMAGE_DEVIATION, device=device)
        self._factors = (deviation[self._orders] / deviation).view(-1, 1, 3, 1, 1)
        self._offsets = ((mean[self._orders] - mean) / deviation).view(-1, 1, 3, 1, 1)

    def __call__(
        self, images: Tensor, texts: Tensor, *, count: int, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the images, the rows of the texts, and a bool, a scalar: whether the order is another one.

        Args:
            images: (N, 3, H, W), normalised.
            texts: (B,) rows of a table of `count` texts that `exchanged_texts` has made longer.
            generator: on the device; None for torch's default one there.
        """
        is_exchanged = torch.rand((), generator=generator, device=images.device) < 0.5
        number = torch.randint(1, len(ORDERS), (1,), generator=generator, device=images.device)
        order, factor, offset = (
            table.index_select(0, number)[0] for table in (self._orders, self._factors, self._offsets)
        )
        exchanged = torch.addcmul(offset, images.index_select(1, order), factor)
        exchanged = exchanged.contiguous(memory_format=torch.channels_last)
        return torch.where(is_exchanged, exchanged, images), texts + count * number * is_exchanged, is_exchanged
