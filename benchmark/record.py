"""One run as data: a typed JSON file of numbers, and beside it a Parquet file of what became of every query.

    records/<protocol>/<composer>/<preset>-s<seed>.json
    records/<protocol>/<composer>/<preset>-s<seed>.parquet

Whatever a table shows can be computed again from the second file, and `validate_record` does. The first ends in a
checksum of its own content, which catches an edit by hand, not a forger: only scoring the checkpoint again does that.
"""

import datetime
import hashlib
import json
from math import isclose
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from benchmark.environment import Environment
from benchmark.errors import BenchmarkError
from benchmark.outcomes_file import decode, encode
from benchmark.recall import Metrics, Outcomes, metrics_of
from css_gen.atomic import write_atomically

FORMAT_VERSION: Final = 1

_LARGEST_FILE = 64 * 2**20

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$")]
# No control characters, and no start that a spreadsheet would take for a formula.
Line = Annotated[str, Field(max_length=300, pattern=r"^[^\x00-\x20\x7f=+@-][^\x00-\x1f\x7f]*$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class ComposerCard(_Part):
    """What the composer says of itself, as in `models.ComposerInfo`."""

    name: Name
    title: Line
    paper: Line
    year: Annotated[int, Field(ge=1900, le=2200)]
    url: Annotated[str, Field(max_length=300, pattern=r"^https?://[^\s<>\"|\\]+$")]


class DatasetCard(_Part):
    """The data a run was scored on; `gallery` and `queries` are numbers of images and of test queries."""

    name: Name
    fingerprint: Name
    gallery: Annotated[int, Field(ge=1)]
    queries: Annotated[int, Field(ge=1)]


class TrainingFacts(_Part):
    """`wall_seconds` is the whole run, scoring included; `peak_memory_mib` is the device's, on a CPU the process's."""

    steps: Count
    queries_seen: Count
    queries_per_second: Amount
    wall_seconds: Amount
    evaluation_seconds: Amount
    peak_memory_mib: Amount
    final_loss: float


class ParameterCounts(_Part):
    """Numbers of learnable values: of the whole network, and of the composer alone."""

    total: Count
    composer: Count


class CurvePoint(_Part):
    """One point of the learning curve; Recall@1 is of the held-out part of the training set."""

    step: Count
    loss: float | None = None
    recall_at_1: float | None = None


class StoredFile(_Part):
    path: Line
    sha256: Digest


class RunRecord(_Part):
    """A finished run. Make one with `new_record`.

    `configuration` is the recipe alone, without composer, protocol and seed: rows of a table share it.
    `checkpoint.path` may be relative to anywhere; `ranks.path` is relative to the record.
    """

    format_version: Literal[1]
    protocol: Name
    composer: ComposerCard
    preset: Name
    seed: Count
    configuration: dict[str, JsonValue]
    configuration_hash: Digest
    dataset: DatasetCard
    metrics: Metrics
    training: TrainingFacts
    parameters: ParameterCounts
    curve: Annotated[tuple[CurvePoint, ...], Field(max_length=2_000)]
    environment: Environment
    checkpoint: StoredFile | None
    ranks: StoredFile
    created: datetime.date

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        expected = configuration_hash(
            self.configuration,
            protocol=self.protocol,
            composer=self.composer.name,
            dataset_fingerprint=self.dataset.fingerprint,
        )
        if self.configuration_hash != expected:
            raise ValueError("configuration_hash does not belong to this configuration, composer and dataset")
        if self.ranks.path != _file_name(self.preset, self.seed, "parquet"):
            raise ValueError(f"ranks.path is not {_file_name(self.preset, self.seed, 'parquet')}")
        return self

    def reproducible(self) -> dict[str, Any]:
        """What the same code, recipe and seed give again to the last digit on the same machine: no times, no hosts."""
        return self.model_dump(
            mode="json",
            exclude={
                "created": True,
                "environment": True,
                "checkpoint": {"path"},
                "training": {"queries_per_second", "wall_seconds", "evaluation_seconds", "peak_memory_mib"},
            },
        )


class StoredRecord(NamedTuple):
    """A record with what became of its queries, and the path it was read from."""

    record: RunRecord
    outcomes: Outcomes
    path: Path


def new_record(
    outcomes: Outcomes,
    *,
    protocol: str,
    composer: ComposerCard,
    preset: str,
    seed: int,
    configuration: dict[str, JsonValue],
    dataset: DatasetCard,
    training: TrainingFacts,
    parameters: ParameterCounts,
    curve: tuple[CurvePoint, ...],
    environment: Environment,
    checkpoint: StoredFile | None,
    created: datetime.date,
) -> RunRecord:
    """A record whose scores and hashes are computed here, so that they cannot be wrong.

    Raises:
        ValueError: there are no queries, or a value breaks the format (pydantic's ValidationError).
    """
    return RunRecord(
        format_version=FORMAT_VERSION,
        protocol=protocol,
        composer=composer,
        preset=preset,
        seed=seed,
        configuration=configuration,
        configuration_hash=configuration_hash(
            configuration, protocol=protocol, composer=composer.name, dataset_fingerprint=dataset.fingerprint
        ),
        dataset=dataset,
        metrics=metrics_of(outcomes),
        training=training,
        parameters=parameters,
        curve=curve,
        environment=environment,
        checkpoint=checkpoint,
        ranks=StoredFile(path=_file_name(preset, seed, "parquet"), sha256=_sha256(encode(outcomes))),
        created=created,
    )


def configuration_hash(
    configuration: dict[str, JsonValue], *, protocol: str, composer: str, dataset_fingerprint: str
) -> str:
    """SHA-256 of everything that decides a run but the seed: equal hashes need no second run.

    Raises:
        ValueError: the configuration holds NaN or infinity.
    """
    return _sha256(
        _canonical(
            {
                "protocol": protocol,
                "composer": composer,
                "dataset": dataset_fingerprint,
                "configuration": configuration,
            }
        )
    )


def record_path(root: Path, *, protocol: str, composer: str, preset: str, seed: int) -> Path:
    """Where under `root` the record of that run lies, or would lie."""
    return root / protocol / composer / _file_name(preset, seed, "json")


def save_record(record: RunRecord, outcomes: Outcomes, root: Path) -> Path:
    """Write a record and its outcomes under `root`, the record last, and return its path.

    Raises:
        ValueError: the record was not made from these outcomes.
        BenchmarkError: the folder cannot be written.
    """
    content = encode(outcomes)
    if _sha256(content) != record.ranks.sha256:
        raise ValueError("these are not the outcomes that the record was made from")
    path = record_path(
        root, protocol=record.protocol, composer=record.composer.name, preset=record.preset, seed=record.seed
    )
    values = record.model_dump(mode="json")
    sealed = values | {"sha256": _sha256(_canonical(values))}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path.parent / record.ranks.path, content)
        write_atomically(path, (json.dumps(sealed, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())
    except OSError as error:
        raise BenchmarkError(f"{path}: the record cannot be written ({error.strerror}); check the folder") from None
    return path


def load_record(path: Path) -> RunRecord:
    """Read a record, checking its format and its checksum, not yet its numbers.

    Raises:
        BenchmarkError: the file cannot be read, is no record, is of another format version, or was edited.
    """
    try:
        values = json.loads(_read(path), parse_constant=_refuse_constant)
        version = values["format_version"]
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise BenchmarkError(f"{path}: format version {version} is newer than {FORMAT_VERSION}; update css-bench")
        checksum = values.pop("sha256")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BenchmarkError(f"{path}: not a record of tirg-bench; remove it from the records") from None
    if checksum != _sha256(_canonical(values)):
        raise BenchmarkError(f"{path}: was edited, its checksum no longer fits; restore it or run it again")
    try:
        return RunRecord.model_validate_json(json.dumps(values))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise BenchmarkError(f"{path}: {where + ': ' if where else ''}{first['msg']}; run it again") from None


def load_outcomes(path: Path, record: RunRecord) -> Outcomes:
    """Read what became of each query of the record at `path`.

    Raises:
        BenchmarkError: the file is missing, is not the one that the record was made from, or is no such table.
    """
    file = path.parent / record.ranks.path
    content = _read(file)
    if _sha256(content) != record.ranks.sha256:
        raise BenchmarkError(f"{file}: is not the file that {path.name} was made from; restore it or run it again")
    try:
        return decode(content, record.dataset.queries)
    except ValueError as error:
        raise BenchmarkError(f"{file}: holds no outcomes of {record.dataset.queries} queries ({error})") from None


def read_stored(path: Path) -> StoredRecord:
    """A record that agrees with itself: see `validate_record` for what is checked.

    Raises:
        BenchmarkError: it does not; the message names the file and the first disagreement.
    """
    record = load_record(path)
    home = record_path(
        Path(), protocol=record.protocol, composer=record.composer.name, preset=record.preset, seed=record.seed
    )
    if path.resolve().parts[-3:] != home.parts:
        raise BenchmarkError(f"{path}: is the record of another run; its place is {home} among the records")
    outcomes = load_outcomes(path, record)
    gallery = record.dataset.gallery
    if outcomes.candidates.max() > gallery or outcomes.first.max() >= gallery:
        raise BenchmarkError(f"{path}: its ranks are from a gallery of more than {gallery} images; run it again")
    if difference := _difference("metrics", record.metrics.model_dump(), metrics_of(outcomes).model_dump()):
        raise BenchmarkError(f"{path}: {difference}; the record was edited or is broken, run it again")
    return StoredRecord(record, outcomes, path)


def validate_record(path: Path) -> list[str]:
    """What is wrong with a record, one line for a person each; empty if nothing is.

    Checked: format, checksum, its place among the records, the hashes of its configuration and its ranks, and every
    score, which is computed again from the ranks.
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


def _file_name(preset: str, seed: int, suffix: str) -> str:
    return f"{preset}-s{seed}.{suffix}"


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise BenchmarkError(f"{path}: is larger than {_LARGEST_FILE // 2**20} MiB, so no record; remove it")
        return path.read_bytes()
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror})") from None


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _canonical(values: Any) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
