"""Training and scoring speed beside two yardsticks, in one run: google/tirg's step and a bare matrix product.

    python speed/train.py [--seconds 60] [--data data/css] [--standard] [--scoring-only]

Training: queries a second of TIRG with ResNet-18 on 64x64 images and batches of 32 queries, beside google/tirg's step
as `peers/google_tirg.py` has it. Both train TIRG on the last convolution's map of the same network on the same data,
in blocks that take turns. Ours runs twice: with 2 modifications of a source image beside each other, as the paper
samples, and with 8, as the preset `standard` does. On a GPU, or with --standard, there is a fourth: the whole recipe
of `standard` at this size, with its own batch, precision and optimiser.

Scoring: as many queries and images as the original's test split (18,012 and 19,012) with embeddings of 512 numbers,
and with several right answers for some queries, beside one matrix product and `topk` of these shapes; and the memory
that ranking a quarter, all and four times of the queries takes on top of the embeddings, each in a process of its own.

The result is speed/results/train-<device>.json; with --scoring-only, scoring-<device>.json.
"""

import argparse
import itertools
import json
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

import torch
from machine import cores, describe_machine
from peers.google_tirg import BATCH, SIZE, WIDTH, loop_steps
from torch import Tensor, nn

import css_gen.dataset
from benchmark.datasets.relevance import Relevance
from benchmark.datasets.rendered_css import Css
from benchmark.device import choose_device, make_accelerator, peak_memory_mib, reproducible, start_measuring_memory
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.recipe.presets import preset
from benchmark.recipe.schema import Recipe
from benchmark.records.environment import cpu_name
from benchmark.runs.single_run import new_network
from benchmark.scoring.ranking import rank_targets
from benchmark.training.progress import SilentRuns
from benchmark.training.samplers import make_sampler
from benchmark.training.step import Session
from css_gen.storage.atomic import write_atomically

KEPT = 50
BLOCKS = 3
YARDSTICK, EIGHT, STANDARD = "google_tirg_step", "ours_8_modifications_a_source", "ours_standard"
DISTRIBUTIONS = ("css-bench", "torch", "torchvision", "numpy", "accelerate")


def recipe(name: str) -> Recipe:
    """That of one of our contestants."""
    size = (f"data.image_size={SIZE}", "training.steps=1000000")
    if name == STANDARD:
        return override(preset("standard"), size)
    modifications = 2 if name == "ours" else 8
    batch = (f"training.sources={BATCH // modifications}", f"training.modifications={modifications}")
    return override(preset("paper"), (*size, *batch))


def our_steps(root: Path, device: str, config: Recipe) -> Iterator[None]:
    """Yields after each of our steps."""
    dataset = Css("css", root, source_view="3d", image_size=SIZE, reporter=SilentRuns())
    run = Run("css", "tirg", config, 0, dataset.fingerprint, True)
    network = new_network(run, dataset.train)
    groups, modifications = config.training.sources, config.training.modifications
    sampler = make_sampler(dataset.train, groups=groups, modifications=modifications, seed=0)
    accelerator = make_accelerator(device, config.training.precision)
    session = Session(network, dataset.train, sampler, run, accelerator, graph=True)
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
    """Answer whatever is sent with the queries a second of another block, until the other end is closed."""
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
            while _is_asked(pipe):
                pipe.send(queries_per_second(steps, batch, seconds, device))


def _is_asked(pipe: Connection) -> bool:
    try:
        return bool(pipe.recv())
    except (EOFError, ConnectionError):
        return False


def training(root: Path, seconds: float, device: str, *, with_standard: bool) -> dict[str, Any]:
    """Queries a second of each, in blocks that take turns, so that the machine's moods fall on all.

    Each trains in a process of its own: ours sets how the C library allocates, which is not the yardstick's doing.
    """
    workers = min(4, cores())
    spawn = multiprocessing.get_context("spawn")
    ours = ("ours", EIGHT, *((STANDARD,) if with_standard else ()))
    rates: dict[str, list[float]] = {name: [] for name in (*ours, YARDSTICK)}
    pipes: dict[str, Connection] = {}
    try:
        for name in rates:
            pipes[name], there = spawn.Pipe()
            arguments = (name, root, seconds / BLOCKS, device, workers, there)
            # Not a daemon: the yardstick's loader has processes of its own.
            spawn.Process(target=_train_when_asked, args=arguments).start()
            there.close()  # so that waiting for one that died is an error
        for _ in range(BLOCKS):
            for name, pipe in pipes.items():
                pipe.send(True)
                rates[name].append(pipe.recv())
    except (EOFError, ConnectionError):
        raise SystemExit("a contestant died; its message is above") from None
    finally:
        for pipe in pipes.values():
            pipe.close()
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


def answers_of(images: int, *, targets: Tensor) -> Relevance:
    """As many right answers as in CSS: one for five queries of six, the target's; two to eight for the others."""
    return Relevance.of_sets(
        {(target + 7 * number) % images for number in range(2 + query % 7 if query % 6 == 0 else 1)}
        for query, target in enumerate(targets.tolist())
    )


def ranking(query: Tensor, gallery: Tensor) -> Callable[[], None]:
    """Rank as scoring does: every query has a source to leave out, and its right answers."""
    images = len(gallery)
    sources, labels = torch.arange(len(query)) % images, torch.arange(images)
    targets = (sources + 1) % images
    relevant = answers_of(images, targets=targets)

    def work() -> None:
        rank_targets(query, gallery, sources, targets, labels, top_k=KEPT, relevant=relevant)

    return work


def scoring(queries: int, images: int, device: str) -> dict[str, Any]:
    query, gallery = embeddings(queries, device, seed=0), embeddings(images, device, seed=1)

    def bare() -> None:
        (query @ gallery.T).topk(KEPT, dim=1)

    contestants: dict[str, Callable[[], None]] = {"ours": ranking(query, gallery), "matmul_topk": bare}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(BLOCKS):
        for name, work in contestants.items():
            seconds[name].append(_timed(work, device))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as processes:
        peaks = {
            str(count): processes.submit(memory_of_ranking, count, images, device).result()
            for count in (queries // 4, queries, 4 * queries)
        }
    ours, theirs = (statistics.median(seconds[name]) for name in contestants)
    return {
        "what": f"{queries} queries, a sixth of them with two to eight right answers, ranked among {images} images, "
        f"{WIDTH} numbers each, the best {KEPT}; seconds, in turn",
        "seconds": seconds,
        "medians": {"ours": ours, "matmul_topk": theirs},
        "ratio": ours / theirs,
        "memory_mib_beyond_the_embeddings_by_queries": peaks,
    }


def memory_of_ranking(queries: int, images: int, device: str) -> float:
    """MiB at the peak, beyond what lies in memory before."""
    query, gallery = embeddings(queries, device, seed=0), embeddings(images, device, seed=1)
    ranking(query[:64], gallery[:64])()  # the libraries' own buffers
    work = ranking(query, gallery)
    start_measuring_memory(device)
    before = peak_memory_mib(device)
    work()
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
    parser.add_argument("--scoring-only", action="store_true", help="leave the training out")
    parser.add_argument("--queries", type=int, default=18_012, help="to rank")
    parser.add_argument("--images", type=int, default=19_012, help="to rank them among")
    parser.add_argument("--device", default=None, help="cpu or cuda; by default a GPU if there is one")
    parser.add_argument("--out", type=Path, default=None, help="the file of the result")
    options = parser.parse_args()
    device = choose_device(options.device)
    name = "scoring" if options.scoring_only else "train"
    path = options.out or Path(__file__).parent / "results" / f"{name}-{device.partition(':')[0]}.json"
    machine = describe_machine(*DISTRIBUTIONS)
    random.seed(0)
    torch.manual_seed(0)
    result: dict[str, Any] = {
        "benchmark": name,
        "machine": machine,
        "device": cpu_name() if device == "cpu" else torch.cuda.get_device_name(device),
        "threads": torch.get_num_threads(),
    }
    if not options.scoring_only:
        with_standard = options.standard or device != "cpu"
        result["training"] = training(options.data, options.seconds, device, with_standard=with_standard)
    result["scoring"] = scoring(options.queries, options.images, device)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(result, indent=2) + "\n").encode())
    for contestant, ratio in result.get("training", {}).get("ratios", {}).items():
        print(f"training, {contestant}: {ratio:.2f} times as fast as google/tirg's step")  # noqa: T201
    print(f"scoring: {result['scoring']['ratio']:.2f} times as long as a matrix product and topk")  # noqa: T201
    print(f"memory by queries: {result['scoring']['memory_mib_beyond_the_embeddings_by_queries']}")  # noqa: T201
    print(f"written to {path}")  # noqa: T201


if __name__ == "__main__":
    main()
