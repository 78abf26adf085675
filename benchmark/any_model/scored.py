"""From a model's rankings or embeddings to its record."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from benchmark import tasks
from benchmark.any_model.embeddings import rank_embeddings
from benchmark.any_model.ranking_file import RankingFile
from benchmark.datasets.splits import Dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.records.making import dataset_card
from benchmark.records.rankings import Given, Model, RankingRecord, new_ranking
from benchmark.records.schema import Line, Name, StoredFile, Url
from benchmark.runs.recipes import recipe_on
from benchmark.scoring.evaluation import Evaluation
from benchmark.scoring.listing import candidate_counts, score_lists
from css_gen.progress import Reporter

_LINE = "one line of at most 300 characters, that does not begin with = + - @"
_EXPECTED: Mapping[str, tuple[Any, str]] = {
    "name": (Name, "letters, digits and . _ + -, at most 64, a letter or digit first"),
    "title": (Line, _LINE),
    "author": (Line, _LINE),
    "url": (Url, "an address such as https://example.org/paper"),
    "about": (Line | None, _LINE),
}


class Scored(NamedTuple):
    record: RankingRecord
    evaluation: Evaluation


def open_sound(task: str, places: Mapping[str, Path], reporter: Reporter, *, skip_broken: bool = False) -> Dataset:
    """Open the data of a task.

    Args:
        skip_broken: leave out what is broken, instead of refusing the folder. It is then another dataset, with a
            fingerprint of its own.

    Raises:
        UsageError: the task is unknown.
        BenchmarkError: there is no data, or some of it is broken and `skip_broken` is off.
    """
    found, place = tasks.get(task), tasks.locate(task, places)
    if not place.exists():
        raise BenchmarkError(f"{place}: there is no data of {found.name}; pass --data {found.folder}=PATH")
    # Scoring needs no pixels; at this size they may be decoded already.
    size = recipe_on(found.name, "quick").data.image_size
    return found.open(place, image_size=size, reporter=reporter, skip_broken=skip_broken)


def require_valid(model: Model) -> None:
    """Raises UsageError if what is said of a model does not fit into a record."""
    for name, (kind, expected) in _EXPECTED.items():
        value = getattr(model, name)
        try:
            TypeAdapter(kind).validate_python(value)
        except ValidationError:
            raise UsageError(f"--{name} {value!r}: expected {expected}") from None


def score_ranking(path: Path, dataset: Dataset, model: Model) -> Scored:
    """Score the lists of a Parquet file.

    Raises:
        BenchmarkError: the file is not a ranking of the dataset's test queries; see `RankingFile`.
    """
    lists = RankingFile(path, dataset)
    evaluation = score_lists(lists, dataset.test)
    return Scored(_record(model, evaluation, dataset, "ranking", lists.depth, path), evaluation)


def score_embeddings(queries: Path, gallery: Path, dataset: Dataset, model: Model) -> Scored:
    """Score the ranking by cosine similarity of two .npy files.

    Raises:
        BenchmarkError: a file does not hold such embeddings; see `rank_embeddings`.
    """
    evaluation = rank_embeddings(queries, gallery, dataset)
    depth = int(candidate_counts(dataset.test).min())
    return Scored(_record(model, evaluation, dataset, "embeddings", depth, queries, gallery), evaluation)


def _record(
    model: Model, evaluation: Evaluation, dataset: Dataset, given: Given, depth: int, *files: Path
) -> RankingRecord:
    return new_ranking(
        model,
        evaluation,
        task=dataset.name,
        dataset=dataset_card(dataset, dataset.test),
        given=given,
        depth=depth,
        files=[StoredFile(path=file.name, sha256=_sha256(file)) for file in files],
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
