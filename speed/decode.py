"""Decoding photographs for training: our cache beside Pillow's full decode and resize, one by one, in one run.

    python speed/decode.py [--images 120]

The photographs are JPEG files of 2000 x 1500 pixels (renderings of css-gen, enlarged, with noise), wanted at 224
pixels. Both read the same files, in blocks that take turns. The second figure is a second start on 100,000 images: from
a cache that is there already to a batch of 64 of its images in memory. Its file is a sparse one of that size, so this
shows that nothing is decoded or listed, not how fast a disk is.

The result is speed/results/decode.json.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine
from PIL import Image

from benchmark.datasets.image_cache import cached_files
from benchmark.training.progress import SilentRuns
from css_gen.rendering.nuisance import Jitter, sample_nuisance
from css_gen.rendering.render3d import render_3d
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject

WIDTH, HEIGHT, SIZE = 2000, 1500, 224
BLOCKS = 3
MANY = 100_000
DISTRIBUTIONS = ("css-bench", "pillow", "numpy")


def photograph(path: Path, rng: np.random.Generator) -> None:
    """A file of 2000 x 1500 pixels, of some 500 kB."""
    objects = [
        SceneObject(cell, list(Size)[rng.integers(2)], list(Colour)[rng.integers(8)], list(Shape)[rng.integers(3)])
        for cell in Cell
    ]
    image = render_3d(Scene(tuple(objects)), sample_nuisance(Jitter(), rng=rng), size=400, with_depth=False).image
    large = np.asarray(Image.fromarray(image).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), dtype=np.int16)
    noise = rng.integers(-6, 7, large.shape[:2], dtype=np.int16)[:, :, None]
    Image.fromarray(np.clip(large + noise, 0, 255).astype(np.uint8)).save(path, quality=90)


def one_by_one(root: Path, paths: list[str]) -> None:
    """What a loader without a cache does for every image in every epoch."""
    for path in paths:
        with Image.open(root / path) as image:
            image.convert("RGB").resize((SIZE * WIDTH // HEIGHT, SIZE), Image.Resampling.BILINEAR)


def through_the_cache(root: Path, paths: list[str], key: str) -> None:
    cached_files(root, "fashion200k", "train", paths, SIZE, SilentRuns(), skip_broken=False, key=key)


def decoding(count: int) -> dict[str, Any]:
    """Milliseconds an image of both, measured in blocks that take turns."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = [f"{number}.jpg" for number in range(count)]
        for path in paths:
            photograph(root / path, rng)
        mebibytes = sum((root / path).stat().st_size for path in paths) / 2**20
        seconds: dict[str, list[float]] = {"ours": [], "one_by_one": []}
        through_the_cache(root, paths[:2], "warm")
        for block in range(BLOCKS):
            started = time.perf_counter()
            one_by_one(root, paths)
            between = time.perf_counter()
            through_the_cache(root, paths, f"cache-{block}")
            seconds["one_by_one"].append(between - started)
            seconds["ours"].append(time.perf_counter() - between)
    milliseconds = {name: [1000 * value / count for value in values] for name, values in seconds.items()}
    medians = {name: statistics.median(values) for name, values in milliseconds.items()}
    return {
        "what": f"{count} JPEG files of {WIDTH}x{HEIGHT} pixels, {mebibytes / count:.2f} MiB each, to {SIZE} pixels",
        "milliseconds_an_image": milliseconds,
        "medians": medians,
        "ratio": medians["one_by_one"] / medians["ours"],
    }


def second_start() -> dict[str, Any]:
    """Seconds from the call to the first batch, on a cache of 100,000 images."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        cache, paths = Path(folder) / ".cache" / "key", [f"women/{number}.jpeg" for number in range(MANY)]
        cache.mkdir(parents=True)
        np.lib.format.open_memmap(cache / f"train-{SIZE}.npy", mode="w+", dtype=np.uint8, shape=(MANY, SIZE, SIZE, 3))
        (cache / f"train-{SIZE}.json").write_text(json.dumps({"images": MANY, "broken": {}}))
        started = time.perf_counter()
        found = cached_files(
            Path(folder), "fashion200k", "train", paths, SIZE, SilentRuns(), skip_broken=False, key="key"
        )
        _ = found.pixels[np.sort(rng.choice(MANY, 64, replace=False))].mean()
        return {"what": f"a second start on {MANY} images", "seconds_to_first_batch": time.perf_counter() - started}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=120)
    options = parser.parse_args()
    machine = describe_machine(*DISTRIBUTIONS)
    ours, again = decoding(options.images), second_start()
    result = {"benchmark": "decode", "machine": machine, "decoding": ours, "second_start": again}
    path = Path(__file__).parent / "results" / "decode.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"decoding: {ours['ratio']:.2f} times as fast as one by one")  # noqa: T201
    print(f"second start: {again['seconds_to_first_batch']:.2f} s to the first batch")  # noqa: T201
    print(f"written to {path}")  # noqa: T201


if __name__ == "__main__":
    main()
