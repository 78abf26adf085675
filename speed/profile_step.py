"""Where the time of one training step goes, beside the least that its arithmetic could take.

    python speed/profile_step.py [--preset quick] [--composer tirg] [--device cpu] [--steps 20] [--set KEY=VALUE]

Kernel time comes from torch's profiler, by the kind of operation that started the kernels; all that the optimiser
does is one kind. Two floors are measured in the same run. That of the arithmetic is the step's floating-point
operations (as torch counts them, forward and backward) over the rate of a large matrix product or a large convolution
in the same precision, whichever is faster here. That of memory is the least traffic that the step can do with (what
the forward pass keeps is written once and read once; every weight is read forward, backward and by the optimiser,
which reads its gradient and reads and writes its state) over the rate of a large copy. "Outside" is the time of a
step in which no operation runs: on a CPU that is Python and the making of batches, on a GPU the time in which it
waits. On a GPU the step's time is that of its CUDA graph (--no-graph: launched kernel by kernel), and kinds, busy
time and syncs are those of the same kernels launched one by one, as a graph tells nothing of its parts. A host sync
is any call that makes the program wait for the GPU; one of those counted is the measurement's own last one.

The result is profile-<preset>-<device>.json in speed/results, or in --results FOLDER; docs/performance.md says
what it means.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import torch
from machine import describe_machine
from torch import Tensor
from torch.autograd import DeviceType
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmark import tasks as datasets
from benchmark.datasets.splits import hold_out
from benchmark.device import choose_device, kept_for_gradient, make_accelerator, reproducible
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.recipe.label import label
from benchmark.recipe.presets import preset
from benchmark.runs.single_run import new_network
from benchmark.training.progress import SilentRuns
from benchmark.training.samplers import make_sampler
from benchmark.training.step import Session
from css_gen.storage.atomic import write_atomically

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
    "matrix products": ("addmm", "aten::mm", "bmm", "matmul", "linear"),
    "copies and layouts": ("copy_", "contiguous", "_to_copy", "clone", "cat", "index_select", "index"),
}
SYNCS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


class Event(Protocol):
    """What is read of torch's FunctionEvent; times are in microseconds."""

    key: str
    cpu_parent: "Event | None"
    device_type: DeviceType
    is_user_annotation: bool
    self_cpu_time_total: float
    self_device_time_total: float
    time_range: Any


def kind_of(event: Event) -> str:
    outer: Event | None = event
    while outer is not None:
        if outer.key.startswith("Optimizer.step"):
            return "optimiser"
        outer = outer.cpu_parent
    return next((kind for kind, parts in KINDS.items() if any(part in event.key for part in parts)), "all else")


def microseconds_by_kind(events: Iterable[Event], *, on_gpu: bool) -> dict[str, float]:
    """Time in operations. On a GPU that of the kernels which each one started: the kernels themselves are among the
    events, too, and are left out, as they would count twice."""
    kinds: dict[str, float] = defaultdict(float)
    for event in events:
        if event.device_type != DeviceType.CPU:
            continue
        own = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        if own and (on_gpu or event.key.startswith("aten::")):
            kinds[kind_of(event)] += own
    return dict(kinds)


def busy_microseconds(events: Iterable[Event]) -> float:
    """Time in which at least one kernel runs on the GPU; kernels of several streams may run at once."""
    spans = sorted(
        (event.time_range.start, event.time_range.end)
        for event in events
        if event.device_type != DeviceType.CPU and not event.is_user_annotation
    )
    busy, until = 0.0, float("-inf")
    for start, end in spans:
        busy += max(0.0, end - max(start, until))
        until = max(until, end)
    return busy


def arithmetic_rate(device: torch.device, precision: str) -> float:
    """Floating-point operations a second: the better of a large matrix product and a large convolution."""
    size, channels, side, images = (8192, 512, 32, 128) if device.type == "cuda" else (1536, 256, 16, 64)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    one, other = torch.randn(2, size, size, device=device, dtype=kind)
    maps = torch.randn(images, channels, side, side, device=device, dtype=kind)
    weight = torch.randn(channels, channels, 3, 3, device=device, dtype=kind)
    maps, weight = (tensor.contiguous(memory_format=torch.channels_last) for tensor in (maps, weight))
    product = 2 * size**3 / _least_seconds(lambda: one @ other, device)
    operations = 2 * images * side**2 * 9 * channels**2
    convolution = operations / _least_seconds(lambda: functional.conv2d(maps, weight, padding=1), device)
    return max(product, convolution)


def memory_rate(device: torch.device) -> float:
    """Bytes a second that a large copy reads and writes."""
    source = torch.ones(2**28 if device.type == "cuda" else 2**25, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _least_seconds(lambda: target.copy_(source), device)


def launched(session: Session, step: int) -> Tensor:
    """Take a step kernel by kernel, also where it is repeated as a graph."""
    session.host_part(step)
    return session.device_part()


def least_bytes(session: Session) -> int:
    """The memory traffic of a step, if every tensor is moved no more often than it must."""
    kept = kept_for_gradient(lambda: launched(session, 0))
    weights = {parameter.untyped_storage().data_ptr() for parameter in session.network.parameters()}
    activations = sum(size for place, size in kept.items() if place not in weights)
    parameters = sum(parameter.nbytes for parameter in session.network.parameters())
    states = session.optimiser.state.values()
    state = sum(value.nbytes for each in states for value in each.values() if isinstance(value, Tensor))
    return 2 * activations + 6 * parameters + 2 * state


def _least_seconds(work: Callable[[], object], device: torch.device) -> float:
    best = float("inf")
    for _ in range(8):
        started = time.perf_counter()
        work()
        _wait(device)
        best = min(best, time.perf_counter() - started)
    return best


def profiled(options: argparse.Namespace) -> dict[str, Any]:
    device = torch.device(choose_device(options.device))
    config = override(preset(options.preset), options.assignments)
    place = Path(options.data)
    dataset = datasets.get("css").open(
        place, image_size=config.data.image_size, reporter=SilentRuns(), skip_broken=False
    )
    training, _ = hold_out(dataset.train, config.evaluation.held_out)
    run = Run("css", options.composer, config, 0, dataset.fingerprint, True)
    network = new_network(run, training)
    groups, modifications = config.training.sources, config.training.modifications
    sampler = make_sampler(training, groups=groups, modifications=modifications, seed=0)
    accelerator = make_accelerator(str(device), config.training.precision)
    session = Session(
        network, training, sampler, run, accelerator, compiled=options.compile, graph=options.graph, note=print
    )
    for step in range(WARMUP):
        session.step(step)
    _wait(device)
    started = time.perf_counter()
    for step in range(options.steps):
        session.step(WARMUP + step)
    _wait(device)
    milliseconds = 1000 * (time.perf_counter() - started) / options.steps
    timed = {
        "what": f"{options.composer}, preset {label(config)}, {config.training.batch} queries a step"
        + ", compiled" * options.compile
        + ", as a CUDA graph" * (options.graph and device.type == "cuda"),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "milliseconds_a_step": milliseconds,
        "queries_per_second": 1000 * config.training.batch / milliseconds,
    }
    if options.rate_only:
        return timed
    with FlopCounterMode(display=False) as counter:
        launched(session, 0)
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    with profile(activities=activities) as profiler:
        for step in range(options.steps):
            launched(session, WARMUP + step)
        _wait(device)
    events, on_gpu = list(profiler.events()), device.type == "cuda"
    syncs = sum(event.key in SYNCS for event in events)
    kinds = {kind: total / 1000 / options.steps for kind, total in microseconds_by_kind(events, on_gpu=on_gpu).items()}
    busy = busy_microseconds(events) / 1000 / options.steps if on_gpu else sum(kinds.values())
    rate, traffic = arithmetic_rate(device, config.training.precision), least_bytes(session)
    return {
        **timed,
        "milliseconds_by_kind": dict(sorted(kinds.items(), key=lambda item: -item[1])),
        "milliseconds_outside": max(0.0, milliseconds - busy),
        "busy_percent": min(100.0, 100 * busy / milliseconds),
        "gflop_a_step": counter.get_total_flops() / 1e9,
        "best_gflop_per_second": rate / 1e9,
        "floor_milliseconds_of_arithmetic": 1000 * counter.get_total_flops() / rate,
        "least_megabytes_a_step": traffic / 1e6,
        "floor_milliseconds_of_memory": 1000 * traffic / memory_rate(device),
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
    parser.add_argument("--compile", action="store_true", help="compile the network with torch.compile")
    parser.add_argument("--no-graph", dest="graph", action="store_false", help="launch a GPU's kernels one by one")
    parser.add_argument("--rate-only", action="store_true", help="time the step, after warming up, and no more")
    parser.add_argument("--name", help="of the result, without .json")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results", metavar="FOLDER")
    options = parser.parse_args()
    with reproducible(choose_device(options.device)):
        found = profiled(options)
    machine = describe_machine("css-bench", "torch", "torchvision", "numpy")
    name = options.name or f"profile-{options.preset}-{found['device'].partition(':')[0]}"
    path = options.results / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    result = {"benchmark": "profile_step", "machine": machine, **found}
    write_atomically(path, (json.dumps(result, indent=2) + "\n").encode())
    for key, value in found.items():
        print(f"{key}: {value}")  # noqa: T201
    print(f"written to {path}")  # noqa: T201


if __name__ == "__main__":
    main()
