"""Exact search in chunks: memory depends on the size of a chunk and on k, not on that of the gallery.

Images are ordered by score, and equal scores by their position in the gallery. Nothing else changes the order: not k,
not the size of a chunk, and not the threads or the kernels of the matrix product.

For that, scores are computed in fixed point. Each component is rounded to a multiple of 2**-25, so products are
multiples of 2**-50, and float64 adds those without any rounding as long as the sums are below 8. No partial sum
exceeds the product of the two lengths, so for embeddings of length one the sum is the same in every order of adding,
and equal embeddings have equal scores wherever they are. The rounding moves a score by about 1e-8, which is less than
the rounding of the float32 embeddings themselves.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets.splits import Rows
from benchmark.errors import BenchmarkError

Vectors = NDArray[np.floating[Any]]

_STEPS = 2.0**25
_VALUES_AT_ONCE = 2**22
"""Components in a chunk, which are 32 MiB in float64."""

_TOLERANCE = 0.01
"""How far a length may be from 1: half precision rounds each component."""


class Sliceable(Protocol):
    """Embeddings (N, D): an array, or a file that is read in slices."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: slice, /) -> Vectors: ...


def exact_search(
    queries: Vectors, gallery: Sliceable, k: int, *, excluded: Rows | None = None, rows_at_once: int | None = None
) -> tuple[Rows, NDArray[np.float64]]:
    """Return the positions (Q, K) of the best images of each query and their scores (Q, K), best first.

    >>> images = np.array([[0.6, 0.8], [1.0, 0.0], [0.6, 0.8]], dtype=np.float32)
    >>> exact_search(np.array([[0.0, 1.0]]), images, 2)[0]
    array([[0, 2]])

    Args:
        queries: (Q, D), of length one.
        gallery: (N, D), of length one.
        k: how many to return; K is smaller than k if the gallery has fewer.
        excluded: positions that are left out.
        rows_at_once: rows of the gallery in a chunk; by default as many as fit into 32 MiB.
    """
    images, width = gallery.shape
    at_once = rows_at_once or max(1, _VALUES_AT_ONCE // max(1, width))
    asked = _fixed(queries)
    positions = [np.empty(0, dtype=np.int64)] * len(queries)
    scores = [np.empty(0)] * len(queries)
    for start in range(0, images, at_once):
        stop = min(start + at_once, images)
        found = asked @ _fixed(gallery[start:stop]).T
        found[:, list(_inside(excluded, start, stop))] = -np.inf
        for query, of_chunk in enumerate(found):
            # A later image that equals the worst of K comes behind it.
            worst = scores[query][-1] if len(scores[query]) == k else -np.inf
            new = np.flatnonzero(of_chunk > worst)
            joined = np.concatenate([scores[query], of_chunk[new]])
            order = np.argsort(-joined, kind="stable")[:k]
            scores[query] = joined[order]
            positions[query] = np.concatenate([positions[query], start + new])[order]
    return np.stack(positions), np.stack(scores) / _STEPS**2


def _fixed(vectors: Vectors) -> NDArray[np.float64]:
    """Return each component in steps of 2**-25, rounded to a whole number."""
    wide = vectors.astype(np.float64)
    wide *= _STEPS
    return np.rint(wide, out=wide)


def _inside(excluded: Rows | None, start: int, stop: int) -> Iterator[int]:
    for row in [] if excluded is None else excluded.tolist():
        if start <= row < stop:
            yield row - start


class VectorFile:
    """The embeddings (N, D) of a gallery in a .npy file, each of length one.

    Every slice is mapped separately, so that the memory of a process does not grow with the part of the file that it
    has read.

    Raises:
        BenchmarkError: the file cannot be read, or does not hold such an array. Slices and `take` also raise it for a
            row that is not of length one, and if the file was deleted or written again after it was opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._stamp = _stamp(path)
            whole = np.lib.format.open_memmap(path, mode="r")
        except OSError as error:
            raise BenchmarkError(f"{path}: cannot be read ({error.strerror or error}); expected a .npy file") from None
        except (ValueError, EOFError) as error:
            raise BenchmarkError(f"{path}: is not a .npy file of numbers ({error})") from None
        if whole.ndim != 2 or not whole.size or whole.dtype not in (np.float16, np.float32, np.float64):
            raise BenchmarkError(f"{path}: has shape {whole.shape} of {whole.dtype}, expected (N, D) of float32")
        if not whole.flags.c_contiguous:
            raise BenchmarkError(f"{path}: is stored by columns; expected rows (np.ascontiguousarray before np.save)")
        self.shape: tuple[int, int] = whole.shape
        self._dtype, self._offset = whole.dtype, int(whole.offset)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Vectors:
        """Return consecutive rows, (n, D)."""
        start, stop, _ = rows.indices(len(self))
        return self._of_length_one(self._mapped(start, stop), range(start, stop))

    def take(self, positions: Rows) -> Vectors:
        """Return a copy of the rows at these positions, (n, D)."""
        whole = self._mapped(0, len(self))
        return self._of_length_one(np.asarray(whole[positions]), positions)

    def _mapped(self, start: int, stop: int) -> "np.memmap[Any, np.dtype[Any]]":
        offset = self._offset + start * self.shape[1] * self._dtype.itemsize
        try:
            if _stamp(self.path) != self._stamp:
                raise BenchmarkError(f"{self.path}: was written again while it was searched; start again")
            return np.memmap(self.path, self._dtype, mode="r", offset=offset, shape=(stop - start, self.shape[1]))
        except OSError as error:
            raise BenchmarkError(f"{self.path}: can no longer be read ({error.strerror or error})") from None

    def _of_length_one(self, vectors: Vectors, positions: Rows | range) -> Vectors:
        lengths = np.linalg.norm(vectors.astype(np.float32, copy=False), axis=1)
        wrong = np.flatnonzero(~(np.abs(lengths - 1) < _TOLERANCE))
        if len(wrong):
            place = int(wrong[0])
            raise BenchmarkError(
                f"{self.path}: row {positions[place]} has length {lengths[place]:.4g}, expected 1: divide each row by "
                "its length"
            )
        return vectors


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
