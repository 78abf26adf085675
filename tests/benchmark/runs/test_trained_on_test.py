"""What fresh test sets say of an honest model and of one that was trained on the test split.

`python -m tests.benchmark.runs.test_trained_on_test` prints the table of docs/trust.md.
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmark import tasks
from benchmark.datasets.splits import Dataset, Split
from benchmark.device import choose_device
from benchmark.leaderboard.fresh import fresh_of
from benchmark.recipe.identity import Run
from benchmark.recipe.presets import preset
from benchmark.recipe.runtime import Runtime
from benchmark.records.store import read_stored
from benchmark.runs.fresh import FreshTestSets
from benchmark.runs.single_run import Bench, make_record
from benchmark.training.progress import SilentRuns
from css_gen.render import render
from css_gen.storage.configuration import Configuration
from models.composers.tirg import Tirg

IMAGES, SIZE = 4_000, 64


class _TestIsTrain:
    """A dataset whose training split is its test split."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def __getattr__(self, name: str) -> object:
        return getattr(self._dataset, name)

    @property
    def train(self) -> Split:
        return self._dataset.test


class Scored(NamedTuple):
    """Recall@1 in percent on the dataset's test split and on a fresh one, and whether the row is marked."""

    own: float
    fresh: float
    is_marked: bool


def scored(folder: Path, *, on_test: bool, fresh: FreshTestSets) -> Scored:
    """Train TIRG by `quick` on a dataset, honestly or on its test split."""
    reporter = SilentRuns()
    base = preset("quick")
    dataset = tasks.get("css").open(
        folder / "css", image_size=base.data.image_size, reporter=reporter, skip_broken=False
    )
    out = folder / ("on-test" if on_test else "honest")
    bench = Bench(
        base=base, runtime=Runtime(device=choose_device("cpu"), validate_every=0), reporter=reporter,
        leaderboards=out, runs=out, fresh=fresh,
    )  # fmt: skip
    run = Run("css", Tirg.info.name, base, 0, dataset.fingerprint, spatial=True)
    record = make_record(run, _TestIsTrain(dataset) if on_test else dataset, bench, str(run))  # type: ignore[arg-type]
    path = run.identity.find(bench.records)
    assert path is not None
    found = fresh_of([read_stored(path)])
    assert found is not None
    return Scored(record.metrics.recall[1], found.recall[1], found.differs)


def table(folder: Path) -> dict[str, Scored]:
    render(folder / "css", Configuration(images=IMAGES, size=SIZE), jobs=2)
    with FreshTestSets() as fresh:
        return {
            name: scored(folder, on_test=on_test, fresh=fresh)
            for name, on_test in (("trained on the train split", False), ("trained on the test split", True))
        }


@pytest.mark.slow
def test_a_model_that_was_trained_on_the_test_split_is_marked(tmp_path: Path) -> None:
    honest, cheat = table(tmp_path).values()
    assert not honest.is_marked
    assert cheat.is_marked
    assert cheat.own > cheat.fresh + 10


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print("| TIRG, `quick` | R@1 | Fresh | Marked |", "|---|--:|--:|---|", sep="\n")  # noqa: T201
        for what, row in table(Path(name)).items():
            print(f"| {what} | {row.own:.1f} | {row.fresh:.1f} | {'yes' if row.is_marked else 'no'} |")  # noqa: T201
