"""Shuffled reading of a dataset: this code beside an earlier commit's, on the same images in the same order, in turns.

    python speed/random_access.py data/css [--before 5adf83f] [--images 20000] [--turns 3]

The earlier css_gen is unpacked from git into a temporary folder. Every pass runs in a new process, so that no part of
a file's structure is in memory yet. The files themselves are in the system's cache: this measures computing, not the
disk. A pass reads every image once, from both splits, and decodes it. Before the passes, both versions read 500 images,
whose bytes and pixels have to be equal. Times are CPU times of the process with all its threads, which other work on
the machine changes little; wall-clock times are stored beside them.

The result is speed/results/random_access.json.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PARTS = ("read", "decode", "both", "both_on_the_clock")
REPOSITORY = Path(__file__).resolve().parents[1]
COMPARED = 500
COLUMNS = ("image_3d", "image_2d")
DISTRIBUTIONS = ("css-bench", "isal", "numpy", "pillow", "pyarrow")


def read_all(root: Path, column: str, images: int) -> dict[str, float | str]:
    """Read images in a shuffled order with the css_gen that is imported; return CPU milliseconds an image by part."""
    import css_gen.dataset

    opened = css_gen.open_dataset(root)
    splits = [opened.split(name) for name in opened.split_names]
    order = [(split, image_id) for split in splits for image_id in range(len(split))]
    random.Random(0).shuffle(order)
    clock, started, decoding = time.perf_counter(), time.process_time(), 0.0
    digest = hashlib.sha256()
    for split, image_id in order[:images]:
        png = split.png(image_id, column)
        begun = time.process_time()
        pixels = css_gen.dataset.decode_png(png)
        decoding += time.process_time() - begun
        if images == COMPARED:
            digest.update(png + pixels.tobytes())
    seconds, on_the_clock, count = time.process_time() - started, time.perf_counter() - clock, min(images, len(order))
    return {
        "read": 1000 * (seconds - decoding) / count,
        "decode": 1000 * decoding / count,
        "both": 1000 * seconds / count,
        "both_on_the_clock": 1000 * on_the_clock / count,
        "sha256": digest.hexdigest(),
    }


def in_process(code: Path, root: Path, column: str, images: int) -> dict[str, Any]:
    """Run `read_all` in a new process that imports css_gen from a folder."""
    command = [sys.executable, __file__, str(root.absolute()), "--column", column, "--images", str(images)]
    environment = {**os.environ, "PYTHONPATH": str(code)}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(ran.stdout)
    return result


def side_by_side(codes: dict[str, Path], root: Path, column: str, images: int, turns: int) -> dict[str, Any]:
    """Time both versions in turns; return medians of milliseconds an image, and how many times as fast the code is now.

    Raises:
        SystemExit: the versions read other bytes or decode other pixels.
    """
    if len({in_process(code, root, column, COMPARED)["sha256"] for code in codes.values()}) != 1:
        raise SystemExit(f"{column}: the codes read other bytes or other pixels")
    passes: dict[str, list[dict[str, Any]]] = {name: [] for name in codes}
    for _ in range(turns):
        for name, code in codes.items():
            passes[name].append(in_process(code, root, column, images))
            print(f"{column}, {name}: {passes[name][-1]['both']:.3f} ms", flush=True)  # noqa: T201
    medians = {
        name: {part: statistics.median(each[part] for each in done) for part in PARTS} for name, done in passes.items()
    }
    ratios = {part: medians["before"][part] / medians["now"][part] for part in PARTS}
    every = {name: [each["both"] for each in done] for name, done in passes.items()}
    return {"milliseconds_an_image": medians, "ratio": ratios, "every_pass": every}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--before", default="5adf83f")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--column", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.column:
        print(json.dumps(read_all(options.data, options.column, options.images)))  # noqa: T201
        return
    from machine import describe_machine

    machine = describe_machine(*DISTRIBUTIONS)
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "-C", str(REPOSITORY), "archive", options.before, "css_gen"], capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        codes = {"before": Path(folder), "now": Path(folder) / "now"}
        shutil.copytree(REPOSITORY / "css_gen", codes["now"] / "css_gen")
        columns = {
            column: side_by_side(codes, options.data, column, options.images, options.turns) for column in COLUMNS
        }
    about = {"before": options.before, "images": options.images, "turns": options.turns}
    result = {"benchmark": "random_access", "machine": machine, **about, "columns": columns}
    path = Path(__file__).parent / "results" / "random_access.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    for column, found in columns.items():
        print(f"{column}: {found['ratio']['both']:.2f} times as fast as {options.before}")  # noqa: T201
    print(f"written to {path}")  # noqa: T201


if __name__ == "__main__":
    main()
