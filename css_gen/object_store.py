"""Render a dataset to a URL of fsspec: an object store such as s3:// or gs://, which has neither renames nor locks.

A file is rendered into a temporary folder and then put as a whole: an object appears when all of it has arrived. The
notes of `css_gen.storage.folder` become objects, too, so the same command resumes. (Never write an object through
`open`: s3fs publishes what was written before an error.)
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from css_gen.errors import DatasetError, UsageError
from css_gen.pool import Executor, Step, run_tasks
from css_gen.progress import Reporter, Silent
from css_gen.render import plan_of, require_same, require_splits, split_counts, warm_up, write_unit
from css_gen.storage import folder
from css_gen.storage.card import write_card
from css_gen.storage.configuration import Configuration
from css_gen.storage.croissant import write_croissant
from css_gen.storage.folder import Part
from css_gen.storage.manifest import MANIFEST_NAME, FileEntry, Manifest, read_manifest
from css_gen.storage.plan import Shard, Unit, held_out, split_name, units


class Store:
    """The objects below a URL, by their names relative to it."""

    def __init__(self, url: str) -> None:
        """Raise UsageError if fsspec does not know the URL, or needs a package for it that is not installed."""
        from fsspec.core import url_to_fs

        try:
            self.files, self.root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise UsageError(f"--out {url}: {error}") from None

    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of every object. Nothing is taken from a listing that was made before."""
        self.files.invalidate_cache()
        found: dict[str, Any] = self.files.find(self.root, detail=True)
        start = len(self.root.rstrip("/")) + 1
        return {path[start:]: int(each["size"]) for path, each in found.items()}

    def size(self, name: str) -> int | None:
        self.files.invalidate_cache()
        try:
            return int(self.files.info(self._path(name))["size"])
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes:
        """Raise FileNotFoundError if there is no such object."""
        content: bytes = self.files.cat_file(self._path(name))
        return content

    def write(self, name: str, content: bytes) -> None:
        self.files.pipe_file(self._path(name), content)

    def put(self, path: Path, name: str) -> None:
        self.files.put_file(str(path), self._path(name))

    def delete_notes(self) -> None:
        self.files.rm(self._path(folder.PROGRESS_NAME), recursive=True)

    def _path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"


def render_to_url(
    url: str,
    configuration: Configuration,
    *,
    jobs: int,
    part: Part | None = None,
    reporter: Reporter | None = None,
    executor: Executor | None = None,
) -> Manifest | None:
    """Render the dataset of a configuration to a URL, or what is missing there, or the part of it that is asked for.

    Nothing keeps two commands from rendering to one URL at a time; they waste work, and damage nothing.

    Args:
        jobs: how many processes.
        executor: where to render, if not in processes of this machine.

    Returns:
        The manifest, or None as long as files of other parts are missing.

    Raises:
        ValueError: the splits are too small.
        UsageError: fsspec does not know the URL.
        DatasetError: there is something else, or the store cannot be reached.
    """
    reporter = reporter or Silent()
    require_splits(configuration)
    store = Store(url)
    with tempfile.TemporaryDirectory(prefix="css-gen-") as name:
        mirror = Path(name)
        if manifest := _begin(store, url, mirror, configuration):
            return manifest
        every = list(units(configuration))
        tasks = part.of(every) if part else every
        warm_up(configuration, reporter)
        files = _make(url, configuration, tasks, executor or partial(run_tasks, jobs=jobs), reporter)
        if part:
            files = {unit.name: entry for unit in every if (entry := _noted(store, unit.name))}
            if len(files) < len(every):
                reporter.message(f"{url}: {len(files)} of {len(every)} files are finished")
                return None
        return _complete(store, mirror, configuration, files)


def _begin(store: Store, url: str, mirror: Path, configuration: Configuration) -> Manifest | None:
    """Return the manifest if the dataset is there as a whole; otherwise note that it is begun."""
    state = f"{folder.PROGRESS_NAME}/{folder.STATE_NAME}"
    try:
        there = store.sizes()
    except Exception as error:  # each store has errors of its own
        raise DatasetError(f"{url} cannot be listed ({type(error).__name__}: {error})") from None
    (mirror / folder.PROGRESS_NAME).mkdir()
    for name in {MANIFEST_NAME, state} & there.keys():
        (mirror / name).write_bytes(store.read(name))
    if MANIFEST_NAME in there:
        manifest = read_manifest(mirror)
        require_same(url, configuration, manifest.configuration, manifest.generator_version)
        if state not in there and all(there.get(name) == entry.bytes for name, entry in manifest.files.items()):
            return manifest
    elif begun := folder.begun(mirror):
        require_same(url, configuration, *begun)
    elif foreign := sorted(name for name in there if not name.startswith(".")):
        raise DatasetError(
            f"{url} holds objects that css-gen did not make ({', '.join(foreign[:3])}); use --out for another place"
        )
    if state not in there:
        store.write(state, folder.state(configuration))
    return None


def _make(
    url: str, configuration: Configuration, tasks: Sequence[Unit], executor: Executor, reporter: Reporter
) -> dict[str, FileEntry]:
    work = partial(_make_object, url, configuration)
    images = sum(unit.stop - unit.start for unit in tasks if isinstance(unit, Shard))
    with reporter.track("rendering", images, "images") as on_progress:
        made = executor(work, tasks, on_progress=on_progress, on_note=reporter.message)
        return {unit.name: entry for unit, entry in made}


def _make_object(url: str, configuration: Configuration, unit: Unit, step: Step) -> FileEntry:
    store = Store(url)
    if entry := _noted(store, unit.name):
        step(unit.stop - unit.start if isinstance(unit, Shard) else 0)
        return entry
    with tempfile.TemporaryDirectory(prefix="css-gen-") as name:
        root = Path(name)
        (root / split_name(unit.split)).mkdir()
        entry = write_unit(root, configuration, plan_of(configuration, unit.split), unit, step)
        store.put(root / unit.name, unit.name)
    store.write(folder.note_name(unit.name), json.dumps(asdict(entry)).encode())
    return entry


def _noted(store: Store, name: str) -> FileEntry | None:
    """Return the note of a finished object, if there is one and the object has the size that it says."""
    try:
        entry = FileEntry(**json.loads(store.read(folder.note_name(name))))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return entry if store.size(name) == entry.bytes else None


def _complete(store: Store, mirror: Path, configuration: Configuration, files: dict[str, FileEntry]) -> Manifest:
    manifest = Manifest.of(configuration, split_counts(configuration), held_out(configuration).to_json(), files)
    write_card(mirror, manifest)
    write_croissant(mirror, manifest)
    manifest.write(mirror)
    for name in [*sorted(folder.DESCRIPTIONS - {MANIFEST_NAME}), MANIFEST_NAME]:
        store.put(mirror / name, name)
    store.delete_notes()
    return manifest
