"""Predict the shapes in images from their features: a loss that teaches the image encoder to see them."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.training.randomness import initial_seed
from css_gen.scenes.factors import CELLS, Shape
from models.network import PARTS, Network


class ShapeReader(nn.Module):
    """Features (B, C, H, W) or (B, C) of images -> (B, 9, 4): for each cell of the grid, the logits of nothing and of
    each shape. It is one linear layer, so that the features themselves have to tell shapes apart.

    Args:
        width: of the features of an image, flattened.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.logits = nn.Linear(width, len(CELLS) * (1 + len(Shape)))

    def forward(self, features: Tensor) -> Tensor:
        found: Tensor = self.logits(features.flatten(1)).float()
        return found.view(len(features), len(CELLS), 1 + len(Shape))


def new_reader(network: Network, *, image_size: int, seed: int) -> ShapeReader:
    """A reader of the network's features; its weights depend on the seed alone, and torch's own CPU state stays."""
    device = network.head.weight.device
    was_training = network.training
    with torch.no_grad():
        one = network.eval().encode_images(torch.zeros(1, 3, image_size, image_size, device=device))
    network.train(was_training)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(initial_seed(seed, len(PARTS)))
        return ShapeReader(one.numel()).to(device)


def shape_loss(logits: Tensor, shapes: Tensor) -> Tensor:
    """The mean cross-entropy over all cells of all images, a scalar.

    Args:
        logits: (B, 9, 4).
        shapes: (B, 9), int64: 0 where a cell is empty, else the shape's number from 1.
    """
    return functional.cross_entropy(logits.flatten(0, 1), shapes.flatten())


def mirrored_shapes(shapes: Tensor) -> Tensor:
    """(B, 9) -> the same of mirrored images: the columns of the grid change places."""
    return shapes.view(-1, 3, 3).flip(2).flatten(1)
