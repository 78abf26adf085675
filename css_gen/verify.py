"""Whether a dataset is what its manifest and its configuration say: every checksum, image and query, and repair."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from css_gen.errors import DatasetError
from css_gen.pool import run_tasks
from css_gen.progress import Reporter, Silent
from css_gen.render import make, split_counts
from css_gen.storage import folder
from css_gen.storage.card import CARD_NAME
from css_gen.storage.configuration import Configuration, Unit, units
from css_gen.storage.content import fingerprint
from css_gen.storage.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    DamagedManifestError,
    FileEntry,
    Manifest,
    generator_version,
    read_manifest,
)
from css_gen.storage.shards import held_out, read_footer
from css_gen.verify_files import FileReport, Problem, check_file

__all__ = ["Problem", "repair", "verify"]


def verify(root: Path, *, jobs: int, reporter: Reporter | None = None) -> list[Problem]:
    """Everything that is wrong with a dataset, in the order of its files; empty if it is sound.

    Args:
        jobs: how many processes.

    Raises:
        DatasetError: there is no dataset, its manifest cannot be read, or it is of a newer format.
    """
    manifest = read_manifest(root)
    reports = _check_files(root, manifest.configuration, jobs, reporter or Silent())
    problems = _manifest_problems(manifest)
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
    return sorted(problems, key=lambda problem: (problem.file, problem.row or 0))


def repair(root: Path, *, jobs: int, reporter: Reporter | None = None) -> list[str]:
    """Make again what is broken in a dataset, and nothing else. Where the manifest was edited or lost, what the files
    say of themselves takes its place.

    Returns:
        The names of the files that were made again.

    Raises:
        DatasetError: there is nothing to go by, or another version of css-gen made the dataset.
        OSError: the disk is full, or the folder cannot be written.
    """
    reporter = reporter or Silent()
    try:
        manifest = read_manifest(root)
    except DamagedManifestError:
        manifest = None
    trusted = manifest if manifest and not _manifest_problems(manifest) else None
    if trusted:
        configuration, version = trusted.configuration, trusted.generator_version
    else:
        configuration, version = _told_by_files(root)
    reports = _check_files(root, configuration, jobs, reporter)
    sound = {
        name: report.entry
        for name, report in reports.items()
        if report.entry and not report.problems
        if trusted is None or report.entry == trusted.files.get(name)
    }
    broken = [name for name in reports if name not in sound]
    stray = folder.our_files(root) - set(reports)
    if trusted and not broken and not stray and (root / CARD_NAME).exists():
        return []
    if broken and version != generator_version():
        raise DatasetError(
            f"{root} was made by css-gen {version} and this is {generator_version()}, which may render otherwise; "
            f"repair it after: pip install css-bench=={version}"
        )
    with folder.held(root, on_note=reporter.message):
        folder.begin(root, configuration, sound)
        made = make(root, configuration, jobs=jobs, reporter=reporter, keep_manifest=True)
    if trusted and made.fingerprint != trusted.fingerprint:
        raise DatasetError(
            f"{root} has other content now than when it was made: its fingerprint was {trusted.fingerprint[:16]} and "
            f"is {made.fingerprint[:16]}; please report this, with what `css-gen info {root}` prints"
        )
    return broken or [MANIFEST_NAME, CARD_NAME]


def _check_files(root: Path, configuration: Configuration, jobs: int, reporter: Reporter) -> dict[str, FileReport]:
    tasks = list(units(configuration))
    work = partial(check_file, root, configuration)
    with reporter.track("verifying", configuration.images, "images") as on_progress:
        reports: Mapping[Unit, FileReport] = dict(
            run_tasks(work, tasks, jobs=jobs, on_progress=on_progress, on_note=reporter.message)
        )
    return {unit.name: reports[unit] for unit in tasks}


def _manifest_problems(manifest: Manifest) -> list[Problem]:
    """What the manifest alone shows to be wrong with it."""
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
        found.append("its content is not what the manifest has the hash of")
    if actual.content and actual.rows != recorded.rows:
        found.append(f"has {actual.rows} rows where the manifest has {recorded.rows}")
    return [Problem(name, None, what) for what in found]


def _told_by_files(root: Path) -> tuple[Configuration, str]:
    """The configuration and the generator's version that most data files in a folder say they were made with."""
    votes: Counter[tuple[Configuration, str]] = Counter()
    for name in sorted(folder.our_files(root)):
        try:
            footer = read_footer(pq.read_metadata(root / name))
            votes[footer.configuration, footer.generator_version] += 1
        except (pa.ArrowException, OSError, ValueError):
            continue
    if not votes:
        raise DatasetError(f"{root} has no readable manifest and no readable data file to make one from")
    return votes.most_common(1)[0][0]
