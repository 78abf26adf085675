"""Records from before: which of them still count, and one process at a time in the folder of a run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.errors import BenchmarkError
from benchmark.recipe.identity import RunIdentity
from benchmark.records.code_version import code_version
from benchmark.records.equal_versions import representative
from benchmark.records.store import RunRecord, StoredRecord, read_stored
from css_gen.storage import locking


def earlier_record(identity: RunIdentity, records: Path) -> StoredRecord | None:
    """The record of this very run under `records`; None if there is none.

    Raises:
        BenchmarkError: there is one, and it is damaged, or its file's name is that of this run by chance.
    """
    path = identity.find(records)
    if path is None:
        return None
    stored = read_stored(path)
    if stored.record.identity != identity:
        raise BenchmarkError(f"{path}: is the record of {stored.record.identity} with another recipe or other data")
    return stored


def outdated(record: RunRecord, composer_sha256: str) -> str:
    """How the code of today differs from the one that a record was made with; "" if it does not matter to a result.

    Args:
        composer_sha256: of the composer's file as it is now.
    """
    if record.composer_sha256 != composer_sha256:
        return "another version of the composer"
    if representative(record.environment.code_version) != representative(code_version(record.protocol)):
        return "other code (training, scoring, encoders or the task have changed)"
    return ""


@contextmanager
def held(folder: Path, note: Callable[[str], None] | None = None) -> Iterator[None]:
    """Keep other processes from making the same run at the same time.

    Args:
        note: called with a line if the file system has no locks, so that nobody is kept.

    Raises:
        BenchmarkError: another process is using the folder.
        OSError: the folder cannot be written to.
    """
    busy = f"another tirg-bench process is using {folder}; wait for it to finish or pass a different --runs"
    folder.mkdir(parents=True, exist_ok=True)
    with locking.held(folder / ".lock", busy=BenchmarkError(busy), on_note=note):
        yield
