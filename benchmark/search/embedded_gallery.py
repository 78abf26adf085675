"""A gallery whose embeddings are in a file, for galleries that are larger than memory: write it once, search it often.

`NAME.npy` has the embeddings (N, D). `NAME.arrow`, beside it, has the name, the scene and a digest of the pixels of
each image, the hash of the model, and the dataset or folder of the images. A .npy file of another program may have no
such table: the name of an image is then its row, and nobody can check that the model is the right one.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from accelerate import Accelerator

from benchmark.datasets.folder_images import decode, safe_path
from benchmark.datasets.splits import Pixels, Rows
from benchmark.errors import BenchmarkError
from benchmark.search.embedding import Nearest, digest_of, encoded_parts
from benchmark.search.exact import VectorFile
from benchmark.search.faiss_index import MEASURED_K, FaissIndex
from benchmark.search.folder_gallery import FolderGallery
from benchmark.search.gallery import DatasetGallery, Gallery, readable
from benchmark.search.query_image import PICTURE, QueryImage, printable
from css_gen.progress import Reporter
from css_gen.storage.atomic import written_atomically
from models.network import Network

_BATCH = 4096
"""Images in each record batch of a table, of which one at a time is read."""

_SCHEMA = pa.schema({"name": pa.string(), "key": pa.string(), "digest": pa.binary(16)})


class EmbeddedGallery:
    """The gallery of a file of embeddings. Memory does not depend on its size.

    Attributes:
        nearest: the approximate search that `use_faiss` sets; None for the exact one.
        pictures: a gallery with the same rows, to show images from; None to show them from the folder that was
            embedded, if there was one.
        weights: hash of the model that made the embeddings, "" if it is not known.
        fingerprint: of the dataset whose test images these are, "" for others.

    Raises:
        BenchmarkError: the files cannot be read, or do not belong together.
    """

    def __init__(self, path: Path) -> None:
        self.images = VectorFile(path)
        self.pictures: Gallery | None = None
        self.title, self.broken = printable(path), dict[str, str]()
        self.rows = range(len(self.images))
        self.nearest: Nearest | None = None
        self._table = _Table(_table_of(path)) if _table_of(path).exists() else None
        about = self._table.about if self._table else {}
        if self._table and len(self._table) != len(self):
            raise BenchmarkError(
                f"{path}: has {len(self):,} rows and {_table_of(path).name} has {len(self._table):,}; run `tirg-bench "
                "embed` again"
            )
        self.weights, self.fingerprint = about.get("weights", ""), about.get("fingerprint", "")
        self._folder = Path(about["folder"]) if about.get("folder") else None
        self.keys: Sequence[str] = _Keys(self._table) if self._table and about.get("keys") else ()

    def __len__(self) -> int:
        return len(self.images)

    def chunks(self, images: int) -> Iterator[tuple[Rows, Pixels]]:  # noqa: ARG002
        raise BenchmarkError(f"{self.title}: holds embeddings, which another model cannot use; run `tirg-bench embed`")

    def name(self, row: int) -> str:
        return printable(self._table.value("name", row)) if self._table else str(row)

    def rows_of(self, keys: Collection[str]) -> Rows:
        return self._table.places("key", list(keys)) if self._table and self.keys else np.empty(0, dtype=np.int64)

    def picture(self, row: int) -> Pixels:
        if self.pictures is not None:
            return self.pictures.picture(row)
        if self._folder is None:
            raise BenchmarkError(f"{self.title}: it is not known where its images are, so they cannot be shown")
        with readable(self._folder):
            return decode(safe_path(self._folder, self.name(row)), PICTURE)

    def use_faiss(self, reporter: Reporter) -> None:
        """Search with faiss from now on, and report its recall. Build the index if there is none.

        Raises:
            UsageError: faiss is not installed.
            BenchmarkError: the index cannot be read or written.
        """
        index = FaissIndex.open(self.images, reporter)
        self.nearest = index.search
        reporter.message(
            f"{self.title}: faiss finds {100 * index.recall:.1f}% of the first {MEASURED_K} images of exact search, "
            "measured with images of the gallery as queries"
        )

    def places_of(self, image: QueryImage, *, own_row: int | None) -> Rows:
        """Find the query's own image: the row of that test image, or all with the same pixels."""
        row = image.row if own_row is None and self.fingerprint and image.fingerprint == self.fingerprint else own_row
        if row is not None:
            return np.array([row], dtype=np.int64)
        digest = pa.scalar(digest_of(image.pixels), pa.binary(16))
        return self._table.places("digest", [digest]) if self._table else np.empty(0, dtype=np.int64)


def write_embedded(
    path: Path, network: Network, gallery: Gallery, *, weights: str, accelerator: Accelerator, reporter: Reporter
) -> int:
    """Embed the images of a gallery into a .npy file and a table beside it; return the number of images.

    Memory does not depend on the number of images, except for their names. Images that cannot be read are left out and
    named in `gallery.broken`. Until all are embedded, earlier files of these names stay as they are.

    Args:
        weights: hash of the network's weights.

    Raises:
        BenchmarkError: as `encode_gallery`, or a file cannot be written.
    """
    about = {"weights": weights, "keys": "yes" if gallery.keys else ""}
    if isinstance(gallery, DatasetGallery):
        about |= {"fingerprint": gallery.fingerprint}
    if isinstance(gallery, FolderGallery):
        about |= {"folder": str(gallery.folder.resolve())}
    count = 0
    try:
        with written_atomically(path) as vectors, written_atomically(_table_of(path)) as table:
            vectors.write(_header(len(gallery), network.head.out_features))
            with pa.ipc.new_file(table, _SCHEMA.with_metadata(about)) as writer:
                waiting: list[dict[str, Any]] = []
                for rows, images, digests in encoded_parts(
                    network, gallery, accelerator=accelerator, reporter=reporter
                ):
                    vectors.write(np.ascontiguousarray(images, dtype="<f4").data)
                    count += len(rows)
                    for row, digest in zip(rows.tolist(), digests, strict=True):
                        key = gallery.keys[row] if gallery.keys else None
                        waiting.append({"name": gallery.name(row), "key": key, "digest": digest})
                    while len(waiting) >= _BATCH:
                        writer.write_batch(pa.RecordBatch.from_pylist(waiting[:_BATCH], schema=_SCHEMA))
                        del waiting[:_BATCH]
                writer.write_batch(pa.RecordBatch.from_pylist(waiting, schema=_SCHEMA))
            vectors.seek(0)
            vectors.write(_header(count, network.head.out_features))
            # The table takes its name first. Without this, it would for a moment be beside the earlier embeddings.
            path.unlink(missing_ok=True)
    except OSError as error:
        raise BenchmarkError(f"{error.filename or path}: cannot be written ({error.strerror})") from None
    return count


def _table_of(path: Path) -> Path:
    return path.with_suffix(".arrow")


def _header(rows: int, width: int) -> bytes:
    """Return the header of a .npy file of float32 (rows, width): 128 bytes, whatever the number of rows."""
    description = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}"
    return np.lib.format.magic(1, 0) + (118).to_bytes(2, "little") + description.ljust(117).encode() + b"\n"


class _Table:
    """The table beside a file of embeddings. One batch at a time is read, so that memory does not grow."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = pa.OSFile(str(path), "rb")
            with pa.ipc.open_file(self._file) as reader:
                self._batches, schema = reader.num_record_batches, reader.schema
                last = reader.get_batch(self._batches - 1).num_rows if self._batches else 0
        except (OSError, pa.ArrowException) as error:
            raise BenchmarkError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]})") from None
        if schema.names != _SCHEMA.names:
            raise BenchmarkError(f"{path}: has columns {schema.names}, expected {_SCHEMA.names}")
        self.about: Mapping[str, str] = {k.decode(): v.decode() for k, v in (schema.metadata or {}).items()}
        self._rows: int = max(0, self._batches - 1) * _BATCH + last

    def __len__(self) -> int:
        return self._rows

    def value(self, column: str, row: int) -> str:
        place, inside = divmod(row, _BATCH)
        found: str = self._reader(column).get_batch(place).column(0)[inside].as_py()
        return found

    def places(self, column: str, values: list[Any]) -> Rows:
        """Return the rows whose value is one of `values`, ascending."""
        reader, wanted = self._reader(column), pa.array(values, _SCHEMA.field(column).type)
        found = [
            place * _BATCH + np.flatnonzero(pc.is_in(reader.get_batch(place).column(0), wanted).to_numpy(False))
            for place in range(self._batches)
        ]
        return np.concatenate([np.empty(0, dtype=np.int64), *found])

    def _reader(self, column: str) -> pa.ipc.RecordBatchFileReader:
        chosen = pa.ipc.IpcReadOptions(included_fields=[_SCHEMA.names.index(column)])
        return pa.ipc.open_file(self._file, options=chosen)


class _Keys(Sequence[str]):
    """The scene of each row, which is read when it is asked for."""

    def __init__(self, table: _Table) -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...

    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        if not 0 <= row < len(self):
            raise IndexError(row)
        return self._table.value("key", row)
