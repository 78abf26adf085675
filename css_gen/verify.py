"""Check a dataset against its manifest and its configuration: every checksum, image and query."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from css_gen.pool import run_tasks
from css_gen.progress import Reporter, Silent
from css_gen.render import split_counts
from css_gen.storage import croissant, folder
from css_gen.storage.card import CARD_NAME
from css_gen.storage.configuration import Configuration
from css_gen.storage.content import fingerprint
from css_gen.storage.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    FileEntry,
    Manifest,
    read_manifest,
)
from css_gen.storage.plan import Unit, held_out, units
from css_gen.verify_files import FileReport, Problem, check_file

__all__ = ["Problem", "check_files", "manifest_problems", "verify"]


def verify(root: Path, *, jobs: int, reporter: Reporter | None = None) -> list[Problem]:
    """Return everything that is wrong with a dataset, in the order of its files; nothing if it is sound.

    Args:
        jobs: how many processes.

    Raises:
        DatasetError: there is no dataset, its manifest cannot be read, or it is of a newer format.
    """
    manifest = read_manifest(root)
    reports = check_files(root, manifest.configuration, jobs, reporter or Silent())
    problems = manifest_problems(manifest)
    for name, report in reports.items():
        problems += report.problems
        problems += _entry_problems(name, report.entry, manifest.files.get(name))
    expected = set(reports) | {MANIFEST_NAME, CARD_NAME}
    problems += [Problem(name, None, "is not part of the dataset") for name in folder.our_files(root) - expected]
    contents = [(name, report.entry.content) for name, report in reports.items() if report.entry]
    if not problems and fingerprint(FORMAT_VERSION, contents) != manifest.fingerprint:
        problems.append(Problem(MANIFEST_NAME, None, "its fingerprint is not that of the content"))
    if not (root / CARD_NAME).exists():
        problems.append(Problem(CARD_NAME, None, "is missing"))
    if wrong := croissant.problem(root, manifest):
        problems.append(Problem(croissant.CROISSANT_NAME, None, wrong))
    return sorted(problems, key=lambda problem: (problem.file, problem.row or 0))


def check_files(root: Path, configuration: Configuration, jobs: int, reporter: Reporter) -> dict[str, FileReport]:
    tasks = list(units(configuration))
    work = partial(check_file, root, configuration)
    with reporter.track("verifying", configuration.images, "images") as on_progress:
        reports: Mapping[Unit, FileReport] = dict(
            run_tasks(work, tasks, jobs=jobs, on_progress=on_progress, on_note=reporter.message)
        )
    return {unit.name: reports[unit] for unit in tasks}


def manifest_problems(manifest: Manifest) -> list[Problem]:
    """Return what is wrong with a manifest, going by nothing but the manifest itself."""
    configuration = manifest.configuration
    found = []
    if not manifest.is_unedited:
        found.append("was edited: its checksum of itself is wrong")
    if manifest.splits != split_counts(configuration):
        found.append("its counts are not those of its configuration")
    if manifest.held_out != held_out(configuration).to_json():
        found.append("its held-out combinations are not those of its configuration")
    if set(manifest.files) != {unit.name for unit in units(configuration)}:
        found.append("its files are not those of its configuration")
    contents = [(name, entry.content) for name, entry in manifest.files.items()]
    if fingerprint(FORMAT_VERSION, contents) != manifest.fingerprint:
        found.append("its fingerprint is not that of its files' contents")
    return [Problem(MANIFEST_NAME, None, what) for what in found]


def _entry_problems(name: str, actual: FileEntry | None, recorded: FileEntry | None) -> list[Problem]:
    if actual is None or recorded is None:
        return []
    found = []
    if actual.bytes != recorded.bytes:
        found.append(f"has {actual.bytes} bytes where the manifest has {recorded.bytes}")
    elif actual.sha256 != recorded.sha256:
        found.append("its checksum is not the manifest's")
    if actual.content and actual.content != recorded.content:
        found.append("its content does not match the manifest's hash")
    if actual.content and actual.rows != recorded.rows:
        found.append(f"has {actual.rows} rows where the manifest has {recorded.rows}")
    return [Problem(name, None, what) for what in found]
