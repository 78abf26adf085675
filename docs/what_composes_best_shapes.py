"""Train the small encoder to name the shapes in images, and print how many of the test split it names correctly.

`python docs/what_composes_best_shapes.py data/css [--exchanged]` prints the numbers quoted in what_composes_best.md,
"Selecting by shape". It asks what the images of the training split teach about shapes, apart from any composer or text.
"""

import sys
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import css_gen.dataset
from benchmark import tasks
from benchmark.datasets.exchanged_channels import ChannelExchange
from benchmark.datasets.image_store import ImageStore
from benchmark.training.progress import SilentRuns
from css_gen.scenes.factors import CELLS, Colour, Shape
from models.image_encoders import image_encoder

SHAPES: Final = tuple(Shape)
COLOURS: Final = tuple(Colour)
SIZE: Final = 32
STEPS: Final = 1_200
BATCH: Final = 160
CPU: Final = torch.device("cpu")


class Reader(nn.Module):
    """Images (B, 3, H, W) -> (B, 9, 4): for each cell of the grid the logits of nothing and of each shape."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = image_encoder("small_resnet", image_size=SIZE)
        side = SIZE // self.encoder.reduction
        self.logits = nn.Linear(self.encoder.channels * side**2, len(CELLS) * (1 + len(SHAPES)))

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.logits(self.encoder(images).flatten(1)).view(len(images), len(CELLS), -1)
        return found


def objects(split: css_gen.dataset.Split) -> tuple[Tensor, Tensor]:
    """(images, 9) shapes and colours of what is in each cell, from 1; 0 where nothing is."""
    found = np.zeros((2, len(split), len(CELLS)), dtype=np.int64)
    for image in range(len(split)):
        for item in split.scene(image):
            found[:, image, item.cell.index] = 1 + SHAPES.index(item.shape), 1 + COLOURS.index(item.colour)
    shapes, colours = torch.from_numpy(found)
    return shapes, colours


def train(images: ImageStore, shapes: Tensor, *, is_exchanged: bool) -> Reader:
    """Train a reader on these images, with the channels of half of the batches exchanged if so asked."""
    exchange = ChannelExchange(CPU)
    torch.manual_seed(0)
    reader = Reader().train()
    optimiser = torch.optim.AdamW(reader.parameters(), weight_decay=1e-2)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, STEPS)
    for _ in range(STEPS):
        rows = torch.randint(len(images), (BATCH,))
        batch = images.augmented(rows, shift=1, brightness=0.1)
        if is_exchanged:
            batch, *_ = exchange(batch, rows, count=0)
        loss = functional.cross_entropy(reader(batch).flatten(0, 1), shapes[rows].flatten())
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        rates.step()
    return reader.eval()


def main(folder: Path, *, is_exchanged: bool) -> None:
    dataset = tasks.get("css").open(folder, image_size=SIZE, reporter=SilentRuns(), skip_broken=False)
    stored = css_gen.dataset.open(folder)
    shapes, colours = objects(stored.split("train"))
    shown = torch.zeros(1 + len(SHAPES), 1 + len(COLOURS), dtype=torch.bool)
    shown[shapes, colours] = True
    reader = train(ImageStore(dataset.train.gallery, CPU), shapes, is_exchanged=is_exchanged)
    shapes, colours = objects(stored.split("test"))
    images = ImageStore(dataset.test.gallery, CPU)
    with torch.no_grad():
        parts = [reader(images.batch(rows)).argmax(2) for rows in torch.arange(len(images)).split(500)]  # type: ignore[no-untyped-call]
    named = torch.cat(parts)
    for title, kind in (("in training", shown), ("not in training", ~shown)):
        counted = (shapes > 0) & kind[shapes, colours]
        right = (named == shapes)[counted].float().mean().item()
        sys.stdout.write(f"shape and colour {title}: {100 * right:.1f}% of {int(counted.sum()):,} objects\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), is_exchanged="--exchanged" in sys.argv)
