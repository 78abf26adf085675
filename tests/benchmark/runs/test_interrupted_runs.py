"""A run that was killed (SIGKILL, so nothing is tidied up) and started again gives the record of one that was not."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import models
from benchmark.recipe.runtime import Runtime
from benchmark.recipe.schema import Recipe
from benchmark.records.store import RunRecord
from benchmark.runs.earlier import held
from benchmark.runs.grid import plan, run_all
from benchmark.runs.single_run import CHECKPOINT_NAME, Bench, run_folder
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.progress import SilentRuns

MOMENTS = {
    # when: (module or class, function, which of its calls kills, steps in the checkpoint that is left)
    "in the middle of step 1": ("benchmark.training.step", "batch_loss", 1, None),
    "in the middle of step 5": ("benchmark.training.step", "batch_loss", 5, 4),
    "before the weights of step 3 change": ("torch.optim.AdamW", "step", 3, 2),
    "while the checkpoint of step 3 is written": ("os", "fsync", 5, 2),
    "while the held-out part is looked at": ("benchmark.runs.single_run", "evaluate", 1, 3),
    "while the test split is scored": ("benchmark.runs.single_run", "evaluate", 2, 6),
    "before the record is written": ("benchmark.runs.single_run", "save_record", 1, 6),
    "between the ranks and the record": ("benchmark.records.store", "write_atomically", 2, 6),
}

KILLED = """
import itertools, json, os, pkgutil, signal, sys
from pathlib import Path
import torch
from benchmark.recipe.runtime import Runtime
from benchmark.recipe.schema import Recipe
from benchmark.training.progress import SilentRuns
from benchmark.runs.earlier import held
from benchmark.runs.grid import plan, run_all
from benchmark.runs.single_run import Bench

config, css, root, moments = sys.argv[1:]
torch.set_num_threads(1)
for moment, (place, name, call, _) in json.loads(moments).items():
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    owner = pkgutil.resolve_name(place)
    real, calls = getattr(owner, name), itertools.count(1)
    def killing(*arguments, **options):
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)
    setattr(owner, name, killing)
    folder = Path(root) / moment
    bench = Bench(base=Recipe.model_validate_json(config), reporter=SilentRuns(),
                  runtime=Runtime(checkpoint_seconds=0, validate_every=4),
                  places={"css": Path(css)}, leaderboards=folder / "leaderboards", runs=folder / "runs")
    list(run_all(plan(["tirg"], ["css"], [0], bench), bench))
    os._exit(0)
"""


def finish(bench: Bench) -> RunRecord:
    (finished,) = run_all(plan(["tirg"], ["css"], [0], bench), bench)
    assert finished.record is not None, finished.traceback
    assert finished.is_new
    return finished.record


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, css_root: Path, tiny_config: Recipe) -> Path:
    """What every kill left, in a folder of that moment's name. One process imports torch and forks for each."""
    root = tmp_path_factory.mktemp("killed")
    arguments = [tiny_config.model_dump_json(), str(css_root), str(root), json.dumps(MOMENTS)]
    repository = str(Path(models.__file__).parents[1])
    process = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        env={**os.environ, "PYTHONPATH": repository, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert process.stdout.split() == [str(-signal.SIGKILL)] * len(MOMENTS)
    return root


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, css_root: Path, tiny_config: Recipe) -> RunRecord:
    root = tmp_path_factory.mktemp("uninterrupted")
    return finish(
        Bench(
            base=tiny_config,
            runtime=Runtime(validate_every=4),
            reporter=SilentRuns(),
            places={"css": css_root},
            leaderboards=root / "leaderboards",
            runs=root / "runs",
        )
    )


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_resumed_is_the_uninterrupted_record(
    moment: str, folder: Path, uninterrupted: RunRecord, bench: Bench
) -> None:
    killed = replace(bench, leaderboards=folder / moment / "leaderboards", runs=folder / moment / "runs")
    (run,) = plan(["tirg"], ["css"], [0], killed).runs
    checkpoint = run_folder(run, killed.runs) / CHECKPOINT_NAME
    steps = MOMENTS[moment][3]
    assert (Checkpoint.read(checkpoint).steps if checkpoint.exists() else None) == steps
    assert run.identity.find(killed.records) is None
    resumed = finish(killed)
    assert resumed.reproducible() == uninterrupted.reproducible()
    left = {path.name for path in run_folder(run, killed.runs).iterdir() if not path.name.startswith("events.")}
    assert left == {"model.safetensors", ".lock"}


def test_a_run_that_was_killed_after_its_record_keeps_no_checkpoint(bench: Bench) -> None:
    """It is skipped from then on, so nothing else would remove it; another process may be at work there, though."""
    finish(bench)
    planned = plan(["tirg"], ["css"], [0], bench)
    folder = run_folder(planned.runs[0], bench.runs)
    (folder / CHECKPOINT_NAME).write_bytes(b"left")
    with held(folder):
        assert [finished.is_new for finished in run_all(planned, bench)] == [False]
        assert (folder / CHECKPOINT_NAME).exists()
    assert [finished.is_new for finished in run_all(planned, bench)] == [False]
    assert not (folder / CHECKPOINT_NAME).exists()
