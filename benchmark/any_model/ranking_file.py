"""Read the ranking of a model: a Parquet file with a list of images for each query, best first."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.any_model.queries import FINGERPRINT, TASK, handles
from benchmark.datasets.splits import Dataset, Mask, Rows
from benchmark.errors import BenchmarkError
from benchmark.scoring.listing import Lists, candidate_counts
from benchmark.scoring.recall import DEPTH

_AT_ONCE = 512
_COLUMNS = "expected query_id (text) and image_ids (lists of whole numbers)"


class RankingFile:
    """Reads and checks the lists of a file, some queries at a time. Iterate over it once.

    Attributes:
        depth: the length of the shortest list so far.

    Raises:
        BenchmarkError: it is not a Parquet file, has other columns, or is of another dataset or task. Iterating raises
            it for the first row that is wrong, and for missing queries. Messages count rows from 0.
    """

    def __init__(self, path: Path, dataset: Dataset) -> None:
        self._path, self._split = path, dataset.test
        self._row_of = {id_: row for row, id_ in enumerate(handles(dataset).ids)}
        self._needed = np.minimum(DEPTH, candidate_counts(self._split))
        self.depth = len(self._split.gallery)
        try:
            self._file = pq.ParquetFile(path)
        except (OSError, pa.ArrowException) as error:
            raise BenchmarkError(f"{path}: {_why(path, error)}; expected a Parquet file") from None
        self._require_columns()
        self._require_metadata(dataset)

    def __iter__(self) -> Iterator[Lists]:
        asked: dict[int, int] = {}
        row = 0
        try:
            for batch in self._file.iter_batches(batch_size=_AT_ONCE, columns=["query_id", "image_ids"]):
                yield self._checked(batch, row, asked)
                row += batch.num_rows
        except (OSError, pa.ArrowException) as error:
            raise BenchmarkError(f"{self._path}: is damaged near row {row} ({_one_line(error)})") from None
        missing = [id_ for id_, query in self._row_of.items() if query not in asked]
        if missing:
            raise BenchmarkError(
                f"{self._path}: has no row for {len(missing):,} of {len(self._row_of):,} queries, such as "
                f"{missing[0]!r}; expected one for each query of `tirg-bench queries`"
            )

    def _checked(self, batch: pa.RecordBatch, start: int, asked: dict[int, int]) -> Lists:
        """The lists of a batch. `asked` collects the file's row of each query."""
        for name in ("query_id", "image_ids"):
            if batch.column(name).null_count:
                row = start + batch.column(name).is_null().to_pylist().index(True)
                raise self._wrong(row, f"{name} is empty")
        queries = np.empty(batch.num_rows, dtype=np.int64)
        for place, id_ in enumerate(batch.column("query_id").to_pylist()):
            row = start + place
            if id_ not in self._row_of:
                raise self._wrong(row, f"unknown query {id_!r}; expected a query_id of `tirg-bench queries`")
            queries[place] = self._row_of[id_]
            if queries[place] in asked:
                raise self._wrong(row, f"query {id_!r} is in row {asked[queries[place]]} already; expected it once")
            asked[int(queries[place])] = row
        lists = batch.column("image_ids").cast(pa.large_list(pa.int64()))
        flat = lists.flatten()
        lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
        if flat.null_count:
            place = flat.is_null().to_pylist().index(True)
            raise self._wrong(start + int(np.searchsorted(lengths.cumsum(), place, side="right")), "an image is empty")
        images = np.full((len(lengths), int(lengths.max(initial=0))), -1, dtype=np.int64)
        is_listed = np.arange(images.shape[1]) < lengths[:, None]
        images[is_listed] = flat.to_numpy(zero_copy_only=False)
        self._require_candidates(queries, images, is_listed, start)
        self.depth = min(self.depth, int(lengths.min(initial=self.depth)))
        return Lists(queries, images)

    def _require_candidates(self, queries: Rows, images: Rows, is_listed: Mask, start: int) -> None:
        """Raises BenchmarkError unless every list holds enough candidates of its query, each once."""
        split, gallery = self._split, len(self._split.gallery)
        self._refuse(
            is_listed & ((images < 0) | (images >= gallery)), images, start,
            f"is not in the gallery; expected image_ids from 0 to {gallery - 1}",
        )  # fmt: skip
        self._refuse(
            is_listed & (images == split.queries.source_images[queries, None]), images, start,
            "is the query's own source, which is not ranked; leave it out",
        )  # fmt: skip
        if split.galleries is not None:
            part = split.galleries[split.queries.targets[queries], None]
            self._refuse(
                is_listed & (split.galleries[images] != part), images, start,
                "has another gallery_id than the query; expected images of its own gallery",
            )  # fmt: skip
        order = np.argsort(images, axis=1, kind="stable")
        ascending = np.take_along_axis(images, order, axis=1)
        is_again = np.zeros_like(is_listed)
        again = (ascending[:, 1:] == ascending[:, :-1]) & (ascending[:, 1:] >= 0)
        np.put_along_axis(is_again, order[:, 1:], again, axis=1)
        self._refuse(is_again, images, start, "is in the list twice; expected each image once")
        lengths, needed = is_listed.sum(1), self._needed[queries]
        if (lengths < needed).any():
            place = int(np.flatnonzero(lengths < needed)[0])
            raise self._wrong(start + place, f"lists {lengths[place]} images, expected {needed[place]} or more")

    def _refuse(self, is_wrong: Mask, images: Rows, start: int, what: str) -> None:
        if is_wrong.any():
            row, place = map(int, np.argwhere(is_wrong)[0])
            raise self._wrong(start + row, f"image {images[row, place]} at place {place + 1} {what}")

    def _require_columns(self) -> None:
        schema = self._file.schema_arrow
        for name in ("query_id", "image_ids"):
            if schema.names.count(name) != 1:
                raise BenchmarkError(f"{self._path}: has no column {name}, or two of them; {_COLUMNS}")
        of_queries, of_images = schema.field("query_id").type, schema.field("image_ids").type
        if not (pa.types.is_string(of_queries) or pa.types.is_large_string(of_queries)):
            raise BenchmarkError(f"{self._path}: query_id is {of_queries}; {_COLUMNS}")
        is_list = pa.types.is_list(of_images) or pa.types.is_large_list(of_images)
        if not (is_list or pa.types.is_fixed_size_list(of_images)) or not pa.types.is_integer(of_images.value_type):
            raise BenchmarkError(f"{self._path}: image_ids is {of_images}; {_COLUMNS}")

    def _require_metadata(self, dataset: Dataset) -> None:
        """Check the task and the fingerprint in the metadata, which are optional."""
        said = self._file.schema_arrow.metadata or {}
        for key, expected in ((TASK, dataset.name), (FINGERPRINT, dataset.fingerprint)):
            found = said.get(key.encode(), expected.encode()).decode(errors="replace")
            if found != expected:
                raise BenchmarkError(
                    f"{self._path}: its metadata says {key} {found[:64]}, expected {expected}; "
                    "rank the queries of this dataset, or name the other one with --data and --task"
                )

    def _wrong(self, row: int, what: str) -> BenchmarkError:
        return BenchmarkError(f"{self._path}: row {row}: {what}")


def _why(path: Path, error: Exception) -> str:
    if not path.exists():
        return "there is no such file"
    return (error.strerror if isinstance(error, OSError) and error.strerror else "") or "cannot be read as one"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
