"""manifest.json: a dataset's configuration, files and checksums."""

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self, TypeVar

from css_gen.errors import DatasetError
from css_gen.storage.atomic import write_atomically
from css_gen.storage.configuration import Configuration
from css_gen.storage.content import fingerprint

FORMAT_VERSION = 1
"""Raised when a dataset of an older reader would be misread. Older formats stay readable or are refused by name."""

MANIFEST_NAME = "manifest.json"
_OWN_HASH = "manifest_sha256"
Entry = TypeVar("Entry")


def generator_version() -> str:
    """Return the version of this package, or "unknown" where it runs from a bare checkout."""
    try:
        return version("css-bench")
    except PackageNotFoundError:
        return "unknown"


class DamagedManifestError(DatasetError):
    """Raised when a manifest is missing or cannot be read, though the folder may hold a dataset."""


@dataclass(frozen=True)
class FileEntry:
    """A file of the dataset: its rows, its size in bytes, its SHA-256, and the hash of its decoded content."""

    rows: int
    bytes: int
    sha256: str
    content: str


@dataclass(frozen=True)
class SplitCounts:
    """The sizes of a split. References are its first images and the sources of its queries."""

    images: int
    references: int
    queries: int


@dataclass(frozen=True)
class Manifest:
    """The contents of manifest.json.

    Attributes:
        held_out: shape-colour combinations that one split alone shows, as `HeldOut.to_json` gives them.
        files: an entry for every data file, under its path inside the dataset.
        is_unedited: whether the file's hash of itself is right.
    """

    configuration: Configuration
    generator_version: str
    splits: dict[str, SplitCounts]
    held_out: Any
    files: dict[str, FileEntry]
    fingerprint: str
    is_unedited: bool = True

    @classmethod
    def of(
        cls, configuration: Configuration, splits: dict[str, SplitCounts], held_out: Any, files: dict[str, FileEntry]
    ) -> Self:
        """Make the manifest of files that this version of the package has just written."""
        return cls(
            configuration=configuration,
            generator_version=generator_version(),
            splits=splits,
            held_out=held_out,
            files=dict(sorted(files.items())),
            fingerprint=fingerprint(FORMAT_VERSION, [(name, entry.content) for name, entry in files.items()]),
        )

    def split_fingerprint(self, split: str) -> str:
        """Compute the fingerprint of one split, as that of the dataset is computed, from its files alone.

        It does not depend on the other split: datasets whose configurations differ in the number of training images
        have the same test split.
        """
        files = [(name, entry.content) for name, entry in self.files.items() if name.startswith(f"{split}/")]
        return fingerprint(FORMAT_VERSION, files)

    def write(self, root: Path) -> None:
        values = {
            "format": "css",
            "format_version": FORMAT_VERSION,
            "generator": "css-gen",
            "generator_version": self.generator_version,
            "configuration": self.configuration.to_json(),
            "splits": {name: asdict(counts) for name, counts in self.splits.items()},
            "held_out": self.held_out,
            "files": {name: asdict(entry) for name, entry in self.files.items()},
            "fingerprint": self.fingerprint,
        }
        values[_OWN_HASH] = _own_hash(values)
        write_atomically(root / MANIFEST_NAME, (json.dumps(values, indent=1) + "\n").encode())


def read_manifest(root: Path) -> Manifest:
    """Read the manifest of the dataset in a folder.

    Raises:
        DatasetError: there is no folder or no manifest, or it is not one, or it is of a newer format. An edited
            manifest that still reads is returned, with `is_unedited` false.
    """
    path = root / MANIFEST_NAME
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        raise DamagedManifestError(_why_missing(root)) from None
    except NotADirectoryError:
        raise DatasetError(f"{root} is a file; expected the folder of a dataset") from None
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"it is not JSON ({error})") from None
    if not isinstance(values, dict) or values.get("format") != "css":
        raise DatasetError(f'{path} is not a manifest of css-gen: expected "format": "css"')
    if type(values.get("format_version")) is not int:
        raise _damaged(path, "its format_version is not a number")
    if values["format_version"] > FORMAT_VERSION:
        raise DatasetError(
            f"{path} has format version {values['format_version']} and this css-gen {generator_version()} reads up to "
            f"{FORMAT_VERSION}; update it with: pip install --upgrade css-bench"
        )
    try:
        own_hash = values.pop(_OWN_HASH)
        return Manifest(
            configuration=Configuration.from_json(values["configuration"]),
            generator_version=str(values["generator_version"]),
            splits={name: _typed(SplitCounts, entry) for name, entry in values["splits"].items()},
            held_out=values["held_out"],
            files={name: _typed(FileEntry, entry) for name, entry in values["files"].items()},
            fingerprint=str(values["fingerprint"]),
            is_unedited=own_hash == _own_hash(values),
        )
    except KeyError as error:
        raise _damaged(path, f"{error} is missing") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, str(error)) from None


def _typed(kind: type[Entry], values: Any) -> Entry:
    entry = kind(**values)
    for name, value in values.items():
        expected = kind.__annotations__[name]
        if type(value) is not expected:
            raise ValueError(f"{name} must be of type {expected.__name__}, got {value!r}")
    return entry


def _own_hash(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _damaged(path: Path, why: str) -> DamagedManifestError:
    return DamagedManifestError(f"{path} is damaged: {why}; `css-gen verify {path.parent} --repair` writes it again")


def _why_missing(root: Path) -> str:
    if not root.exists():
        return f"{root} does not exist; make a dataset there with: css-gen render --n 20000 --out {root}"
    return (
        f"{root} holds no finished dataset ({MANIFEST_NAME} is missing); make it with: css-gen render --out {root} ..."
    )
