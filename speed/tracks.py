"""CPU time of rendering a track beside css's: how much its queries and wrong answers cost.

    python speed/tracks.py [--n 3000] [--rounds 3] [--track chain --track relation]

This process renders css, each track, css, and so on, from scenes to files on disk. Times are CPU times, and the minimum
over the rounds is taken, so that other work on the machine matters little. A track should need at most 1.2 times css's
time.

The result is speed/results/tracks.json.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from machine import describe_machine

from css_gen import tracks
from css_gen.render import render
from css_gen.storage.configuration import CSS, Configuration

MOST = 1.2
"""The largest ratio of a track's time to css's that is wanted."""


def seconds_of(track: str, images: int) -> float:
    """Return the CPU seconds of rendering a dataset."""
    with tempfile.TemporaryDirectory() as scratch:
        start = time.process_time()
        render(Path(scratch) / "data", Configuration(images=images, track=track), jobs=1)
        return time.process_time() - start


def measure(names: Sequence[str], images: int, rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of css and of each track in every round."""
    seconds_of(CSS, 40)  # compiles the renderer, or loads it
    found: dict[str, list[float]] = {name: [] for name in (CSS, *names)}
    for _ in range(rounds):
        for name, each in found.items():
            each.append(round(seconds_of(name, images), 2))
    return found


def ratios(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the ratio of each track's time to css's, both the minimum over the rounds."""
    return {name: round(min(each) / min(seconds[CSS]), 3) for name, each in seconds.items() if name != CSS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=3_000, help="images of each rendering (default: 3000)")
    parser.add_argument("--rounds", type=int, default=3, help="renderings of each (default: 3)")
    parser.add_argument("--track", action="append", choices=tracks.names(), help="only this one; may be repeated")
    options = parser.parse_args()
    machine = describe_machine("css-bench", "numpy", "numba", "pyarrow")
    seconds = measure(options.track or tracks.names(), options.n, options.rounds)
    found = ratios(seconds)
    result = {
        "benchmark": "tracks",
        "machine": machine,
        "images": options.n,
        "cpu_seconds": seconds,
        "times_css": found,
        "at_most_wanted": MOST,
    }
    path = Path(__file__).with_name("results") / "tracks.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    for name, ratio in found.items():
        sys.stdout.write(f"{name}: {ratio:.2f} times css's CPU time{' (too much)' if ratio > MOST else ''}\n")


if __name__ == "__main__":
    main()
