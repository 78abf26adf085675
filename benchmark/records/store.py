"""Records on disk: a typed JSON file of numbers, and a Parquet file with the outcome of every query.

    records/<task>/<composer>/<preset>-<recipe>-s<seed>-<fingerprint>.json, and .parquet (see `recipe.identity`)

Whatever a table shows can be computed again from the second file, and `validate_record` does. The first ends in a
checksum of its own content, which catches an edit by hand, not a forger: only scoring the checkpoint again does that.
"""

import json
from math import isclose
from pathlib import Path, PurePath
from typing import Any, NamedTuple, NoReturn, TypeVar

from pydantic import ValidationError

import models
from benchmark.errors import BenchmarkError
from benchmark.records import known_queries
from benchmark.records.environment import Environment
from benchmark.records.outcomes_file import decode, encode
from benchmark.records.schema import (
    FORMAT_VERSION,
    ComposerCard,
    CurvePoint,
    DatasetCard,
    Example,
    ParameterCounts,
    RunRecord,
    ScoredRecord,
    StoredFile,
    Submission,
    TrainingFacts,
    canonical,
    sha256,
)
from benchmark.records.tier import SUFFIX as TIER_SUFFIX
from benchmark.records.tier import Tier, tier_of
from benchmark.scoring.metrics import metrics_of
from benchmark.scoring.recall import Outcomes
from css_gen.storage.atomic import write_atomically

__all__ = [
    "FORMAT_VERSION",
    "SUBMISSIONS",
    "ComposerCard",
    "CurvePoint",
    "DatasetCard",
    "Environment",
    "Example",
    "ParameterCounts",
    "RunRecord",
    "StoredFile",
    "StoredRecord",
    "Submission",
    "Tier",
    "TrainingFacts",
    "load_outcomes",
    "load_record",
    "read_stored",
    "save_record",
    "submitted_source",
    "validate_record",
]

SUBMISSIONS = "submissions"
"""The folder beside `records/` with the code of submitted composers: NAME/NAME.py."""

_LARGEST_FILE = 64 * 2**20

Record = TypeVar("Record", bound=ScoredRecord)


class StoredRecord(NamedTuple):
    """A record with the outcomes of its queries, the path of its file, how far it was checked, and its file's hash."""

    record: RunRecord
    outcomes: Outcomes
    path: Path
    tier: Tier = Tier.SELF_REPORTED
    file_sha256: str = ""


def save_record(record: RunRecord, outcomes: Outcomes, root: Path, *, replace: bool = False) -> Path:
    """Write a record and its outcomes under `root`, the record last, and return its path. A dataset without a record
    so far is added to the datasets beside `root`.

    Args:
        replace: whether another record of the same run may be replaced. Without it, only what is said of a run may
            change, such as who submitted it: its ranks and its checkpoint stay the same.

    Raises:
        ValueError: the record was not made from these outcomes.
        BenchmarkError: the folder cannot be written, or holds another record of this run.
    """
    content = encode(outcomes)
    if sha256(content) != record.ranks.sha256:
        raise ValueError("these are not the outcomes that the record was made from")
    path = root / f"{record.place}.json"
    try:
        earlier = record.identity.find(root)
        if earlier and not replace and not _is_same_run(earlier, record):
            raise BenchmarkError(f"{earlier}: there is a record of this run already; --replace replaces it")
        known_queries.add(
            known_queries.place_of(root),
            known_queries.key_of(record),
            known_queries.queries_of(outcomes, record.dataset),
        )
        write_record(record, content, path)
        if earlier and earlier != path:
            remove_record(earlier)
    except OSError as error:
        raise BenchmarkError(f"{path}: the record cannot be written ({error.strerror}); check the folder") from None
    return path


def write_record(record: ScoredRecord, ranks: bytes, path: Path) -> None:
    """Write a record with its checksum, and before it the content of its ranks. Raises OSError."""
    values = record.model_dump(mode="json")
    sealed = values | {"sha256": sha256(canonical(values))}
    text = (json.dumps(sealed, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path.parent / record.ranks.path, ranks)
    write_atomically(path, text)


def _is_same_run(path: Path, record: RunRecord) -> bool:
    earlier = load_record(path)
    checkpoints = [each.checkpoint.sha256 if each.checkpoint else None for each in (earlier, record)]
    return earlier.ranks.sha256 == record.ranks.sha256 and checkpoints[0] == checkpoints[1]


def remove_record(path: Path) -> None:
    """Remove a record with its other files. Raises OSError."""
    for suffix in (".json", ".parquet", TIER_SUFFIX):
        path.with_suffix(suffix).unlink(missing_ok=True)


def load_record(path: Path) -> RunRecord:
    """Read a record, checking its format and its checksum, not yet its numbers.

    Raises:
        BenchmarkError: the file cannot be read, is not a record, is of another format version, or was edited.
    """
    return load_as(path, RunRecord)


def load_as(path: Path, kind: type[Record]) -> Record:
    """Read a record of one kind, as `load_record` does."""
    try:
        values = json.loads(_read(path), parse_constant=_refuse_constant)
        version = values["format_version"]
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise BenchmarkError(f"{path}: format version {version} is newer than {FORMAT_VERSION}; update css-bench")
        said, computed = values.pop("sha256"), sha256(canonical(values))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BenchmarkError(f"{path}: not a record of tirg-bench; remove it from the records") from None
    if said != computed:
        raise BenchmarkError(f"{path}: was edited, its checksum no longer fits; restore it or run it again")
    try:
        return kind.model_validate_json(json.dumps(values))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise BenchmarkError(f"{path}: {where + ': ' if where else ''}{first['msg']}; run it again") from None


def load_outcomes(path: Path, record: ScoredRecord) -> Outcomes:
    """Read the outcome of each query of the record at `path`.

    Raises:
        BenchmarkError: the file is missing, is not the one that the record was made from, or has another content.
    """
    file = path.parent / record.ranks.path
    content = _read(file)
    if sha256(content) != record.ranks.sha256:
        raise BenchmarkError(f"{file}: is not the file that {path.name} was made from; restore it or run it again")
    try:
        return decode(content, record.dataset.queries)
    except ValueError as error:
        raise BenchmarkError(f"{file}: holds no outcomes of {record.dataset.queries} queries ({error})") from None


_agreed: set[tuple[str, str]] = set()
"""Hashes of records and of their outcomes whose scores agree: a grid reads all records after each of its runs."""


def read_stored(path: Path) -> StoredRecord:
    """Load a record and check that it is internally consistent; `validate_record` lists what is checked.

    Raises:
        BenchmarkError: it is not; the message names the file and the first disagreement.
    """
    digest = file_sha256(path)
    record = load_record(path)
    home = PurePath(f"{record.place}.json")
    if path.resolve().parts[-3:] != home.parts:
        raise BenchmarkError(f"{path}: is the record of another run; its place is {home} among the records")
    _require_source(path, record)
    known = digest, record.ranks.sha256
    outcomes = load_outcomes(path, record) if known in _agreed else consistent_outcomes(path, record)
    _agreed.add(known)
    return StoredRecord(record, outcomes, path, tier_of(path), digest)


def consistent_outcomes(path: Path, record: ScoredRecord) -> Outcomes:
    """Load the outcomes of the record at `path`.

    Raises:
        BenchmarkError: the record's scores, examples or gallery do not agree with them.
    """
    outcomes = load_outcomes(path, record)
    gallery = record.dataset.gallery
    if outcomes.candidates.max() > gallery or outcomes.top1.max() >= gallery:
        raise BenchmarkError(f"{path}: its ranks are from a gallery of more than {gallery} images; run it again")
    for example in record.examples:
        if example.query >= record.dataset.queries or max(example.top, default=0) >= gallery:
            raise BenchmarkError(f"{path}: an example names a query or an image that there is not; run it again")
    computed = metrics_of(outcomes, only=record.metrics.scores)
    if difference := _difference("metrics", record.metrics.model_dump(), computed.model_dump()):
        raise BenchmarkError(f"{path}: {difference}; the record was edited or is broken, run it again")
    return outcomes


def file_sha256(path: Path) -> str:
    """Hash the file of a record. Raises BenchmarkError if it cannot be read."""
    return sha256(_read(path))


def submitted_source(path: Path, composer: str) -> Path:
    """The file with the code of a submitted composer whose record is at `path`."""
    return path.resolve().parents[3] / SUBMISSIONS / composer / f"{composer}.py"


def _require_source(path: Path, record: RunRecord) -> None:
    """Raises BenchmarkError if a submitted composer's code is not the one that the record was made with."""
    if record.submission is None:
        return
    file, name = submitted_source(path, record.composer.name), record.composer.name
    if name in models.names():
        raise BenchmarkError(f"{path}: is a submission under the name of a composer in models/; remove it")
    if sha256(_read(file)) != record.submission.source_sha256:
        raise BenchmarkError(f"{file}: is not the code that {path} was made with; restore it or submit it again")


def validate_record(path: Path) -> list[str]:
    """Say what is wrong with a record, one line each; empty if nothing is.

    Checked: format, checksum, its place among the records (which names the hash of its recipe), the hashes of its ranks
    and of the code of a submission, and every score, which is computed again from the ranks.
    """
    try:
        read_stored(path)
    except BenchmarkError as error:
        return [str(error)]
    return []


def _difference(name: str, said: Any, computed: Any) -> str | None:
    """The first place where two nested values differ, beyond the last digits of a number."""
    if isinstance(said, dict) and isinstance(computed, dict):
        if said.keys() != computed.keys():
            return f"{name} has {sorted(map(str, said))}, its ranks give {sorted(map(str, computed))}"
        inner = (_difference(f"{name}.{key}", said[key], computed[key]) for key in said)
        return next((found for found in inner if found), None)
    if said is None or computed is None:
        same = said is computed
    else:
        same = isclose(said, computed, rel_tol=1e-9, abs_tol=1e-9)
    return None if same else f"{name} says {said}, its ranks give {computed}"


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise BenchmarkError(f"{path}: is larger than {_LARGEST_FILE // 2**20} MiB, so not a record; remove it")
        return path.read_bytes()
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror})") from None


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")
