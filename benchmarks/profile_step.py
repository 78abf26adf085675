"""Where the time of one training step goes, beside the least that its arithmetic could take.

    python benchmarks/profile_step.py [--preset quick] [--composer tirg] [--device cpu] [--steps 20] [--set KEY=VALUE]

Kernel time comes from torch's profiler, by kind of operation. The floor of the arithmetic is the step's floating-point
operations (as torch counts them, forward and backward) over the rate of a large matrix product in the same precision,
measured here in the same run. "Outside" is the time of a step in which no operation runs: on a CPU that is Python and
the making of batches, on a GPU the time in which it waits. A host sync is any call that makes the program wait for the
GPU.

The result is benchmarks/results/profile-<preset>-<device>.json; docs/performance.md says what it means.
"""

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmark import datasets
from benchmark.checkpoint import Identity
from benchmark.config import override, preset
from benchmark.datasets.base import hold_out
from benchmark.device import choose_device, make_accelerator, reproducible
from benchmark.progress import SilentRuns
from benchmark.session import Session
from benchmark.single_run import Run, new_network

WARMUP = 5
KINDS = {
    "convolution, forward": (
        "convolution_forward",
        "mkldnn_convolution",
        "cudnn_convolution",
        "thnn_conv",
        "slow_conv",
    ),
    "convolution, backward": ("convolution_backward",),
    "normalisation": ("batch_norm",),
    "text LSTM": ("lstm", "rnn", "_thnn_fused"),
    "optimiser": ("_fused_adam", "_fused_sgd", "foreach", "newton", "bmm", "baddbmm"),
    "matrix products": ("addmm", "aten::mm", "matmul", "linear"),
    "copies and layouts": ("copy_", "contiguous", "_to_copy", "clone", "cat", "index_select", "index"),
}
SYNCS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


def kind_of(operation: str) -> str:
    return next((kind for kind, parts in KINDS.items() if any(part in operation for part in parts)), "all else")


def matrix_rate(device: torch.device, precision: str) -> float:
    """Floating-point operations a second of a large matrix product."""
    size = 8192 if device.type == "cuda" else 1536
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    one, other = torch.randn(2, size, size, device=device, dtype=kind)
    best = float("inf")
    for _ in range(8):
        started = time.perf_counter()
        one @ other
        _wait(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def profiled(options: argparse.Namespace) -> dict[str, Any]:
    device = torch.device(choose_device(options.device))
    config = override(preset(options.preset), options.assignments)
    place = Path(options.data)
    dataset = datasets.info("css").open(
        place, image_size=config.data.image_size, reporter=SilentRuns(), skip_broken=False
    )
    training, _ = hold_out(dataset.train, config.evaluation.held_out)
    network = new_network(Run(options.composer, "css", 0), config, training, spatial=True)
    identity = Identity(options.composer, "css", dataset.fingerprint, True, 0, config)
    groups, modifications = config.training.sources, config.training.modifications
    sampler = dataset.sampler(training, groups=groups, modifications=modifications, seed=0)
    session = Session(network, training, sampler, identity, make_accelerator(str(device), config.training.precision))
    for step in range(WARMUP):
        session.step(step)
    _wait(device)
    started = time.perf_counter()
    for step in range(options.steps):
        session.step(WARMUP + step)
    _wait(device)
    milliseconds = 1000 * (time.perf_counter() - started) / options.steps
    with FlopCounterMode(display=False) as counter:
        session.step(0)
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    with profile(activities=activities) as profiler:
        for step in range(options.steps):
            session.step(WARMUP + step)
        _wait(device)
    kinds: dict[str, float] = defaultdict(float)
    syncs = 0
    for event in profiler.key_averages():
        own = event.self_device_time_total if device.type == "cuda" else event.self_cpu_time_total
        if event.key in SYNCS:
            syncs += event.count
        elif event.key.startswith("aten::") or device.type == "cuda":
            kinds[kind_of(event.key)] += own / 1000 / options.steps
    rate = matrix_rate(device, config.training.precision)
    busy = sum(kinds.values())
    return {
        "what": f"{options.composer}, preset {config.preset}, {config.training.batch} queries a step",
        "device": str(device),
        "threads": torch.get_num_threads(),
        "milliseconds_a_step": milliseconds,
        "queries_per_second": 1000 * config.training.batch / milliseconds,
        "milliseconds_by_kind": dict(sorted(kinds.items(), key=lambda item: -item[1])),
        "milliseconds_outside": max(0.0, milliseconds - busy),
        "busy_percent": min(100.0, 100 * busy / milliseconds),
        "gflop_a_step": counter.get_total_flops() / 1e9,
        "matrix_gflop_per_second": rate / 1e9,
        "floor_milliseconds": 1000 * counter.get_total_flops() / rate,
        "host_syncs_a_step": syncs / options.steps,
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--composer", default="tirg")
    parser.add_argument("--device")
    parser.add_argument("--data", default="data/css")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    with reproducible(choose_device(options.device)):
        found = profiled(options)
    machine = describe_machine("css-bench", "torch", "torchvision", "numpy")
    name = f"profile-{options.preset}-{found['device'].partition(':')[0]}.json"
    path = Path(__file__).parent / "results" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"benchmark": "profile_step", "machine": machine, **found}, indent=2) + "\n")
    for key, value in found.items():
        print(f"{key}: {value}")  # noqa: T201
    print(f"written to {path}")  # noqa: T201


if __name__ == "__main__":
    main()
