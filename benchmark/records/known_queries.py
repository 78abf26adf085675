"""The queries of every dataset that records are made on: `datasets.json`, beside the folder of records.

It holds no query, only a SHA-256 of each column of `Outcomes` that depends on the data alone. So a record is compared
with its dataset, not with other records. `save_record` adds a dataset on which there is no record yet, and
`tirg-bench data register` computes an entry again from the data.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from benchmark.errors import BenchmarkError
from benchmark.records.schema import Count, DatasetCard, Digest, RunRecord, ScoredRecord, canonical
from benchmark.scoring.recall import Integers, Outcomes, Words
from css_gen.storage import locking
from css_gen.storage.atomic import write_atomically

NAME: Final = "datasets.json"
TEST: Final = "test"

_NUMBERS = ("relevant", "relevant_labels", "candidates", "sources")
_RENDERING = "rendering"
_OPTIONAL = frozenset({"source_oracle_ranks", "text_candidates", _RENDERING})
"""Columns that older records lack."""


class KnownQueries(BaseModel):
    """What is known of the queries of one split.

    Attributes:
        queries, gallery: numbers of queries and of images.
        columns: SHA-256 by the name of a column of `Outcomes`, and of the configuration of rendered data.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    queries: Annotated[int, Field(ge=1)]
    gallery: Count
    columns: dict[str, Digest]


class Key(NamedTuple):
    """`split` is "test", or "validation" with the keys of the recipe that choose the part."""

    task: str
    fingerprint: str
    split: str = TEST

    def __str__(self) -> str:
        return f"{self.task} {self.fingerprint[:8]}" + ("" if self.split == TEST else f" ({self.split})")


Known = Mapping[Key, KnownQueries]

_File = TypeAdapter(dict[str, dict[str, dict[str, KnownQueries]]])


def place_of(records: Path) -> Path:
    """Return the path of the file that belongs to a folder of records."""
    return records.parent / NAME


def key_of(record: ScoredRecord) -> Key:
    """Return which queries a record was scored on."""
    recipe: Mapping[str, JsonValue] = record.configuration if isinstance(record, RunRecord) else {}
    split = TEST
    if recipe.get("evaluation.split") == "validation":
        chosen = {key.partition(".")[2]: value for key, value in recipe.items() if key.startswith("evaluation.")}
        split = ", ".join(["validation", *(f"{key}={chosen[key]}" for key in sorted(chosen) if key != "split")])
    return Key(record.protocol, record.dataset.fingerprint, split)


def queries_of(outcomes: Outcomes, dataset: DatasetCard) -> KnownQueries:
    """Return what outcomes say of the data alone."""
    columns = {name: _of_numbers(getattr(outcomes, name)) for name in _NUMBERS}
    columns |= {name: _of_words(column) for name, column in outcomes.attributes.items()}
    columns |= {name: _of_numbers(column) for name, column in outcomes.optional.items()}
    columns |= {f"distractors: {name}": _of_numbers(column) for name, column in outcomes.distractors.items()}
    if dataset.rendering is not None:
        columns[_RENDERING] = _digest(canonical(dataset.rendering))
    return KnownQueries(queries=len(outcomes), gallery=dataset.gallery, columns=columns)


def difference(found: KnownQueries, known: KnownQueries) -> str:
    """Return in what two descriptions of one split disagree; "" if in nothing. `found` may lack optional columns."""
    for what in ("queries", "gallery"):
        if (its := getattr(found, what)) != (wanted := getattr(known, what)):
            return f"{its} in {what} where its dataset has {wanted}"
    if missing := sorted(known.columns.keys() - found.columns.keys() - _OPTIONAL):
        return f"no {missing[0]}"
    for name, digest in found.columns.items():
        if name not in known.columns:
            return f"{name}, which its dataset does not have"
        if digest != known.columns[name]:
            return f"other values of {name} than its dataset"
    return ""


def problem(path: Path, record: ScoredRecord, outcomes: Outcomes, known: Known, source: Path) -> str:
    """Return one line that says why the queries of the record at `path` are not those of its dataset; "" if they are.

    Args:
        known: as `read` gives it.
        source: its file.
    """
    key = key_of(record)
    remedy = f"`tirg-bench data register {record.protocol} PATH` writes it from the data"
    if key not in known:
        return f"{path}: its dataset {key} is not in {source}; {remedy}"
    if found := difference(queries_of(outcomes, record.dataset), known[key]):
        return f"{path}: holds {found} ({key} in {source}); make it again, or, if the file is outdated, {remedy}"
    return ""


def read(path: Path) -> dict[Key, KnownQueries]:
    """Read such a file; nothing is known without one. Raises BenchmarkError if it is damaged."""
    try:
        tasks = _File.validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError):
        raise BenchmarkError(f"{path}: not a list of datasets; restore it, or delete it and register them") from None
    return {
        Key(task, fingerprint, split): queries
        for task, datasets in tasks.items()
        for fingerprint, splits in datasets.items()
        for split, queries in splits.items()
    }


def add(path: Path, key: Key, queries: KnownQueries, *, replace: bool = False) -> bool:
    """Add the queries of a split; return whether the file was changed.

    Without `replace` an entry that is there stays as it is, except that it gets optional columns that it lacks.

    Raises:
        BenchmarkError: the file is damaged.
        OSError: it cannot be written.
    """
    if _merged(read(path).get(key), queries, replace=replace) is None:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with locking.held(path.with_name(f".{NAME}.lock"), timeout=-1):
        known = read(path)
        if (entry := _merged(known.get(key), queries, replace=replace)) is None:
            return False
        tasks: dict[str, dict[str, dict[str, object]]] = {}
        for (task, fingerprint, split), each in {**known, key: entry}.items():
            tasks.setdefault(task, {}).setdefault(fingerprint, {})[split] = each.model_dump(mode="json")
        write_atomically(path, (json.dumps(tasks, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode())
    return True


def _merged(known: KnownQueries | None, queries: KnownQueries, *, replace: bool) -> KnownQueries | None:
    """Return the entry to write; None if the one that is known stays."""
    if known is None or replace:
        return None if known == queries else queries
    new = {name: queries.columns[name] for name in queries.columns.keys() & _OPTIONAL - known.columns.keys()}
    entry = known.model_copy(update={"columns": known.columns | new})
    return entry if new and not difference(queries, entry) else None


def _of_numbers(column: Integers) -> str:
    return _digest(column.astype("<i8").tobytes())


def _of_words(column: Words) -> str:
    return _digest(canonical(column.tolist()))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
