"""Approximate search with faiss, for galleries whose exact search takes too long; never for a leaderboard.

faiss chooses candidates, and `exact_search` scores and orders them. So scores are exact, and ties are ordered by its
rule; only images that faiss does not choose are missed. The share that is found is measured when the index is built,
and stored beside it.

The index is an inverted file with 8 bits a component, which takes D + 8 bytes for each image. It is built in memory,
and mapped from its file afterwards.
"""

import hashlib
import json
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets.splits import Rows
from benchmark.errors import BenchmarkError, UsageError
from benchmark.search.exact import VectorFile, Vectors, exact_search
from css_gen.progress import Reporter
from css_gen.storage.atomic import write_atomically, written_atomically

SUFFIX = ".faiss"
MEASURED_K = 10
_QUERIES = 100
_AT_ONCE = 2**14
_IMAGES_PER_LIST = 39  # the fewest that faiss trains a list on without a warning


class FaissIndex:
    """An index of a file of embeddings.

    Attributes:
        recall: the share of the first 10 images of exact search that it finds, from 0 to 1, measured with images of
            the gallery as queries. Composed queries may fare worse.
    """

    def __init__(self, index: Any, vectors: VectorFile, recall: float) -> None:
        self._index, self._vectors, self.recall = index, vectors, recall

    @classmethod
    def open(cls, vectors: VectorFile, reporter: Reporter) -> Self:
        """Map the index beside a file of embeddings; build it if it is missing, damaged or of other embeddings.

        Raises:
            UsageError: faiss is not installed.
            BenchmarkError: the index cannot be read or written, or the .json file that describes it is damaged.
        """
        faiss, path = _faiss(), vectors.path.with_suffix(SUFFIX)
        about = path.with_name(f"{path.name}.json")
        of = {"rows": vectors.shape[0], "width": vectors.shape[1], "digest": _digest(vectors)}
        try:
            said = json.loads(about.read_text()) if about.exists() and path.exists() else {}
            if {name: said.get(name) for name in of} != of or said.get("sha256") != _sha256(path):
                about.unlink(missing_ok=True)
                said = of | {"recall": _build(faiss, path, vectors, reporter), "sha256": _sha256(path)}
                write_atomically(about, json.dumps(said).encode())
            return cls(_mapped(faiss, path), vectors, float(said["recall"]))
        except OSError as error:
            raise BenchmarkError(f"{path}: cannot be written or read ({error.strerror or error})") from None
        except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
            why = " ".join(str(error).split())[:200]
            raise BenchmarkError(f"{about}: is damaged ({why}); delete it") from None

    def search(self, queries: Vectors, k: int, *, excluded: Rows | None = None) -> tuple[Rows, NDArray[np.float64]]:
        """Search as `exact_search` does, but only among the candidates that faiss finds."""
        out = np.empty(0, dtype=np.int64) if excluded is None else excluded
        wanted = min(4 * k + 100 + len(out), self._vectors.shape[0])
        _, candidates = self._index.search(np.array(queries, dtype=np.float32), wanted)
        found = [
            self._ordered(query, np.setdiff1d(row, [-1, *out]), k)
            for query, row in zip(queries, candidates, strict=True)
        ]
        kept = min(len(positions) for positions, _ in found)
        return np.stack([each[:kept] for each, _ in found]), np.stack([scores[:kept] for _, scores in found])

    def _ordered(self, query: Vectors, positions: Rows, k: int) -> tuple[Rows, NDArray[np.float64]]:
        """Return the best k of some positions, which are in ascending order, and their scores."""
        places, scores = exact_search(query[None], self._vectors.take(positions), k)
        return positions[places[0]], scores[0]


def recall_of(search: Callable[..., tuple[Rows, Any]], queries: Vectors, vectors: VectorFile, k: int) -> float:
    """Return the share of the first K images of exact search that another search finds among its first K."""
    exact, _ = exact_search(queries, vectors, k)
    found, _ = search(queries, k)
    return float(np.mean([np.isin(wanted, row).mean() for wanted, row in zip(exact, found, strict=True)]))


def _build(faiss: ModuleType, path: Path, vectors: VectorFile, reporter: Reporter) -> float:
    images, width = vectors.shape
    lists = max(1, min(round(4 * sqrt(images)), images // _IMAGES_PER_LIST))
    index = faiss.index_factory(width, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    index.nprobe = max(16, lists // 64)
    index.cp.seed = 0
    index.train(vectors.take(_spread(images, 2 * _IMAGES_PER_LIST * lists)))
    with reporter.track(f"building {path.name}", images, "images") as report:
        for start in range(0, images, _AT_ONCE):
            index.add(np.array(vectors[start : start + _AT_ONCE], dtype=np.float32))
            report(min(start + _AT_ONCE, images))
    with written_atomically(path) as file:
        file.write(faiss.serialize_index(index).data)
    of_file = FaissIndex(_mapped(faiss, path), vectors, 0.0)
    return recall_of(of_file.search, vectors.take(_spread(images, _QUERIES)), vectors, min(MEASURED_K, images))


def _mapped(faiss: ModuleType, path: Path) -> Any:
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)


def _spread(images: int, count: int) -> Rows:
    """Return at most `count` positions, evenly spaced."""
    return np.unique(np.linspace(0, images - 1, min(count, images)).round().astype(np.int64))


def _digest(vectors: VectorFile) -> str:
    """Return a hash of the shape and of a thousand embeddings, which is enough to notice that a file was replaced."""
    rows = np.ascontiguousarray(vectors.take(_spread(vectors.shape[0], 1000)))
    return hashlib.blake2b(f"{vectors.shape}{rows.dtype}".encode() + rows.tobytes(), digest_size=16).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _faiss() -> ModuleType:
    try:
        import faiss
    except ModuleNotFoundError:
        raise UsageError("--index faiss needs faiss: pip install 'css-bench[faiss]'") from None
    module: ModuleType = faiss
    return module
