"""Render one part of a dataset, for any scheduler: N processes, each with its part, write into one folder."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from css_gen.pool import run_tasks
from css_gen.progress import Reporter, Silent
from css_gen.render import begin, complete, finished, make_files, prepare, require_splits, warm_up
from css_gen.storage import folder
from css_gen.storage.configuration import Configuration
from css_gen.storage.folder import Part
from css_gen.storage.manifest import Manifest
from css_gen.storage.plan import units


def render_part(
    root: Path, configuration: Configuration, part: Part, *, jobs: int, reporter: Reporter | None = None
) -> Manifest | None:
    """Render the unfinished files of one part; the process that finishes the last file of all writes the manifest.

    Args:
        jobs: how many processes.

    Returns:
        The manifest, or None as long as files of other parts are missing. `css_gen.render.render` makes those, too.

    Raises:
        ValueError: the splits are too small.
        DatasetError: the folder holds something else, or another process renders this part or the whole.
        OSError: a disk that is full, a folder that cannot be written. Finished files are kept, others leave no trace.
    """
    reporter = reporter or Silent()
    require_splits(configuration)
    every = list(units(configuration))
    with ExitStack() as stack:
        with folder.held_for_parts(root, on_note=reporter.message):
            if manifest := finished(root, configuration):
                return manifest
            done = begin(root, configuration)
            if done is not None:  # nobody else is writing yet
                prepare(root, every, keep_manifest=bool(done))
            stack.enter_context(folder.part_held(root, part, on_note=reporter.message))
        warm_up(configuration, reporter)
        make_files(root, configuration, part.of(every), partial(run_tasks, jobs=jobs), reporter)
        with folder.held_for_parts(root, on_note=reporter.message):
            if manifest := finished(root, configuration):
                return manifest
            files = {unit.name: folder.noted(root, unit.name) for unit in every}
            whole = {name: entry for name, entry in files.items() if entry}
            if len(whole) < len(files):
                reporter.message(f"{root}: {len(whole)} of {len(files)} files are finished")
                return None
            return complete(root, configuration, whole)
