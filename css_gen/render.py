"""Render a dataset: find what is missing in a folder, have an executor render it, then write the manifest."""

import platform
import threading
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

from css_gen.errors import DatasetError
from css_gen.pool import Executor, Step, run_tasks
from css_gen.progress import Reporter, Silent
from css_gen.rendering.kernels import cache
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.sampling import reference
from css_gen.storage import folder
from css_gen.storage.atomic import written_atomically
from css_gen.storage.card import write_card
from css_gen.storage.configuration import Configuration
from css_gen.storage.croissant import write_croissant
from css_gen.storage.manifest import MANIFEST_NAME, FileEntry, Manifest, SplitCounts, generator_version, read_manifest
from css_gen.storage.plan import Plan, Shard, Unit, held_out, split_name, split_plan, units
from css_gen.storage.shard_writer import render_pixels, write_images, write_queries

_SECONDS_BEFORE_A_COMPILER_SHOWS = 1.5


def render(
    root: Path,
    configuration: Configuration,
    *,
    jobs: int,
    force: bool = False,
    reporter: Reporter | None = None,
    executor: Executor | None = None,
) -> Manifest:
    """Render the dataset of a configuration into a folder, or what is missing there.

    Args:
        jobs: how many processes.
        force: start over, whatever css-gen had made in the folder. Files it did not make stay.
        executor: where to render, if not in processes of this machine. All of its machines need to see the folder.

    Raises:
        ValueError: the splits are too small.
        DatasetError: the folder holds something else, or another process is using it.
        OSError: a disk that is full, a folder that cannot be written. Finished files are kept, others leave no trace.
    """
    reporter = reporter or Silent()
    require_splits(configuration)
    if not force and (complete := finished(root, configuration)):
        return complete
    with folder.held(root, on_note=reporter.message):
        done = begin(root, configuration, force=force)
        return make(root, configuration, jobs=jobs, reporter=reporter, keep_manifest=bool(done), executor=executor)


def require_splits(configuration: Configuration) -> None:
    """Raise ValueError if the splits are too small."""
    for split in SplitId:
        split_plan(configuration, split)


def begin(root: Path, configuration: Configuration, *, force: bool = False) -> dict[str, FileEntry] | None:
    """Begin or resume a dataset in a locked folder; return the finished files, or None if it was begun before.

    Raises:
        DatasetError: the folder holds something else.
    """
    if not folder.is_ours(root) and (foreign := folder.foreign_files(root)):
        raise DatasetError(
            f"{root} holds files that css-gen did not make ({', '.join(foreign[:3])}); use --out for another folder"
        )
    done = {} if force else _resumable(root, configuration)
    if done is not None:
        folder.begin(root, configuration, done)
    return done


def make(
    root: Path,
    configuration: Configuration,
    *,
    jobs: int,
    reporter: Reporter,
    keep_manifest: bool = False,
    executor: Executor | None = None,
) -> Manifest:
    """Make every unfinished file of a locked folder (see `folder`), then the card, croissant.json and the manifest."""
    tasks = list(units(configuration))
    prepare(root, tasks, keep_manifest=keep_manifest)
    if already := folder.count_done(root):
        reporter.message(f"resuming in {root}: {already} of {len(tasks)} files are finished")
    warm_up(configuration, reporter)
    files = make_files(root, configuration, tasks, executor or partial(run_tasks, jobs=jobs), reporter)
    return complete(root, configuration, files)


def prepare(root: Path, tasks: Sequence[Unit], *, keep_manifest: bool) -> None:
    """Delete what an earlier dataset or an interrupted process has left, and make the folders of the splits."""
    folder.sweep(root, {task.name for task in tasks} | (folder.DESCRIPTIONS if keep_manifest else set()))
    for split in SplitId:
        (root / split_name(split)).mkdir(exist_ok=True)


def make_files(
    root: Path, configuration: Configuration, tasks: Sequence[Unit], executor: Executor, reporter: Reporter
) -> dict[str, FileEntry]:
    """Make those of some files that are not finished, and return the entries of all of them."""
    work = partial(_make_file, root.absolute(), configuration)
    images = sum(unit.stop - unit.start for unit in tasks if isinstance(unit, Shard))
    with reporter.track("rendering", images, "images") as on_progress:
        made = executor(work, tasks, on_progress=on_progress, on_note=reporter.message)
        return {unit.name: entry for unit, entry in made}


def complete(root: Path, configuration: Configuration, files: dict[str, FileEntry]) -> Manifest:
    """Write the card, croissant.json and the manifest of a locked folder whose files are finished."""
    folder.sweep(root, files.keys() | folder.DESCRIPTIONS)  # a worker that was lost leaves what it was writing
    manifest = Manifest.of(configuration, split_counts(configuration), held_out(configuration).to_json(), files)
    write_card(root, manifest)
    write_croissant(root, manifest)
    manifest.write(root)
    folder.end(root)
    return manifest


def finished(root: Path, configuration: Configuration) -> Manifest | None:
    """Return the manifest if a folder holds the whole dataset of a configuration, by names and sizes of its files.

    Raises:
        DatasetError: it holds another configuration's, or one that cannot be read.
    """
    if not (root / MANIFEST_NAME).exists():
        return None
    manifest = read_manifest(root)
    _require_same(root, configuration.differences(manifest.configuration))
    if folder.is_begun(root):
        return None
    if not manifest.is_unedited:
        raise DatasetError(
            f"{root / MANIFEST_NAME} was edited: its checksum of itself is wrong; "
            f"`css-gen verify {root} --repair` writes it again"
        )
    for name, entry in manifest.files.items():
        path = root / name
        if not path.exists() or path.stat().st_size != entry.bytes:
            return None
    return manifest


def _resumable(root: Path, configuration: Configuration) -> dict[str, FileEntry] | None:
    """Return the finished files to record in new notes, or None if the folder has notes already."""
    if (root / MANIFEST_NAME).exists():
        manifest = read_manifest(root)
        _require_same(root, _version_differences(manifest.generator_version))
        return manifest.files
    begun = folder.begun(root)
    if begun is None:
        return {}
    there, version = begun
    require_same(root, configuration, there, version)
    return None


def require_same(place: Path | str, configuration: Configuration, there: Configuration, version: str) -> None:
    """Raise DatasetError if what is in a place was begun with another configuration, or by another version."""
    _require_same(place, configuration.differences(there) + _version_differences(version))


def _require_same(place: Path | str, differences: list[str]) -> None:
    if differences:
        raise DatasetError(
            f"{place} holds another dataset: {'; '.join(differences)}; use --out for another folder or --force to "
            "start over"
        )


def _version_differences(there: str) -> list[str]:
    here = generator_version()
    return [] if there == here else [f"the css-gen that made it is {there} there and {here} here"]


def split_counts(configuration: Configuration) -> dict[str, SplitCounts]:
    """Return the sizes of each split."""
    return {split_name(split): counts_of(split_plan(configuration, split)) for split in SplitId}


def counts_of(plan: Plan) -> SplitCounts:
    """Return the sizes of a planned split."""
    return SplitCounts(plan.images, plan.references, plan.query_count)


def warm_up(configuration: Configuration, reporter: Reporter) -> None:
    """Compile and cache the renderer before the workers need it; report it if that takes a while."""
    message = "compiling the renderer (once; later runs load it from a cache)"
    timer = threading.Timer(_SECONDS_BEFORE_A_COMPILER_SHOWS, reporter.message, [message])
    timer.daemon = True
    timer.start()
    try:
        scene = reference(0, seed=configuration.seed, split=SplitId.TRAIN, held_out=held_out(configuration))
        render_pixels(configuration, SplitId.TRAIN, 0, scene)
    finally:
        timer.cancel()
    if note := cache.take_note():
        reporter.message(note)


@lru_cache(maxsize=2)
def plan_of(configuration: Configuration, split: SplitId) -> Plan:
    """As `split_plan`; the same plan knows its references already."""
    return split_plan(configuration, split)


def _make_file(root: Path, configuration: Configuration, unit: Unit, step: Step) -> FileEntry:
    if not folder.is_begun(root):
        raise DatasetError(f"{root} is not there on {platform.node()}: use a folder that all machines share (--out)")
    images = unit.stop - unit.start if isinstance(unit, Shard) else 0
    if entry := folder.done_entry(root, unit.name):
        step(images)
        return entry
    entry = write_unit(root, configuration, plan_of(configuration, unit.split), unit, step)
    folder.note_done(root, unit.name, entry)
    return entry


def write_unit(root: Path, configuration: Configuration, plan: Plan, unit: Unit, step: Step) -> FileEntry:
    """Write one file of a split, whose folder is there, and return its entry in the manifest."""
    path = root / unit.name
    with written_atomically(path) as file:
        if isinstance(unit, Shard):
            written = write_images(file, configuration, plan, unit, lambda: step(1))
        else:
            written = write_queries(file, configuration, plan, lambda: step(0))
    return FileEntry(written.rows, path.stat().st_size, folder.file_sha256(path), written.content)
