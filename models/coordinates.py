"""Add each cell's position to a map as two more channels."""

import torch
from torch import Tensor


def with_coordinates(image: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C + 2, H, W): the last two channels are the row and the column, each from -1 to 1.

    The first and last cells are at -1 and 1; a single row or column is at -1.
    """
    batch, _, height, width = image.shape
    rows = torch.linspace(-1, 1, height, dtype=image.dtype, device=image.device)
    columns = torch.linspace(-1, 1, width, dtype=image.dtype, device=image.device)
    rows = rows[:, None].expand(batch, 1, height, width)
    columns = columns.expand(batch, 1, height, width)
    return torch.cat((image, rows, columns), dim=1)
