"""The queries of a task as two Parquet tables, without the answers: what docs/ranking.md describes.

On CSS the target of query i is image `references + i`, so the ids and the order of the dataset's queries would give it
away. The tables name each query by a hash, and are in the order of these names.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmark import tasks
from benchmark.datasets.splits import Dataset, Rows
from benchmark.errors import BenchmarkError
from css_gen.storage.atomic import written_atomically

TASK, FINGERPRINT = "tirg_bench.task", "tirg_bench.fingerprint"
"""Keys of the metadata that name the task and the dataset."""

_CANDIDATES = "tirg_bench.candidates"
_EVERY_IMAGE = "every image of the gallery but the query's source_id"
_SAME_PART = "every image of the same gallery_id but the query's source_id"
_ID_DIGITS = 16


class Handles(NamedTuple):
    """The names of a test split's queries in these tables, and their order.

    Attributes:
        ids: (Q,) in the order of the split's queries.
        order: (Q,) rows of the split's queries in the order of the table.
    """

    ids: tuple[str, ...]
    order: Rows


def handles(dataset: Dataset) -> Handles:
    """Return the names of the test queries: a function of the fingerprint, the task and the queries' own ids."""
    salt = f"{dataset.fingerprint}\0{dataset.name}\0"
    ids = tuple(hashlib.sha256(f"{salt}{id_}".encode()).hexdigest()[:_ID_DIGITS] for id_ in dataset.test.queries.ids)
    return Handles(ids, np.argsort(np.array(ids), kind="stable"))


def query_table(dataset: Dataset) -> pa.Table:
    """A row for each query: query_id, source_id, text and, where the gallery has parts, gallery_id."""
    split, (ids, order) = dataset.test, handles(dataset)
    columns = {
        "query_id": pa.array([ids[row] for row in order], pa.string()),
        "source_id": pa.array(split.queries.source_images[order], pa.int64()),
        "text": pa.array([split.queries.texts[row] for row in order], pa.string()),
    }
    if split.galleries is not None:
        columns["gallery_id"] = pa.array(split.galleries[split.queries.targets][order], pa.int64())
    return pa.table(columns, metadata=_metadata(dataset))


def gallery_table(dataset: Dataset) -> pa.Table:
    """A row for each image of the gallery: image_id, and where there are such, its gallery_id and its file."""
    split = dataset.test
    columns = {"image_id": pa.array(np.arange(len(split.gallery)), pa.int64())}
    if split.galleries is not None:
        columns["gallery_id"] = pa.array(split.galleries, pa.int64())
    if split.files:
        columns["file"] = pa.array(split.files, pa.string())
    return pa.table(columns, metadata=_metadata(dataset))


def gallery_file(queries: Path) -> Path:
    """Return the path of the gallery that belongs to a file of queries."""
    return queries.with_name(f"{queries.stem}-gallery.parquet")


def write_queries(dataset: Dataset, out: Path) -> tuple[Path, Path]:
    """Write both tables, the queries to `out`, and return their paths.

    Raises:
        BenchmarkError: they cannot be written.
    """
    tables = {gallery_file(out): gallery_table(dataset), out: query_table(dataset)}
    for path, table in tables.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_atomically(path) as file:
                pq.write_table(table, file, compression="zstd")
        except OSError as error:
            raise BenchmarkError(f"{path}: cannot be written ({error.strerror})") from None
    return out, gallery_file(out)


def _metadata(dataset: Dataset) -> Mapping[str, str]:
    about = {
        TASK: dataset.name,
        FINGERPRINT: dataset.fingerprint,
        _CANDIDATES: _EVERY_IMAGE if dataset.test.galleries is None else _SAME_PART,
    }
    view = tasks.get(dataset.name).source_view
    return about | ({"tirg_bench.source_view": view} if view else {})
