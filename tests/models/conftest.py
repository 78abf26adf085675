"""Small random features for the composers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from models import TextFeatures

CHANNELS = 8
TEXT_WIDTH = 6

Batch = Callable[..., tuple[Tensor, TextFeatures]]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def batch() -> Batch:
    """`batch(spatial=True, rows=5, size=(3, 4), seed=0)` -> image (B, 8, H, W) or (B, 8), texts 6 wide."""

    def make(
        *, spatial: bool, rows: int = 5, size: tuple[int, int] = (3, 4), seed: int = 0, **kind: Any
    ) -> tuple[Tensor, TextFeatures]:
        generator = torch.Generator().manual_seed(seed)
        shape = (rows, CHANNELS, *size) if spatial else (rows, CHANNELS)
        lengths = 1 + torch.arange(rows) % 4
        return torch.randn(shape, generator=generator).to(**kind), TextFeatures(
            pooled=torch.randn((rows, TEXT_WIDTH), generator=generator).to(**kind),
            tokens=torch.randn((rows, 4, TEXT_WIDTH), generator=generator).to(**kind),
            mask=torch.arange(4) < lengths[:, None],
        )

    return make
