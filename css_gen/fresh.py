"""Render a fresh test split of a dataset: scenes of another seed, and everything else as in the dataset."""

from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

from css_gen.pool import Step, run_tasks
from css_gen.progress import Reporter, Silent
from css_gen.render import counts_of, warm_up, write_unit
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.randomness import SplitId
from css_gen.storage.configuration import Configuration
from css_gen.storage.manifest import FileEntry, Manifest
from css_gen.storage.plan import Plan, QueryFile, Unit, held_out, shards, split_name, split_plan

IMAGES_OF_A_PROCESS = 500
"""Starting another process takes as long as rendering about as many images."""


def render_fresh_test(
    root: Path, configuration: Configuration, *, seed: int, jobs: int, reporter: Reporter | None = None
) -> Manifest:
    """Render a test split that could have been the dataset's own: a pure function of its configuration and the seed.

    Number and size of the images, view, names, jitter and the held-out combinations are the dataset's. The folder can
    be opened as a dataset without a train split. `css-gen verify` refuses it: the seed of its manifest is not that of
    the held-out combinations.

    Args:
        root: an empty folder.
        configuration: of the dataset.
        seed: of the scenes, queries and nuisances.
        jobs: the most processes to use.

    Raises:
        ValueError: the seed is the dataset's own.
        DatasetError: a worker was killed.
        OSError: a disk that is full, a folder that cannot be written.
    """
    if seed == configuration.seed:
        raise ValueError(f"seed {seed} is the dataset's own, so that its test split would not be fresh")
    reporter = reporter or Silent()
    combinations, fresh = held_out(configuration), replace(configuration, seed=seed, nuisance_seed=None)
    plan = split_plan(fresh, SplitId.TEST, combinations)
    units: list[Unit] = [QueryFile(SplitId.TEST), *shards(fresh, SplitId.TEST)]
    (root / split_name(SplitId.TEST)).mkdir(parents=True, exist_ok=True)
    warm_up(fresh, reporter)
    work = partial(_make_file, root, fresh, combinations)
    jobs = min(jobs, -(-plan.images // IMAGES_OF_A_PROCESS))
    with reporter.track("rendering a fresh test set", plan.images, "images") as on_progress:
        files = {
            unit.name: entry
            for unit, entry in run_tasks(work, units, jobs=jobs, on_progress=on_progress, on_note=reporter.message)
        }
    manifest = Manifest.of(fresh, {split_name(SplitId.TEST): counts_of(plan)}, combinations.to_json(), files)
    manifest.write(root)
    return manifest


@lru_cache(maxsize=1)
def _plan(configuration: Configuration, combinations: HeldOut) -> Plan:
    return split_plan(configuration, SplitId.TEST, combinations)


def _make_file(root: Path, configuration: Configuration, combinations: HeldOut, unit: Unit, step: Step) -> FileEntry:
    return write_unit(root, configuration, _plan(configuration, combinations), unit, step)
