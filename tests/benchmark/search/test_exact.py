"""Exact search against a sort of fractions, whatever the chunks; files of embeddings; faiss's recall and ties."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmark.errors import BenchmarkError
from benchmark.search.exact import VectorFile, Vectors, exact_search
from benchmark.search.faiss_index import SUFFIX, FaissIndex, recall_of
from css_gen.progress import Silent

pytestmark = pytest.mark.filterwarnings("ignore:builtin type .* has no __module__ attribute:DeprecationWarning")


def unit(vectors: np.ndarray) -> Vectors:
    wide = vectors.astype(np.float64)
    return (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)


def slow_order(query: Vectors, gallery: Vectors, excluded: set[int]) -> list[int]:
    """Positions by the exact sum of products of components rounded to 25 bits, one number at a time."""

    def rounded(value: float) -> Fraction:
        return Fraction(round(Fraction(value) * 2**25), 2**25)

    scores = [
        sum((rounded(float(a)) * rounded(float(b)) for a, b in zip(query, image, strict=True)), Fraction())
        for image in gallery
    ]
    return sorted(set(range(len(gallery))) - excluded, key=lambda row: (-scores[row], row))


def hostile(rng: np.random.Generator) -> Vectors:
    """Directions that are equal, opposite, orthogonal or differ in the last bit, in a random order."""
    few = unit(rng.integers(-1, 2, (12, 7)) + np.array([0.5, 0, 0, 0, 0, 0, 0]))
    near = np.nextafter(few[:3], np.float32(2))
    return rng.permutation(np.concatenate([few, few, -few, near, near, unit(rng.normal(size=(9, 7)))]))


@pytest.mark.parametrize("rows_at_once", [1, 2, 7, 1000])
@pytest.mark.parametrize("k", [1, 2, 10, 50, 1000])
def test_the_order_is_by_score_and_then_position_for_every_chunk_and_k(rows_at_once: int, k: int) -> None:
    rng = np.random.default_rng(5)
    gallery, excluded = hostile(rng), np.array([0, 3, 50])
    queries = np.concatenate([gallery[[3, 20]], unit(rng.normal(size=(2, 7))), -gallery[[8]]])
    found, scores = exact_search(queries, gallery, k, excluded=excluded, rows_at_once=rows_at_once)
    for query, positions, of_query in zip(queries, found, scores, strict=True):
        assert positions.tolist() == slow_order(query, gallery, {0, 3, 50})[:k]
        assert of_query == pytest.approx(gallery[positions].astype(np.float64) @ query.astype(np.float64), abs=1e-6)
        assert of_query.min() < 0 or k < 50


def test_equal_embeddings_have_equal_scores_wherever_they_are() -> None:
    rng = np.random.default_rng(1)
    image, query = unit(rng.normal(size=(1, 509))), unit(rng.normal(size=(1, 509)))
    gallery = np.repeat(image, 1001, axis=0)
    found, scores = exact_search(query, gallery, 1001, rows_at_once=313)
    assert found[0].tolist() == list(range(1001))
    assert len(set(scores[0].tolist())) == 1


def test_a_file_is_searched_as_an_array_is(tmp_path: Path) -> None:
    gallery = hostile(np.random.default_rng(2))
    np.save(tmp_path / "g.npy", gallery)
    file = VectorFile(tmp_path / "g.npy")
    expected, scores = exact_search(gallery[:4], gallery, 30)
    found, of_file = exact_search(gallery[:4], file, 30, rows_at_once=8)
    assert np.array_equal(found, expected)
    assert np.array_equal(of_file, scores)
    assert np.array_equal(file.take(np.array([9, 2, 9])), gallery[[9, 2, 9]])


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((3, 2), 0.6, dtype=np.float32), "row 0 has length 0.8485, expected 1"),
        (np.array([[1, 0], [np.nan, 0]], dtype=np.float32), "row 1 has length nan"),
        (np.array([[1, 0], [np.inf, 0]], dtype=np.float32), "row 1 has length inf"),
        (np.array([[1, 0], [0, 0]], dtype=np.float32), "row 1 has length 0,"),
        (np.ones(4, dtype=np.float32), r"expected \(N, D\) of float32"),
        (np.ones((0, 4), dtype=np.float32), r"expected \(N, D\) of float32"),
        (np.eye(4, dtype=np.int64), r"of int64, expected"),
        (np.asfortranarray(np.eye(3, 2, dtype=np.float32)), "is stored by columns"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, array: np.ndarray, expected: str) -> None:
    np.save(tmp_path / "g.npy", array)
    with pytest.raises(BenchmarkError, match=expected):
        exact_search(np.ones((1, 2), dtype=np.float32), VectorFile(tmp_path / "g.npy"), 1)


def test_what_is_no_array_is_refused(tmp_path: Path) -> None:
    (tmp_path / "g.npy").write_text("no array")
    with pytest.raises(BenchmarkError, match=r"g\.npy: is not a \.npy file of numbers"):
        VectorFile(tmp_path / "g.npy")
    with pytest.raises(BenchmarkError, match=r"h\.npy: cannot be read \(No such file"):
        VectorFile(tmp_path / "h.npy")


def test_a_file_that_is_deleted_or_written_again_while_it_is_searched_is_named(tmp_path: Path) -> None:
    path = tmp_path / "g.npy"
    np.save(path, np.eye(4, dtype=np.float32))
    file, query = VectorFile(path), np.eye(1, 4, dtype=np.float32)
    np.save(path, np.eye(5, dtype=np.float32))
    with pytest.raises(BenchmarkError, match=r"g\.npy: was written again while it was searched; start again"):
        exact_search(query, file, 1)
    path.unlink()
    for read in (lambda: exact_search(query, file, 1), lambda: file.take(np.array([0]))):
        with pytest.raises(BenchmarkError, match=r"g\.npy: can no longer be read \(No such file"):
            read()


_SEARCH = """
import sys
from pathlib import Path
import numpy as np
from benchmark.search.exact import VectorFile, exact_search
for name in sys.argv[1:]:
    found, _ = exact_search(np.eye(1, 16, dtype=np.float32), VectorFile(Path(name)), 10)
    print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0], *found[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process's memory is read from /proc")
def test_memory_does_not_grow_with_the_gallery(tmp_path: Path) -> None:
    sizes = (300_000, 1_500_000)  # both more than a chunk; 19 and 96 MB
    for images in sizes:
        whole = np.lib.format.open_memmap(tmp_path / f"{images}.npy", mode="w+", dtype=np.float32, shape=(images, 16))
        whole[:, 1] = 1
        whole[-4:, :2] = [0.6, 0.8]
        whole.flush()
    files = [str(tmp_path / f"{images}.npy") for images in sizes]
    said = subprocess.run([sys.executable, "-c", _SEARCH, *files], capture_output=True, text=True, check=True).stdout
    (small, *first), (large, *second) = ([int(word) for word in line.split()] for line in said.splitlines())
    assert [first, second] == [[*range(images - 4, images), *range(6)] for images in sizes]
    assert large - small < 30 * 1024  # of the 77 MB by which the file grew


@pytest.fixture
def vectors(tmp_path: Path) -> VectorFile:
    """3,000 embeddings around 60 centres, each of them twice."""
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(60, 24))
    one = unit(np.repeat(centres, 25, axis=0) + 0.5 * rng.normal(size=(1500, 24)))
    np.save(tmp_path / "g.npy", np.concatenate([one, one]))
    return VectorFile(tmp_path / "g.npy")


def test_faiss_says_how_much_of_exact_search_it_finds(vectors: VectorFile) -> None:
    index = FaissIndex.open(vectors, Silent())
    queries = vectors.take(np.unique(np.linspace(0, 2999, 100).round().astype(int)))
    found, _ = index.search(queries, 10)
    exact, _ = exact_search(queries, vectors, 10)
    shares = [len(set(a.tolist()) & set(b.tolist())) / 10 for a, b in zip(found, exact, strict=True)]
    assert index.recall == pytest.approx(sum(shares) / len(shares))
    assert 0.5 < index.recall <= 1
    assert recall_of(lambda queries, k: (np.full((len(queries), k), 7), None), queries[:1], vectors, 10) <= 0.1


def test_faiss_orders_ties_by_position_whatever_k_is(vectors: VectorFile) -> None:
    index, query = FaissIndex.open(vectors, Silent()), vectors[40:41]
    for k in (1, 2, 3, 12):
        found, scores = index.search(query, k)
        assert found[0, :2].tolist() == [40, 1540][:k]
        assert sorted(zip(-scores[0], found[0], strict=True)) == list(zip(-scores[0], found[0], strict=True))
    assert index.search(query, 2, excluded=np.array([40]))[0][0, 0] == 1540
    assert exact_search(query, vectors, 2)[0].tolist() == [[40, 1540]]


def test_an_index_of_other_embeddings_is_built_again(vectors: VectorFile) -> None:
    FaissIndex.open(vectors, Silent())
    file = vectors.path.with_suffix(SUFFIX)
    before = file.stat().st_mtime_ns
    FaissIndex.open(VectorFile(vectors.path), Silent())
    assert file.stat().st_mtime_ns == before
    np.save(vectors.path, np.array(vectors[0:3000][::-1]))
    again = VectorFile(vectors.path)
    assert FaissIndex.open(again, Silent()).search(again[5:6], 1)[0].tolist() == [[5]]
    assert file.stat().st_mtime_ns > before
    file.write_bytes(b"no index")
    assert FaissIndex.open(again, Silent()).search(again[5:6], 1)[0].tolist() == [[5]]
    about = file.with_name("g.faiss.json")
    said = json.loads(about.read_text())
    for damaged in ([], said | {"recall": None}, {name: value for name, value in said.items() if name != "recall"}):
        about.write_text(json.dumps(damaged))
        with pytest.raises(BenchmarkError, match=r"g\.faiss\.json: is damaged .*; delete it"):
            FaissIndex.open(again, Silent())
