"""The step of google/tirg, written anew: the yardstick of `speed/train.py`.

Images are read from PNG files and transformed one by one in a DataLoader's workers, a source image is encoded once
for each of its queries, sources and targets apart, texts are cut into words in every step, the LSTM's last states are
picked in a loop, the text is tiled over the map and convolved with it, triplets are listed in Python, and their loss
and gradient summed in a Python loop over NumPy rows.
"""

import io
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms import Compose, Normalize, ToTensor

import css_gen.dataset
from models.image_encoders import image_encoder
from models.text_encoders.vocabulary import words_of

SIZE, BATCH, WIDTH = 64, 32, 512


class PngFolder(TorchDataset[dict[str, Any]]):
    """Query after query as the official loader makes them: a random one, then another of the same source."""

    def __init__(self, split: css_gen.dataset.Split, folder: Path) -> None:
        self.folder, self.queries = folder, split.queries
        self.of_source: dict[int, list[int]] = {}
        for number, query in enumerate(self.queries):
            self.of_source.setdefault(query.source_id, []).append(number)
        self.transform = Compose([ToTensor(), Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
        self.last: int | None = None
        for number, png in enumerate(split.iter_pngs(["image_3d"])):
            with Image.open(io.BytesIO(png[0])) as image:
                image.resize((SIZE, SIZE), Image.Resampling.BOX).save(self.path(number))

    def path(self, image: int) -> Path:
        return self.folder / f"{image:06d}.png"

    def __len__(self) -> int:
        return len(self.queries)

    def __getitem__(self, _: int) -> dict[str, Any]:
        if self.last is None:
            number = self.last = random.randrange(len(self.queries))
        else:
            others = [each for each in self.of_source[self.queries[self.last].source_id] if each != self.last]
            number, self.last = random.choice(others or [self.last]), None
        query = self.queries[number]
        return {
            "source": self.image(query.source_id),
            "target": self.image(query.target_id),
            "text": query.text,
        }

    def image(self, number: int) -> Tensor:
        with self.path(number).open("rb") as file:
            transformed: Tensor = self.transform(Image.open(file).convert("RGB"))
        return transformed


class TiledTirg(nn.Module):
    """TIRG on the map with the text tiled over its cells: as `models.composers.tirg`, without its short cut."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        joint = channels + width
        self.gate, self.residual = (
            nn.Sequential(
                nn.BatchNorm2d(joint),
                nn.Conv2d(joint, joint, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(joint, channels, 3, padding=1),
            )
            for _ in range(2)
        )
        self.weights = nn.Parameter(torch.tensor([1.0, 10.0]))

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        tiled = text[:, :, None, None].repeat(1, 1, *image.shape[2:])
        joint = torch.cat([image, tiled], dim=1)
        kept: Tensor = torch.sigmoid(self.gate(joint)) * image * self.weights[0]
        added: Tensor = self.residual(joint) * self.weights[1]
        return kept + added


class LoopNetwork(nn.Module):
    """The same encoders and head, put together as in the official model."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__()
        words = sorted({word for text in texts for word in words_of(text)})
        self.numbers = {word: number for number, word in enumerate(words, start=1)}
        self.image_encoder = image_encoder("resnet18")
        self.embedding = nn.Embedding(len(words) + 1, WIDTH)
        self.lstm = nn.LSTM(WIDTH, WIDTH)
        self.text_layer = nn.Sequential(nn.Dropout(0.1), nn.Linear(WIDTH, WIDTH))
        self.composer = TiledTirg(self.image_encoder.channels, WIDTH)
        self.head = nn.Linear(self.image_encoder.channels, WIDTH)
        self.scale = nn.Parameter(torch.tensor(4.0))

    def encode_texts(self, texts: list[str], device: torch.device) -> Tensor:
        rows = [[self.numbers.get(word, 0) for word in words_of(text)] for text in texts]
        ids = torch.zeros((max(map(len, rows)), len(rows)), dtype=torch.int64)
        for column, row in enumerate(rows):
            ids[: len(row), column] = torch.tensor(row)
        tokens = self.embedding(ids.to(device))
        states = self.lstm(tokens)[0]
        last = torch.stack([states[len(row) - 1, column] for column, row in enumerate(rows)])
        encoded: Tensor = self.text_layer(last)
        return encoded

    def embed(self, features: Tensor) -> Tensor:
        vector = self.head(features.mean(dim=(2, 3)))
        embedding: Tensor = vector / vector.norm(dim=1, keepdim=True) * self.scale
        return embedding

    def forward(self, sources: Tensor, texts: list[str], targets: Tensor) -> Tensor:
        query = self.embed(self.composer(self.image_encoder(sources), self.encode_texts(texts, sources.device)))
        target = self.embed(self.image_encoder(targets))
        return loop_triplet_loss(query, target)


def loop_triplet_loss(query: Tensor, target: Tensor) -> Tensor:
    """Three random triplets for each of the 2 B vectors, drawn from a list of all, as the official loss does."""
    labels = [*range(len(query)), *range(len(target))]
    triplets: list[tuple[int, int, int]] = []
    for anchor in range(len(labels)):
        possible = [
            (anchor, positive, negative)
            for positive in range(len(labels))
            if labels[anchor] == labels[positive] and anchor != positive
            for negative in range(len(labels))
            if labels[anchor] != labels[negative]
        ]
        random.shuffle(possible)
        triplets += possible[:3]
    loss: Tensor = _LoopTriplets.apply(torch.cat([query, target]), triplets)
    return loss


class _LoopTriplets(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, triplets: list[tuple[int, int, int]]) -> Tensor:
        ctx.save_for_backward(features)
        norms = features.pow(2).sum(1)
        distances = (norms[:, None] + norms[None] - 2 * features @ features.T).clamp_min(0).cpu().numpy()
        ctx.triplets, ctx.distances = triplets, distances
        total = 0.0
        for anchor, positive, negative in triplets:
            total += math.log1p(math.exp(distances[anchor, positive] - distances[anchor, negative]))
        return features.new_tensor(total / len(triplets))

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None]:
        (features,) = ctx.saved_tensors
        rows = features.cpu().numpy()
        gradient = np.zeros_like(rows)
        for anchor, positive, negative in ctx.triplets:
            gap = ctx.distances[anchor, positive] - ctx.distances[anchor, negative]
            factor = (1 - 1 / (1 + math.exp(gap))) / len(ctx.triplets)  # without the 2 of a square, as released
            gradient[anchor] += factor * (rows[negative] - rows[positive])
            gradient[positive] += factor * (rows[positive] - rows[anchor])
            gradient[negative] += factor * (rows[anchor] - rows[negative])
        return torch.from_numpy(gradient).to(features.device) * outer[0], None


def loop_steps(split: css_gen.dataset.Split, folder: Path, device: torch.device, workers: int) -> Iterator[None]:
    """Yields after each step of the yardstick."""
    data = PngFolder(split, folder)
    network = LoopNetwork([query.text for query in data.queries]).to(device).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-2, momentum=0.9, weight_decay=1e-6)
    loader = DataLoader(data, BATCH, shuffle=True, drop_last=True, num_workers=workers, collate_fn=list)
    while True:
        for items in loader:
            sources = torch.stack([item["source"] for item in items]).to(device)
            targets = torch.stack([item["target"] for item in items]).to(device)
            loss = network(sources, [item["text"] for item in items], targets)
            if not loss.isfinite():
                raise SystemExit("the yardstick's loss is not finite")
            loss.item()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            yield
