"""Renderings with one test split beside training splits of several sizes, for curves of Recall over training images.

Their records are kept in `scaling/records`, next to the leaderboards' `records`: these are runs on other renderings,
which must not become rows of a board.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import css_gen.dataset
from benchmark import tasks
from benchmark.errors import BenchmarkError, UsageError
from benchmark.recipe.identity import Run
from benchmark.runs.grid import Finished, Plan, plan, run_all
from benchmark.runs.side_by_side import run_side_by_side
from benchmark.runs.single_run import Bench
from css_gen import render as writing
from css_gen import tracks
from css_gen.errors import DatasetError
from css_gen.fresh import IMAGES_OF_A_PROCESS
from css_gen.pool import available_cores
from css_gen.progress import Reporter
from css_gen.storage.configuration import CSS, Configuration
from css_gen.storage.estimate import estimated_bytes, lacking_room, require_large_enough
from css_gen.storage.folder import our_files
from css_gen.storage.manifest import MANIFEST_NAME, read_manifest

FOLDER = "scaling"
"""In the leaderboards, with the records; in `runs`, with the models."""


@dataclass(frozen=True)
class Rendering:
    """A training split of `images` images with the test split of the curve, in the folder `root`."""

    images: int
    configuration: Configuration
    root: Path


def renderings(task: str, images: Sequence[int], *, test: int, size: int, folder: Path) -> tuple[Rendering, ...]:
    """Return the renderings of a curve, the smallest first: `folder`/css-train-N, or css-TRACK-train-N for a track.

    Args:
        images: of each training split.
        test: images of the test split.
        size: width and height of the rendered images in pixels.

    Raises:
        UsageError: the task's data is not rendered, or a number is out of its range.
    """
    its_folder = tasks.get(task).folder
    track = {CSS: CSS, **{f"{CSS}-{name}": name for name in tracks.names()}}.get(its_folder)
    if track is None:
        raise UsageError(f"--dataset {task}: its data is not rendered, so its training split has one size")
    found = []
    for count in sorted(set(images)):
        try:
            configuration = Configuration(images=count + test, test_images=test, size=size, track=track)
            require_large_enough(configuration, by_split=True)
        except ValueError as error:
            raise UsageError(str(error).replace("--train", "--images")) from None
        found.append(Rendering(count, configuration, folder / f"{its_folder}-train-{count}"))
    return tuple(found)


def render_missing(found: Sequence[Rendering], reporter: Reporter) -> None:
    """Render what is missing of each rendering; what is interrupted is kept, and resumed by the next call.

    Raises:
        BenchmarkError: a folder holds something else or cannot be written, or the disk is too small for all of them.
    """
    try:
        missing = [each for each in found if not _is_finished(each)]
        if missing:
            writing.warm_up(missing[0].configuration, reporter)
        needed = 0
        for each in missing:
            there = sum((each.root / name).stat().st_size for name in our_files(each.root)) if each.root.is_dir() else 0
            needed += max(0, estimated_bytes(each.configuration) - there)
        if missing and (lacks := lacking_room(missing[0].root.parent, needed)):
            raise BenchmarkError(f"{lacks}; use fewer --images, a smaller --size, or another folder with --renderings")
        for each in missing:
            reporter.message(f"{each.root}: rendering {each.configuration.images:,} images (once)")
            jobs = min(available_cores(), -(-each.configuration.images // IMAGES_OF_A_PROCESS))
            writing.render(each.root, each.configuration, jobs=jobs, reporter=reporter)
    except DatasetError as error:
        raise BenchmarkError(str(error)) from None
    except OSError as error:
        where = error.filename or found[0].root.parent
        raise BenchmarkError(f"{where}: cannot be written ({error.strerror}); what is finished is kept") from None


def _is_finished(each: Rendering) -> bool:
    """Return whether a rendering is complete.

    Raises:
        BenchmarkError: its folder holds another dataset.
        DatasetError: its manifest cannot be read.
    """
    if not (each.root / MANIFEST_NAME).exists():
        return False
    if differences := each.configuration.differences(read_manifest(each.root).configuration):
        raise BenchmarkError(
            f"{each.root} holds another dataset: {'; '.join(differences)}; choose another folder with --renderings, or "
            "remove this one"
        )
    return writing.finished(each.root, each.configuration) is not None


def require_one_test_split(found: Sequence[Rendering]) -> str:
    """Return the fingerprint of the test split that all of these renderings have.

    Raises:
        BenchmarkError: two differ in it, or one cannot be read.
    """
    try:
        fingerprints = {each.root: css_gen.dataset.open(each.root).split("test").fingerprint for each in found}
    except DatasetError as error:
        raise BenchmarkError(str(error)) from None
    first, expected = next(iter(fingerprints.items()))
    for root, fingerprint in fingerprints.items():
        if fingerprint != expected:
            raise BenchmarkError(
                f"{root} has the test split {fingerprint[:8]} and {first} has {expected[:8]}: a curve needs one test "
                "split; remove the folder that another css-gen made, and run the same command again"
            )
    return expected


def bench_of_scaling(bench: Bench) -> Bench:
    """Return the same settings, for runs whose records and models are kept in `FOLDER`."""
    return replace(bench, leaderboards=bench.leaderboards / FOLDER, runs=bench.runs / FOLDER)


def bench_on(each: Rendering, task: str, bench: Bench) -> Bench:
    """Return the same settings, for runs on a rendering."""
    return replace(bench, places={**bench.places, tasks.get(task).folder: each.root})


def make_runs(
    found: Mapping[str, Sequence[Rendering]], composers: Sequence[str], seeds: Sequence[int], bench: Bench
) -> Iterator[tuple[int, Finished]]:
    """Make each run that has no record yet, the smallest training split first, `bench.runtime.jobs` at a time.

    Yields the images of the training split with each. See `grid.run_all`.

    Args:
        found: the renderings by task.

    Raises:
        BenchmarkError: as `grid.plan`, or a process was killed.
    """
    pairs = [(task, each) for task, theirs in found.items() for each in theirs]
    if bench.runtime.jobs == 1:
        for task, each in pairs:
            here = bench_on(each, task, bench)
            for one in run_all(plan(composers, (task,), seeds, here), here, partial(_described, each.root)):
                yield each.images, one
        return
    planned = [(each, plan(composers, (task,), seeds, bench_on(each, task, bench))) for task, each in pairs]
    by_fingerprint = {run.fingerprint: each for each, its in planned for run in its.runs}
    everything = Plan(tuple(run for _, its in planned for run in its.runs), {})
    roots = {fingerprint: each.root for fingerprint, each in by_fingerprint.items()}
    for one in run_side_by_side(everything, bench, roots=roots):
        yield by_fingerprint[one.run.fingerprint].images, one


def _described(root: Path, run: Run) -> str:
    return f"{run} ({root})"


def records_of_scaling(leaderboards: Path) -> Path:
    """Return the folder of the records on these renderings."""
    return leaderboards / FOLDER / "records"
