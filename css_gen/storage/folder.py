"""The state of a dataset's folder during rendering: its lock, its configuration, and which files are finished.

`.progress/` holds the configuration and, for every finished file, a note with its checksum. It is deleted when the
manifest is written. A file without a note, or unlike its note, counts as missing.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from css_gen.errors import DatasetError
from css_gen.scenes.randomness import SplitId
from css_gen.storage import locking
from css_gen.storage.atomic import PARTIAL_SUFFIX, write_atomically
from css_gen.storage.card import CARD_NAME
from css_gen.storage.configuration import Configuration
from css_gen.storage.croissant import CROISSANT_NAME
from css_gen.storage.manifest import MANIFEST_NAME, FileEntry, generator_version
from css_gen.storage.plan import Unit, split_name

DESCRIPTIONS = frozenset({MANIFEST_NAME, CARD_NAME, CROISSANT_NAME})
"""What css-gen writes beside the data files."""

PROGRESS_NAME = ".progress"
_LOCK_NAME = ".css-gen.lock"
STATE_NAME = "configuration.json"
_DATA = re.compile(r"(images-\d+-of-\d+|queries)\.parquet")
_PART_LOCKS = "part-*.lock"
_PARTIAL = re.compile(rf"\..+\.\d+{re.escape(PARTIAL_SUFFIX)}")


@dataclass(frozen=True)
class Part:
    """Part `number` of `count`, counted from 1, of the files of a dataset.

    Raises:
        ValueError: there is no such part.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(f"part {self.number} of {self.count}: expected 1 to {self.count}")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of(self, files: Sequence[Unit]) -> list[Unit]:
        """Return every `count`-th of the files of a dataset, so that parts differ by one file at most."""
        return [unit for place, unit in enumerate(files) if place % self.count == self.number - 1]


@contextmanager
def held(root: Path, *, on_note: Callable[[str], None] | None = None) -> Iterator[None]:
    """Make the folder if need be and keep other processes from rendering into it.

    Args:
        on_note: called with one line if the file system has no locks.

    Raises:
        DatasetError: another process renders into it or a part of it, or the path is a file.
        OSError: the folder cannot be made or written to.
    """
    with _locked(root, on_note=on_note):
        for lock in sorted((root / PROGRESS_NAME).glob(_PART_LOCKS)):
            _require_idle(root, lock)
        yield


@contextmanager
def held_for_parts(root: Path, *, on_note: Callable[[str], None] | None = None, timeout: float = 60) -> Iterator[None]:
    """As `held`, for a moment and beside the processes that render parts: to begin the folder, or to complete it.

    Args:
        timeout: seconds to wait for other processes that begin or complete it.
    """
    with _locked(root, on_note=on_note, timeout=timeout):
        yield


@contextmanager
def part_held(root: Path, part: Part, *, on_note: Callable[[str], None] | None = None) -> Iterator[None]:
    """Keep other processes from rendering the same part of a folder that is begun; enter it inside `held_for_parts`.

    Raises:
        DatasetError: another process renders it, or a part of another division.
    """
    own = root / PROGRESS_NAME / _PART_LOCKS.replace("*", f"{part.number}-of-{part.count}")
    for lock in sorted((root / PROGRESS_NAME).glob(_PART_LOCKS)):
        if not lock.name.endswith(f"-of-{part.count}.lock"):
            _require_idle(root, lock)
    busy = DatasetError(f"another css-gen process renders part {part} of {root}; wait for it to finish")
    with locking.held(own, busy=busy, on_note=on_note):
        yield


def _require_idle(root: Path, lock: Path) -> None:
    part = lock.stem.removeprefix("part-").replace("-of-", "/")
    busy = DatasetError(f"another css-gen process renders part {part} of {root}; wait for it to finish")
    with locking.held(lock, busy=busy):
        pass


@contextmanager
def _locked(root: Path, *, on_note: Callable[[str], None] | None, timeout: float = 0) -> Iterator[None]:
    if root.exists() and not root.is_dir():
        raise DatasetError(f"{root} is a file; expected a folder, or a name that is free: choose another with --out")
    root.mkdir(parents=True, exist_ok=True)
    busy = DatasetError(f"another css-gen process is using {root}; wait for it to finish or use another folder")
    with locking.held(root / _LOCK_NAME, busy=busy, timeout=timeout, on_note=on_note):
        yield


def begin(root: Path, configuration: Configuration, done: dict[str, FileEntry]) -> None:
    """Start the notes of a rendering: its configuration and the files that are finished.

    Whatever else css-gen had made in the folder is no longer part of it.
    """
    progress = root / PROGRESS_NAME
    progress.mkdir(exist_ok=True)
    for note in progress.iterdir():
        # The earlier configuration stays until the new one replaces it. Without any, the files of an unfinished dataset
        # would be taken for somebody else's if the process were killed now.
        if note.name != STATE_NAME:
            note.unlink()
    for name, entry in done.items():
        note_done(root, name, entry)
    write_atomically(progress / STATE_NAME, state(configuration))


def state(configuration: Configuration) -> bytes:
    """Return the content of the note that says what is being rendered, and by which version."""
    values = {"generator_version": generator_version(), "configuration": configuration.to_json()}
    return json.dumps(values).encode()


def begun(root: Path) -> tuple[Configuration, str] | None:
    """Return configuration and generator version of the unfinished dataset in a folder; None if there is none.

    Raises:
        DatasetError: the note of it cannot be read.
    """
    path = root / PROGRESS_NAME / STATE_NAME
    try:
        values = json.loads(path.read_text())
        return Configuration.from_json(values["configuration"]), str(values["generator_version"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DatasetError(f"{path} is damaged ({error}); use --force to start over") from None


def is_begun(root: Path) -> bool:
    """Return whether a folder holds notes, so that its rendering is unfinished."""
    return (root / PROGRESS_NAME).is_dir()


def note_done(root: Path, name: str, entry: FileEntry) -> None:
    """Note that a file is finished."""
    write_atomically(root / note_name(name), json.dumps(asdict(entry)).encode())


def noted(root: Path, name: str) -> FileEntry | None:
    """Return the note of a finished file, if there is one and the file has the size that it says."""
    try:
        entry = FileEntry(**json.loads((root / note_name(name)).read_text()))
        return entry if (root / name).stat().st_size == entry.bytes else None
    except (FileNotFoundError, ValueError, TypeError, RecursionError):
        return None


def done_entry(root: Path, name: str) -> FileEntry | None:
    """Return the note of a finished file, if there is one and the file is what it says."""
    entry = noted(root, name)
    try:
        return entry if entry and file_sha256(root / name) == entry.sha256 else None
    except FileNotFoundError:
        return None


def count_done(root: Path) -> int:
    """Return how many files are noted as finished."""
    return len(list((root / PROGRESS_NAME).glob("*.parquet.json")))


def end(root: Path) -> None:
    """Forget the notes: the manifest has taken their place."""
    shutil.rmtree(root / PROGRESS_NAME)


def is_ours(root: Path) -> bool:
    """Return whether css-gen made or began a dataset in a folder; a damaged manifest also shows that."""
    if (root / PROGRESS_NAME / STATE_NAME).exists():
        return True
    try:
        return b"css-gen" in (root / MANIFEST_NAME).read_bytes()
    except FileNotFoundError:
        return False


def foreign_files(root: Path) -> list[str]:
    """List the files in a folder that css-gen has not used. Hidden files do not count."""
    return sorted(path.name for path in root.iterdir() if not path.name.startswith(".") and path.name != "lost+found")


def sweep(root: Path, keep: set[str]) -> None:
    """Delete what css-gen made, and nothing else, except for the files in `keep`."""
    for name in DESCRIPTIONS - keep:
        (root / name).unlink(missing_ok=True)
    for folder in (root, *(root / split_name(split) for split in SplitId)):
        for path in folder.iterdir() if folder.is_dir() else ():
            made_here = _PARTIAL.fullmatch(path.name) or (folder != root and _DATA.fullmatch(path.name))
            if made_here and path.relative_to(root).as_posix() not in keep:
                path.unlink()


def our_files(root: Path) -> set[str]:
    """Return the data files in a folder, whether or not they are part of its dataset."""
    folders = (root / split_name(split) for split in SplitId)
    return {
        path.relative_to(root).as_posix()
        for folder in folders
        if folder.is_dir()
        for path in folder.iterdir()
        if _DATA.fullmatch(path.name)
    }


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def note_name(name: str) -> str:
    """Return the name of the note of a data file, inside the dataset."""
    return f"{PROGRESS_NAME}/{name.replace('/', '.')}.json"
