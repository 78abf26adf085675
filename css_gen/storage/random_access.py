"""Read single values of a split's shards in any order, without reading a row group again for every miss.

A PNG is stored as it is, so it can be read from its own byte range once that is known. The first value read from a row
group reads the group's column, with its pages' checksums, and notes the range of every PNG in it: some bytes an image,
not the image. Other columns are compressed and small; their row groups stay in memory, up to a limit in bytes.
"""

import bisect
import os
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from css_gen.storage.reader import reading, require_columns

_OPEN_SHARDS = 64
_INDEXED_COLUMNS = 4096
"""Shards whose PNGs' byte ranges are remembered, for each column: 8 kB each, of 500 images."""

_CACHED_BYTES = 64 * 2**20
_UNKNOWN, _ELSEWHERE = -1, -2
"""In place of a PNG's first byte: not looked for yet; not in the file as it is."""

_COMPARED = 64


class RandomAccess:
    """The images of a split by their row numbers, from 0. It opens a shard when a value of it is read.

    It is safe to use after a fork, because files are read at positions of their own; a `Split` that is pickled makes
    another one.

    Args:
        root: the dataset's folder.
        shards: name and number of rows of each of the split's shards, in order.
    """

    def __init__(self, root: Path, shards: Sequence[tuple[str, int]]) -> None:
        self._root = root
        self._names = [name for name, _ in shards]
        self._starts = [0]
        for _, rows in shards:
            self._starts.append(self._starts[-1] + rows)
        self._open: OrderedDict[int, _Shard] = OrderedDict()
        self._ranges: OrderedDict[tuple[int, str], _Ranges] = OrderedDict()
        self._groups: OrderedDict[tuple[int, int, str], pa.Array] = OrderedDict()
        self._cached_bytes = 0

    def png(self, row: int, column: str) -> bytes:
        """Return a PNG as it is stored.

        Raises:
            DatasetError: the shard is missing or damaged, or has no such column. (Also raised by `value`.)
        """
        number = bisect.bisect_right(self._starts, row) - 1
        row -= self._starts[number]
        with reading(self._root, self._names[number]):
            shard = self._shard(number)
            ranges = self._ranges_of(number, shard, column)
            if ranges.starts[row] == _UNKNOWN:
                require_columns(shard.parquet, [column], self._root / self._names[number])
                shard.find(column, shard.group_of(row), ranges)
            if ranges.starts[row] != _ELSEWHERE:
                return shard.read(int(ranges.starts[row]), int(ranges.lengths[row]))
            stored: dict[str, bytes] = self._cached(number, shard, row, column)
        return stored["bytes"]

    def value(self, row: int, column: str) -> Any:
        """Return a value of any column as a Python object."""
        number = bisect.bisect_right(self._starts, row) - 1
        with reading(self._root, self._names[number]):
            return self._cached(number, self._shard(number), row - self._starts[number], column)

    def _cached(self, number: int, shard: "_Shard", row: int, column: str) -> Any:
        group = shard.group_of(row)
        place = (number, group, column)
        if place not in self._groups:
            require_columns(shard.parquet, [column], self._root / self._names[number])
            self._groups[place] = shard.column(group, column)
            self._cached_bytes += self._groups[place].nbytes
            while self._cached_bytes > _CACHED_BYTES and len(self._groups) > 1:
                self._cached_bytes -= self._groups.popitem(last=False)[1].nbytes
        self._groups.move_to_end(place)
        return self._groups[place][row - shard.group_starts[group]].as_py()

    def _shard(self, number: int) -> "_Shard":
        if number not in self._open:
            while len(self._open) >= _OPEN_SHARDS:
                self._open.popitem(last=False)
            self._open[number] = _Shard(self._root / self._names[number])
        self._open.move_to_end(number)
        return self._open[number]

    def _ranges_of(self, number: int, shard: "_Shard", column: str) -> "_Ranges":
        place = (number, column)
        if place not in self._ranges or self._ranges[place].identity != shard.identity:
            while len(self._ranges) >= _INDEXED_COLUMNS:
                self._ranges.popitem(last=False)
            rows = self._starts[number + 1] - self._starts[number]
            self._ranges[place] = _Ranges(shard.identity, rows)
        self._ranges.move_to_end(place)
        return self._ranges[place]


class _Ranges:
    """Where the PNGs of a column are in a shard: the first byte of each and its length, int64 (rows,)."""

    def __init__(self, identity: tuple[int, int, int], rows: int) -> None:
        self.identity = identity
        self.starts: NDArray[np.int64] = np.full(rows, _UNKNOWN, np.int64)
        self.lengths: NDArray[np.int64] = np.zeros(rows, np.int64)


class _Shard:
    """An open shard.

    Attributes:
        identity: of the file; another one where the shard was replaced, as `css-gen verify --repair` does.
    """

    def __init__(self, path: Path) -> None:
        self._file = pa.OSFile(os.fsencode(path))
        status = os.fstat(self._file.fileno())
        self.identity = (status.st_ino, status.st_size, status.st_mtime_ns)

    @cached_property
    def parquet(self) -> pq.ParquetFile:
        return pq.ParquetFile(self._file, page_checksum_verification=True)

    @cached_property
    def group_starts(self) -> list[int]:
        """The first row of each row group, and the number of rows after the last."""
        starts = [0]
        for group in range(self.parquet.num_row_groups):
            starts.append(starts[-1] + self.parquet.metadata.row_group(group).num_rows)
        return starts

    def group_of(self, row: int) -> int:
        return bisect.bisect_right(self.group_starts, row) - 1

    def column(self, group: int, name: str) -> pa.Array:
        # Arrow's threads would not help with one column, and do not survive a fork.
        return self.parquet.read_row_group(group, columns=[name], use_threads=False)[name].combine_chunks()

    def read(self, start: int, length: int) -> bytes:
        png: bytes = self._file.read_at(length, start)
        if len(png) != length:
            raise OSError(f"it ends within an image, at byte {start + len(png)}")
        return png

    def find(self, column: str, group: int, ranges: _Ranges) -> None:
        """Look for the PNGs of a row group among the bytes of its column, and note where they are."""
        pngs = self.column(group, column).field("bytes").to_pylist()
        rows = slice(self.group_starts[group], self.group_starts[group + 1])
        ranges.lengths[rows] = [len(png) for png in pngs]
        metadata = self.parquet.metadata.row_group(group)
        chunks = [metadata.column(number) for number in range(metadata.num_columns)]
        (chunk,) = (chunk for chunk in chunks if chunk.path_in_schema == f"{column}.bytes")
        start = chunk.data_page_offset
        ranges.starts[rows] = [
            _ELSEWHERE if at < 0 else start + at
            for at in _positions(pngs, self._file.read_at(chunk.total_compressed_size, start))
        ]


def _positions(values: Sequence[bytes], stored: bytes) -> list[int]:
    """Return where each value starts in `stored`, in which they follow each other; -1 where it is not found."""
    positions, at = [], 0
    for value in values:
        found = stored.find(value[:_COMPARED], at)
        while found >= 0 and stored[found : found + len(value)] != value:
            found = stored.find(value[:_COMPARED], found + 1)
        positions.append(found)
        at = max(at, found + len(value))
    return positions
