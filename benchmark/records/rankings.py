"""The record of a model that is known by its ranking alone: who made it, and what it scored.

    records/<task>/<name>/ranking-<fingerprint>.json, and .parquet with the outcome of every query

Nothing is known of its training, and no checkpoint can be scored again, so such a record stays self-reported.
"""

import datetime
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

import models
from benchmark.errors import BenchmarkError, UsageError
from benchmark.records import known_queries
from benchmark.records.examples import examples_of
from benchmark.records.outcomes_file import encode
from benchmark.records.schema import (
    FORMAT_VERSION,
    DatasetCard,
    Line,
    Name,
    ScoredRecord,
    StoredFile,
    Url,
    sha256,
)
from benchmark.records.store import SUBMISSIONS, consistent_outcomes, file_sha256, load_as, write_record
from benchmark.scoring.evaluation import Evaluation
from benchmark.scoring.metrics import metrics_of
from benchmark.scoring.recall import Outcomes

_PREFIX = "ranking-"
_SHORT = 8

Given = Literal["ranking", "embeddings"]


class RankingRecord(ScoredRecord):
    """What a model scored by its ranking. Make one with `new_ranking`.

    Attributes:
        name: of the model, unlike that of any composer.
        author, url: who made it, and where it is described.
        about: one line on the model, such as its encoder and what it was trained on.
        given: whether its lists were read, or embeddings that they follow from.
        depth: how many images the shortest list has; Recall@K beyond it is a lower bound.
        files: names and hashes of the files that were scored.
    """

    name: Name
    title: Line
    author: Line
    url: Url
    about: Line | None = None
    given: Given
    depth: Annotated[int, Field(ge=1)]
    files: Annotated[tuple[StoredFile, ...], Field(min_length=1, max_length=2)]

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.ranks.path != (name := f"{self.place.name}.parquet"):
            raise ValueError(f"ranks.path is not {name}")
        return self

    @property
    def place(self) -> PurePath:
        """Its path below `records/`, without an ending."""
        return _place(self.protocol, self.name, self.dataset.fingerprint)


class Model(NamedTuple):
    """What is said of a model; the fields are those of `RankingRecord`."""

    name: str
    title: str
    author: str
    url: str
    about: str | None = None


class StoredRanking(NamedTuple):
    """A record with the outcomes of its queries, the path of its file and that file's hash."""

    record: RankingRecord
    outcomes: Outcomes
    path: Path
    file_sha256: str = ""


def new_ranking(
    model: Model,
    evaluation: Evaluation,
    *,
    task: str,
    dataset: DatasetCard,
    given: Given,
    depth: int,
    files: Sequence[StoredFile],
) -> RankingRecord:
    """The record of a model with these scores, made today.

    Raises:
        ValueError: a value breaks the format (pydantic's ValidationError).
    """
    return RankingRecord(
        format_version=FORMAT_VERSION,
        protocol=task,
        dataset=dataset,
        metrics=metrics_of(evaluation.outcomes),
        examples=examples_of(evaluation.outcomes, evaluation.top),
        ranks=StoredFile(
            path=f"{_place(task, model.name, dataset.fingerprint).name}.parquet",
            sha256=sha256(encode(evaluation.outcomes)),
        ),
        created=datetime.datetime.now(datetime.UTC).date(),
        **model._asdict(),
        given=given,
        depth=depth,
        files=tuple(files),
    )


def save_ranking(record: RankingRecord, outcomes: Outcomes, root: Path, *, replace: bool = False) -> Path:
    """Write a record and its outcomes under `root`, the folder of records, and return its path.

    Raises:
        UsageError: the name belongs to a composer.
        BenchmarkError: the folder cannot be written, or holds a record of this model, and `replace` is false.
    """
    path = root / f"{record.place}.json"
    require_unused(record.protocol, record.name, record.dataset.fingerprint, root, replace=replace)
    try:
        write_record(record, encode(outcomes), path)
        known_queries.add(
            known_queries.place_of(root),
            known_queries.key_of(record),
            known_queries.queries_of(outcomes, record.dataset),
        )
    except OSError as error:
        raise BenchmarkError(f"{path}: the record cannot be written ({error.strerror}); check the folder") from None
    return path


def require_unused(task: str, name: str, fingerprint: str, root: Path, *, replace: bool = False) -> None:
    """Check that a record can be added for this model.

    Raises:
        UsageError: the name belongs to a composer.
        BenchmarkError: there is one, and `replace` is false.
    """
    require_free(name, root)
    path = root / f"{_place(task, name, fingerprint)}.json"
    if path.exists() and not replace:
        raise BenchmarkError(f"{path}: there is a record of this model already; --replace replaces it")


def require_free(name: str, root: Path) -> None:
    """Raises UsageError if a composer has that name: in `models/`, submitted, or with runs under `root`."""
    if name in models.names() or (root.parent / SUBMISSIONS / name).exists() or _has_runs(name, root):
        raise UsageError(f"--name {name}: this is the name of a composer; choose another")


def has_ranking(name: str, root: Path) -> bool:
    """Whether a model that was scored by its ranking has that name under `root`, the folder of records."""
    return any(map(is_ranking, root.glob(f"*/{name}/*.json")))


def is_ranking(path: Path) -> bool:
    """Whether the file of a record is, by its name, of this kind."""
    return path.name.startswith(_PREFIX)


def read_ranking(path: Path) -> StoredRanking:
    """Load a record and check that it is internally consistent, as `store.read_stored` does for runs.

    Raises:
        BenchmarkError: it is not, or a composer has its name.
    """
    digest = file_sha256(path)
    record = load_as(path, RankingRecord)
    home = PurePath(f"{record.place}.json")
    if path.resolve().parts[-3:] != home.parts:
        raise BenchmarkError(f"{path}: is the record of another model; its place is {home} among the records")
    try:
        require_free(record.name, path.resolve().parents[2])
    except UsageError:
        raise BenchmarkError(f"{path}: has the name of a composer; remove it or score it under another name") from None
    return StoredRanking(record, consistent_outcomes(path, record), path, digest)


def _place(task: str, name: str, fingerprint: str) -> PurePath:
    return PurePath(task, name, f"{_PREFIX}{fingerprint[:_SHORT]}")


def _has_runs(name: str, root: Path) -> bool:
    return any(not is_ranking(path) for path in root.glob(f"*/{name}/*.json"))
