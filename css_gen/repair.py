"""Make again what is broken in a dataset, and nothing else."""

from collections import Counter
from pathlib import Path

import pyarrow as pa

from css_gen.errors import DatasetError
from css_gen.progress import Reporter, Silent
from css_gen.render import make
from css_gen.storage import croissant, folder
from css_gen.storage.card import CARD_NAME
from css_gen.storage.configuration import Configuration
from css_gen.storage.manifest import MANIFEST_NAME, DamagedManifestError, Manifest, generator_version, read_manifest
from css_gen.storage.reader import open_parquet
from css_gen.storage.schema import read_footer
from css_gen.verify import check_files, manifest_problems


def repair(root: Path, *, jobs: int, reporter: Reporter | None = None) -> list[str]:
    """Make again what is broken in a dataset, and nothing else.

    Where the manifest was edited or lost, the footers of the data files take its place.

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
    trusted = manifest if manifest and not manifest_problems(manifest) else None
    if trusted:
        configuration, version = trusted.configuration, trusted.generator_version
    else:
        configuration, version = _read_from_files(root)
    reports = check_files(root, configuration, jobs, reporter)
    sound = {
        name: report.entry
        for name, report in reports.items()
        if report.entry and not report.problems
        if trusted is None or report.entry == trusted.files.get(name)
    }
    broken = [name for name in reports if name not in sound]
    stray = folder.our_files(root) - set(reports)
    if trusted and not broken and not stray and (root / CARD_NAME).exists():
        return _repair_croissant(root, trusted, reporter)
    if broken and version != generator_version():
        raise DatasetError(
            f"{root} was made by css-gen {version} and this is {generator_version()}, which may render differently; "
            f"repair it after: pip install css-bench=={version}"
        )
    with folder.held(root, on_note=reporter.message):
        folder.begin(root, configuration, sound)
        made = make(root, configuration, jobs=jobs, reporter=reporter, keep_manifest=True)
    if trusted and made.fingerprint != trusted.fingerprint:
        raise DatasetError(
            f"{root} has different content than when it was made: its fingerprint was {trusted.fingerprint[:16]} and "
            f"is {made.fingerprint[:16]}; please report this together with the output of `css-gen info {root}`"
        )
    return broken or [MANIFEST_NAME, CARD_NAME, croissant.CROISSANT_NAME]


def _repair_croissant(root: Path, manifest: Manifest, reporter: Reporter) -> list[str]:
    """Write the croissant.json of a sound dataset where it is wrong, or where an earlier css-gen wrote none."""
    if (root / croissant.CROISSANT_NAME).exists() and not croissant.problem(root, manifest):
        return []
    with folder.held(root, on_note=reporter.message):
        croissant.write_croissant(root, manifest)
    return [croissant.CROISSANT_NAME]


def _read_from_files(root: Path) -> tuple[Configuration, str]:
    """Return the configuration and css-gen version that most data files in a folder were made with."""
    votes: Counter[tuple[Configuration, str]] = Counter()
    for name in sorted(folder.our_files(root)):
        try:
            footer = read_footer(open_parquet(root / name).metadata)
            votes[footer.configuration, footer.generator_version] += 1
        except (pa.ArrowException, OSError, ValueError):
            continue
    if not votes:
        raise DatasetError(f"{root} has no readable manifest and no readable data file to make one from")
    return votes.most_common(1)[0][0]
