"""What it costs to train and ask a composer in a process of its own, as `tirg-bench submit` does.

    python speed/apart.py FILE --data FOLDER [--preset quick]

Takes steps of the same composer in this process and apart, in turns, and prints the CPU time of both processes for a
step, the least and the median of several rounds, and for a query that is asked alone. CPU time, because it hardly
depends on what else the machine does.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

from benchmark.device import make_accelerator, reproducible
from benchmark.recipe.identity import Run
from benchmark.recipe.presets import preset
from benchmark.runs.local_composer import load
from benchmark.scoring.evaluation import encode_queries
from benchmark.submissions import candidates, sandboxed_run
from benchmark.submissions.process import Limits
from benchmark.submissions.sandbox import SandboxTier
from benchmark.submissions.scoring import _row
from benchmark.tasks.css import Css
from benchmark.training.model import new_network
from benchmark.training.progress import SilentRuns
from benchmark.training.samplers import make_sampler
from benchmark.training.step import Session
from models.network import MakeComposer, Network

ROUNDS, STEPS, QUERIES = 7, 8, 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="of a composer")
    parser.add_argument("--data", type=Path, required=True, help="a folder that css-gen render made")
    parser.add_argument("--preset", default="quick")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recipe = preset(arguments.preset)
    css = Css("css", arguments.data, source_view="3d", image_size=recipe.data.image_size, reporter=SilentRuns())
    run = Run("css", load(arguments.file), recipe, 0, css.fingerprint, css.spatial)
    accelerator = make_accelerator("cpu", recipe.training.precision)

    def session(composer: str | MakeComposer) -> Session:
        network = new_network(composer, recipe.model, css.train.texts, spatial=run.spatial, seed=0)
        training = recipe.training
        sampler = make_sampler(css.train, groups=training.sources, modifications=training.modifications, seed=0)
        return Session(network, css.train, sampler, run, accelerator)

    candidate, limits = candidates.find(str(arguments.file)), Limits(seconds=3_600, silent_seconds=600)
    linked = sandboxed_run._linked(candidate, tier=SandboxTier.PROCESS, device="cpu", limits=limits)
    with linked as (link, loaded), reproducible("cpu"):
        processes = [psutil.Process(), psutil.Process(link.child._process.pid)]
        sessions = {
            "in one process": session(run.composer),
            "apart": session(sandboxed_run._Maker(link, run, loaded.levels, loaded.auxiliary)),
        }
        costs: dict[str, list[float]] = {name: [] for name in sessions}
        for number in range(ROUNDS):
            for name, each in sessions.items():
                steps = range(number * STEPS, (number + 1) * STEPS)
                costs[name].append(_milliseconds(lambda: [each.step(step) for step in steps], processes) / STEPS)  # noqa: B023
        for name, found in costs.items():
            print(f"a step {name}: at least {min(found):.1f} ms, median {statistics.median(found):.1f} ms")  # noqa: T201
        rows = [torch.arange(QUERIES).numpy()]
        with torch.inference_mode():
            for name, each in sessions.items():
                network: Network = each.network.eval()
                ((image, text),) = encode_queries(network, css.test, rows, accelerator=accelerator)
                questions = [_row(image, text, place) for place in range(QUERIES)]
                cost = _milliseconds(lambda: [network.compose(*each) for each in questions], processes) / QUERIES  # noqa: B023
                print(f"a query {name}: {cost:.2f} ms")  # noqa: T201


def _milliseconds(work: Callable[[], object], processes: list[psutil.Process]) -> float:
    before = [each.cpu_times() for each in processes]
    work()
    after = [each.cpu_times() for each in processes]
    return 1e3 * sum(b.user + b.system - a.user - a.system for a, b in zip(before, after, strict=True))


if __name__ == "__main__":
    main()
