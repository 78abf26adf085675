"""How fast css-gen renders, where the time goes, and how that compares with Blender Cycles and Mitsuba, in one run.

    python speed/render.py [--n 1000] [--blender-python PATH] ...        or: make render-bench

1. The command `css-gen render` with 1 and with 2 workers, in turn: wall time and peak memory. What a dataset of the
   fewest images takes is its start; the rest, over the images more, is the time an image.
2. Once the dataset that README makes, with 2 workers: `quoted` in the result holds its seconds, its milliseconds an
   image, start included, and how many times as long the peers take for an image. README quotes these and no others;
   `--sentence` prints what it says.
3. Core time by stage: the same dataset made in this process, its functions timed (the clock counts this process alone).
4. The first images of that dataset by Blender Cycles at 512 samples and by Mitsuba's path tracer at 64, on all cores.
   For the peers only their render call counts: no start, no setting up of the scene, no file format but the PNG. Our
   time is that of making the whole dataset, including the flat images, texts and Parquet files.

Mitsuba comes with `pip install -e '.[peers]'`. Blender's `bpy` wants Python 3.11 and an older numpy than ours, hence an
environment of its own: `python3.11 -m venv blender && blender/bin/pip install bpy`, then `--blender-python
blender/bin/python`. What is not installed is left out, with a line that says so.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from core_time import time_stages
from machine import describe_machine
from peers.scenes import plain_scene
from rich.console import Console
from rich.table import Table

from css_gen.storage.atomic import write_atomically
from css_gen.storage.configuration import Configuration

FEWEST_IMAGES = 12
"""The smallest dataset there is: two splits of three references and three targets."""

FEWEST_TIMED = 200
"""With fewer images, the start's own fluctuation outweighs them."""

BUSY_PERCENT = 10

WORKERS = (1, 2)
QUOTED_IMAGES = 20_000
"""Of the dataset that README makes first."""

RESULT = Path(__file__).parent / "results" / "render.json"
PEERS_FOLDER = Path(__file__).parent / "peers"
DISTRIBUTIONS = ("numpy", "numba", "llvmlite", "pyarrow", "isal", "mitsuba")

console = Console(stderr=True, highlight=False)


def run_command(images: int, size: int, workers: int, folder: Path) -> tuple[float, float]:
    """Wall seconds of `css-gen render`, and the greatest sum of its processes' resident memory, MiB."""
    command = [sys.executable, "-m", "css_gen.cli", "render", "--n", images, "--size", size, "--jobs", workers]
    root = Path(__file__).parents[1]
    started = time.perf_counter()
    with subprocess.Popen(
        [*map(str, command), "--out", str(folder)],
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        with peak_memory(running.pid) as peak:
            _, complaint = running.communicate()
        seconds = time.perf_counter() - started
    if running.returncode:
        raise SystemExit(f"css-gen render failed: {complaint.strip()}")
    return seconds, peak()


@contextmanager
def peak_memory(pid: int) -> Iterator[Callable[[], float]]:
    """Sample the resident memory of a process and its descendants; pages that they share count once for each."""
    ended, greatest = threading.Event(), 0

    def watch() -> None:
        nonlocal greatest
        while not ended.wait(0.05):
            try:
                top = psutil.Process(pid)
                sizes = [each.memory_info().rss for each in (top, *top.children(recursive=True))]
            except psutil.NoSuchProcess:
                continue
            greatest = max(greatest, sum(sizes))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: greatest / 2**20
    finally:
        ended.set()
        watcher.join()


def time_commands(images: int, size: int, repeats: int) -> dict[str, Any]:
    """The command with each number of workers, in turn."""
    runs: dict[int, dict[str, list[float]]] = {
        workers: {"start_seconds": [], "wall_seconds": [], "peak_memory_mib": []} for workers in WORKERS
    }
    with tempfile.TemporaryDirectory() as scratch:
        for repeat in range(repeats):
            for workers, run in runs.items():
                console.print(f"css-gen render --n {images} with {workers} worker(s), {repeat + 1} of {repeats}")
                folder = Path(scratch) / f"{workers}-{repeat}"
                run["start_seconds"].append(run_command(FEWEST_IMAGES, size, workers, folder / "fewest")[0])
                seconds, memory = run_command(images, size, workers, folder / "all")
                run["wall_seconds"].append(seconds)
                run["peak_memory_mib"].append(memory)
    return {str(workers): run | _an_image(run, images) for workers, run in runs.items()}


def time_quoted(images: int, size: int) -> dict[str, float]:
    """The dataset that README makes, once, with as many workers as it says."""
    console.print(f"css-gen render --n {images} with {WORKERS[-1]} worker(s), once")
    with tempfile.TemporaryDirectory() as scratch:
        seconds, memory = run_command(images, size, WORKERS[-1], Path(scratch) / "quoted")
    return {
        "images": images,
        "workers": WORKERS[-1],
        "seconds": seconds,
        "ms_an_image": 1000 * seconds / images,
        "peak_memory_mib": memory,
    }


def sentence(result: dict[str, Any]) -> str:
    """What README says of a result."""
    quoted, peers, machine = result["quoted"], result["peers"], result["machine"]
    cycles, mitsuba = peers["Blender Cycles"], peers["Mitsuba path"]
    return (
        f"On {machine['cores']} cores ({machine['cpu']}), `css-gen render --n {quoted['images']}` takes "
        f"{quoted['seconds']:.0f} seconds for {quoted['images']:,} images of {result['size']} pixels, each in 3D and "
        f"in 2D, written to disk: {quoted['ms_an_image']:.1f} ms an image. On the same cores Blender's Cycles takes "
        f"{cycles['seconds_an_image']:.1f} s for one 3D image at {cycles['samples']} samples, as CLEVR used, "
        f"{_two_digits(cycles['ratio'])} times as long; Mitsuba's path tracer takes "
        f"{mitsuba['seconds_an_image']:.2f} s at {mitsuba['samples']}, {_two_digits(mitsuba['ratio'])} times as long."
    )


def _two_digits(value: float) -> str:
    return f"{float(f'{value:.2g}'):,.0f}"


def _an_image(run: dict[str, list[float]], images: int) -> dict[str, float]:
    start, wall = statistics.median(run["start_seconds"]), statistics.median(run["wall_seconds"])
    if wall <= start:
        raise SystemExit("the smallest dataset took longer than the large one: this machine is too busy to measure on")
    return {
        "ms_an_image": 1000 * (wall - start) / (images - FEWEST_IMAGES),
        "ms_an_image_with_start": 1000 * wall / images,
    }


def time_peer(script: str, python: str, module: str, scenes: list[Any], samples: int, pictures: Path | None) -> Any:
    """What a peer's script measured, or why it was left out."""
    if not scenes:
        return {"skipped": "no images asked for"}
    if subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode:
        return {"skipped": f"{python} has no {module}"}
    console.print(f"{module}: {len(scenes)} image(s) at {samples} samples")
    with tempfile.TemporaryDirectory() as scratch:
        described, result = Path(scratch) / "scenes.json", Path(scratch) / "result.json"
        described.write_text(json.dumps(scenes))
        command = [python, PEERS_FOLDER / script, described, result, "--samples", samples]
        command += ["--pictures", pictures] if pictures else []
        run = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=_all_cores())
        if run.returncode:
            return {"skipped": f"{script} failed: {(run.stderr.strip().splitlines() or ['no message'])[-1]}"}
        measured = json.loads(result.read_text())
    return measured | {"samples": samples, "seconds_an_image": statistics.mean(measured["seconds"])}


def _all_cores() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}


def show(result: dict[str, Any]) -> None:
    """The result as tables on the terminal."""
    table = Table(title=f"{result['images']} images of {result['size']} x {result['size']} pixels, 3D and 2D")
    for heading in ("css-gen render", "ms an image", "with start", "start, s", "peak memory, MiB"):
        table.add_column(heading, justify="right")
    for workers, run in result["css_gen"]["workers"].items():
        start, memory = statistics.median(run["start_seconds"]), max(run["peak_memory_mib"])
        cells = [run["ms_an_image"], run["ms_an_image_with_start"], start]
        table.add_row(f"{workers} worker(s)", *(f"{cell:.2f}" for cell in cells), f"{memory:.0f}")
    stages = Table(title="core time, ms an image")
    spent = result["css_gen"]["core_ms_an_image_by_stage"]
    for stage in (*spent, "in all"):
        stages.add_column(stage, justify="right")
    stages.add_row(*(f"{value:.3f}" for value in (*spent.values(), sum(spent.values()))))
    quoted = result["quoted"]
    ours = f"{quoted['images']:,} images in {quoted['seconds']:.0f} s"
    peers = Table(title=f"peers on all {result['machine']['cores']} cores, beside css-gen's {ours}")
    for heading in ("peer", "s an image", "times ours"):
        peers.add_column(heading, justify="right")
    for name, peer in result["peers"].items():
        if "skipped" not in peer:
            label = f"{name}, {peer['samples']} samples"
            peers.add_row(label, f"{peer['seconds_an_image']:.2f}", f"{peer['ratio']:,.0f}")
    out = Console(highlight=False)
    for each in (table, stages, peers):
        if each.row_count:
            out.print(each)
    for name, peer in result["peers"].items():
        if "skipped" in peer:
            out.print(f"{name} is left out: {peer['skipped']}", soft_wrap=True, markup=False)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1000, help="images of the dataset (default 1000)")
    parser.add_argument("--size", type=int, default=224, help="width and height of an image (default 224)")
    parser.add_argument("--repeats", type=int, default=3, help="of each command; the median counts (default 3)")
    parser.add_argument("--blender-python", default=sys.executable, help="a Python that has bpy (default: this one)")
    parser.add_argument("--cycles-images", type=int, default=2, help="0 leaves Cycles out (default 2)")
    parser.add_argument("--cycles-samples", type=int, default=512)
    parser.add_argument("--mitsuba-images", type=int, default=4, help="0 leaves Mitsuba out (default 4)")
    parser.add_argument("--mitsuba-samples", type=int, default=64)
    parser.add_argument("--pictures", type=Path, help="a folder to keep the peers' pictures in")
    parser.add_argument("--quoted-images", type=int, default=QUOTED_IMAGES, help="of the dataset that README quotes")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--sentence", action="store_true", help="only print what README says of the result in --out")
    options = parser.parse_args()
    if options.n < FEWEST_TIMED or options.repeats < 1:
        parser.error(f"--n must be {FEWEST_TIMED} or more, and --repeats 1 or more")
    return options


def main() -> None:
    options = parse()
    if options.sentence:
        print(sentence(json.loads(options.out.read_text())))  # noqa: T201
        return
    configuration = Configuration(images=options.n, size=options.size)
    machine = describe_machine(*DISTRIBUTIONS)
    console.print(f"{machine['cpu']}, {machine['cores']} cores, {machine['busy_percent_before']:.0f}% busy")
    if machine["busy_percent_before"] > BUSY_PERCENT or machine["niceness"] > 0:
        console.print("this machine has other work, or this run yields to it: the times are no measure of css-gen")
    if options.pictures:
        options.pictures = options.pictures.resolve()
        options.pictures.mkdir(parents=True, exist_ok=True)
    stages = time_stages(configuration)
    workers = time_commands(options.n, options.size, options.repeats)
    quoted = time_quoted(options.quoted_images, options.size)
    most = max(options.cycles_images, options.mitsuba_images)
    scenes = [plain_scene(configuration, image_id) for image_id in range(most)]
    peers = {
        "Blender Cycles": time_peer(
            "blender.py", options.blender_python, "bpy", scenes[: options.cycles_images], options.cycles_samples,
            options.pictures,
        ),
        "Mitsuba path": time_peer(
            "mitsuba_path.py", sys.executable, "mitsuba", scenes[: options.mitsuba_images], options.mitsuba_samples,
            options.pictures,
        ),
    }  # fmt: skip
    for peer in peers.values():
        if "skipped" not in peer:
            peer["ratio"] = 1000 * peer["seconds_an_image"] / quoted["ms_an_image"]
    result = {
        "benchmark": "render",
        "machine": machine,
        "images": options.n,
        "size": options.size,
        "quoted": quoted,
        "css_gen": {"workers": workers, "core_ms_an_image_by_stage": stages},
        "peers": peers,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.out, (json.dumps(result, indent=2) + "\n").encode())
    show(result)
    console.print(f"written to {options.out}")


if __name__ == "__main__":
    main()
