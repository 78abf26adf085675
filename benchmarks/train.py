"""Training and scoring speed beside two yardsticks, in one run: google/tirg's step and a bare matrix product.

    python benchmarks/train.py [--seconds 60] [--data data/css] [--standard]

Training: queries a second of TIRG with ResNet-18 on 64x64 images and batches of 32 queries. The yardstick does what
the step of google/tirg does, written anew: images read from PNG files and transformed one by one in a DataLoader's
workers, a source image encoded once for each of its queries, sources and targets encoded apart, texts cut into words in
every step, the LSTM's last states picked in a loop, the text tiled over the map and convolved with it, triplets listed
in Python and their loss and gradient summed in a Python loop over NumPy rows. Both train TIRG on the last convolution's
map of the same network on the same data, in blocks that take turns. Ours runs twice: with 2 modifications of a source
image beside each other, as the paper samples, and with 8, as the preset `standard` does. On a GPU, or with --standard,
there is a fourth: the whole recipe of `standard` at this size, with its own batch, precision and optimiser.

Scoring: 10,000 queries ranked among 10,000 images with embeddings of 512 numbers, beside one matrix product and `topk`
of these shapes; and the memory that ranking a quarter, all and four times of the queries takes on top of the
embeddings, each in a process of its own.

The result is benchmarks/results/train.json (train-cuda.json on a GPU).
"""

import argparse
import io
import itertools
import json
import math
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import cores, describe_machine
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms import Compose, Normalize, ToTensor

import css_gen.dataset
from benchmark.checkpoint import Identity
from benchmark.config import Config, override, preset
from benchmark.datasets.css import Css
from benchmark.device import choose_device, make_accelerator, peak_memory_mib, reproducible, start_measuring_memory
from benchmark.environment import current_environment
from benchmark.progress import SilentRuns
from benchmark.retrieval import rank_targets
from benchmark.session import Session
from benchmark.single_run import Run, new_network
from models.image_encoders import image_encoder
from models.text_encoders import words_of

SIZE, BATCH, WIDTH = 64, 32, 512
KEPT = 50
BLOCKS = 3
YARDSTICK, EIGHT, STANDARD = "google_tirg_step", "ours_8_modifications_a_source", "ours_standard"
DISTRIBUTIONS = ("css-bench", "torch", "torchvision", "numpy", "accelerate")


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
    """TIRG on the map with the text tiled over its cells: what `models.tirg` computes, without its short cut."""

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
            factor = 2 * (1 - 1 / (1 + math.exp(gap))) / len(ctx.triplets)
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


def recipe(name: str) -> Config:
    """That of one of our contestants."""
    size = (f"data.image_size={SIZE}", "training.steps=1000000")
    if name == STANDARD:
        return override(preset("standard"), size)
    modifications = 2 if name == "ours" else 8
    batch = (f"training.sources={BATCH // modifications}", f"training.modifications={modifications}")
    return override(preset("paper"), (*size, *batch))


def our_steps(root: Path, device: str, config: Config) -> Iterator[None]:
    """Yields after each of our steps."""
    dataset = Css("css", root, source_view="3d", image_size=SIZE, reporter=SilentRuns())
    network = new_network(Run("tirg", "css", 0), config, dataset.train, spatial=True)
    identity = Identity("tirg", "css", dataset.fingerprint, True, 0, config)
    groups, modifications = config.training.sources, config.training.modifications
    sampler = dataset.sampler(dataset.train, groups=groups, modifications=modifications, seed=0)
    session = Session(network, dataset.train, sampler, identity, make_accelerator(device, config.training.precision))
    for step in itertools.count():
        session.step(step)
        yield


def queries_per_second(steps: Iterator[None], batch: int, seconds: float, device: str) -> float:
    next(steps)
    _wait(device)
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        next(steps)
        done += 1
    _wait(device)
    return done * batch / (time.perf_counter() - started)


def _train_when_asked(name: str, root: Path, seconds: float, device: str, workers: int, pipe: Connection) -> None:
    """Answer each True with the queries a second of another block, and end at the first False."""
    random.seed(0)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        if name == YARDSTICK:
            split = css_gen.dataset.open(root).split("train")
            steps, batch = loop_steps(split, Path(folder), torch.device(device), workers), BATCH
        else:
            config = recipe(name)
            steps, batch = our_steps(root, device, config), config.training.batch
        # As in a run of `tirg-bench`.
        with nullcontext() if name == YARDSTICK else reproducible(device):
            while pipe.recv():
                pipe.send(queries_per_second(steps, batch, seconds, device))


def training(root: Path, seconds: float, device: str, *, with_standard: bool) -> dict[str, Any]:
    """Queries a second of each, in blocks that take turns, so that the machine's moods fall on all.

    Each trains in a process of its own: ours sets how the C library allocates, which is not the yardstick's doing.
    """
    workers = min(4, cores())
    spawn = multiprocessing.get_context("spawn")
    at_work = {}
    ours = ("ours", EIGHT, *((STANDARD,) if with_standard else ()))
    for name in (*ours, YARDSTICK):
        here, there = spawn.Pipe()
        # Not a daemon: the yardstick's loader has processes of its own.
        process = spawn.Process(target=_train_when_asked, args=(name, root, seconds / BLOCKS, device, workers, there))
        process.start()
        there.close()  # so that waiting for one that died is an error
        at_work[name] = (process, here)
    rates: dict[str, list[float]] = {name: [] for name in at_work}
    for _ in range(BLOCKS):
        for name, (_, pipe) in at_work.items():
            pipe.send(True)
            rates[name].append(pipe.recv())
    for process, pipe in at_work.values():
        pipe.send(False)
        process.join()
    medians = {name: statistics.median(rate) for name, rate in rates.items()}
    return {
        "what": f"TIRG, ResNet-18, {SIZE}x{SIZE}; queries a second, blocks in turn; batches of {BATCH} queries, fp32; "
        "ours_standard has the batch and the precision of the preset",
        "loader_workers_of_google_tirg_step": workers,
        "queries_per_second": rates,
        "medians": medians,
        "ratios": {name: medians[name] / medians[YARDSTICK] for name in ours},
    }


def embeddings(count: int, device: str, *, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return nn.functional.normalize(torch.randn(count, WIDTH, generator=generator), dim=1).to(device)


def rank(query: Tensor, gallery: Tensor) -> None:
    """As scoring does: every query has a source to leave out, and one right answer."""
    images = len(gallery)
    sources, labels = torch.arange(len(query)) % images, torch.arange(images)
    rank_targets(query, gallery, sources, (sources + 1) % images, labels, top_k=KEPT)


def scoring(count: int, device: str) -> dict[str, Any]:
    query, gallery = embeddings(count, device, seed=0), embeddings(count, device, seed=1)

    def bare() -> None:
        (query @ gallery.T).topk(KEPT, dim=1)

    contestants: dict[str, Callable[[], None]] = {"ours": lambda: rank(query, gallery), "matmul_topk": bare}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(BLOCKS):
        for name, work in contestants.items():
            seconds[name].append(_timed(work, device))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as processes:
        peaks = {
            str(queries): processes.submit(memory_of_ranking, queries, count, device).result()
            for queries in (count // 4, count, 4 * count)
        }
    ours, theirs = (statistics.median(seconds[name]) for name in contestants)
    return {
        "what": f"{count} queries ranked among {count} images, {WIDTH} numbers each, the best {KEPT}; seconds, in turn",
        "seconds": seconds,
        "medians": {"ours": ours, "matmul_topk": theirs},
        "ratio": ours / theirs,
        "memory_mib_beyond_the_embeddings_by_queries": peaks,
    }


def memory_of_ranking(queries: int, images: int, device: str) -> float:
    """MiB at the peak, beyond what lies in memory before."""
    query, gallery = embeddings(queries, device, seed=0), embeddings(images, device, seed=1)
    rank(query[:64], gallery[:64])  # the libraries' own buffers
    start_measuring_memory(device)
    before = peak_memory_mib(device)
    rank(query, gallery)
    return peak_memory_mib(device) - before


def _timed(work: Callable[[], None], device: str) -> float:
    _wait(device)
    started = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - started


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/css"), help="a rendered CSS dataset")
    parser.add_argument("--seconds", type=float, default=60, help="of training for each contestant")
    parser.add_argument("--standard", action="store_true", help="train with the preset `standard`, too")
    parser.add_argument("--count", type=int, default=10_000, help="of queries and of images to rank")
    parser.add_argument("--device", default=None, help="cpu or cuda; by default a GPU if there is one")
    parser.add_argument("--out", type=Path, default=None, help="the file of the result")
    options = parser.parse_args()
    device = choose_device(options.device)
    path = options.out or Path(__file__).parent / "results" / ("train.json" if device == "cpu" else "train-cuda.json")
    machine = describe_machine(*DISTRIBUTIONS)
    random.seed(0)
    torch.manual_seed(0)
    result: dict[str, Any] = {
        "benchmark": "train",
        "machine": machine,
        "device": current_environment(device).device,
        "threads": torch.get_num_threads(),
        "training": training(options.data, options.seconds, device, with_standard=options.standard or device != "cpu"),
        "scoring": scoring(options.count, device),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    for name, ratio in result["training"]["ratios"].items():
        print(f"training, {name}: {ratio:.2f} times as fast as google/tirg's step")  # noqa: T201
    print(f"scoring: {result['scoring']['ratio']:.2f} times as long as a matrix product and topk")  # noqa: T201
    print(f"memory by queries: {result['scoring']['memory_mib_beyond_the_embeddings_by_queries']}")  # noqa: T201
    print(f"written to {path}")  # noqa: T201


if __name__ == "__main__":
    main()
