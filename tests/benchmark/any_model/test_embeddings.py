"""Embeddings from .npy files, in the order of the table of queries."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from benchmark.any_model.embeddings import rank_embeddings
from benchmark.any_model.queries import handles, query_table
from benchmark.any_model.ranking_file import RankingFile
from benchmark.errors import BenchmarkError
from benchmark.scoring.evaluation import rank
from benchmark.scoring.listing import score_lists
from benchmark.tasks.css import Css


def saved(path: Path, values: np.ndarray) -> Path:  # type: ignore[type-arg]
    np.save(path, values)
    return path


def test_they_are_ranked_by_cosine_in_the_order_of_the_table(css: Css, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(len(css.test.gallery), 5))
    table = query_table(css)
    queries = gallery[table["source_id"].to_numpy()] + 0.3 * rng.normal(size=(len(table), 5))
    stretch = rng.uniform(0.1, 1e6, size=(len(queries), 1))
    found = rank_embeddings(saved(tmp_path / "q.npy", queries * stretch), saved(tmp_path / "g.npy", gallery), css)
    cosines = (queries @ gallery.T) / np.linalg.norm(gallery, axis=1)
    rows = []
    for query_id, source, row in zip(
        table["query_id"].to_pylist(), table["source_id"].to_pylist(), cosines, strict=True
    ):
        order = np.argsort(-row)
        rows.append({"query_id": query_id, "image_ids": order[order != source]})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "ranking.parquet")
    listed = score_lists(RankingFile(tmp_path / "ranking.parquet", css), css.test)
    np.testing.assert_array_equal(found.outcomes.ranks, listed.outcomes.ranks)
    np.testing.assert_array_equal(found.outcomes.hits, listed.outcomes.hits)
    np.testing.assert_array_equal(found.top, listed.top)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e300])
def test_ties_are_broken_as_in_every_evaluation(css: Css, tmp_path: Path, value: float) -> None:
    """Zeros have no direction and all tie; enormous values are divided by their length before any overflow."""
    shapes = (len(css.test.queries), 3), (len(css.test.gallery), 3)
    files = (saved(tmp_path / f"{n}.npy", np.full(shape, value)) for n, shape in enumerate(shapes))
    expected = rank(*(torch.ones(shape) for shape in shapes), css.test)
    np.testing.assert_array_equal(rank_embeddings(*files, css).outcomes.ranks, expected.outcomes.ranks)


def test_what_is_wrong_is_named(css: Css, tmp_path: Path) -> None:
    asked, images = len(css.test.queries), len(css.test.gallery)
    good = {"q": np.ones((asked, 4)), "g": np.ones((images, 4), np.float16)}
    broken = np.ones((images, 4))
    broken[7, 2] = np.nan
    infinite = np.ones((asked, 4))
    infinite[9, 0] = -np.inf
    wrong = [
        ("g", broken, r"g.npy: row 7 holds NaN or infinity, expected finite numbers"),
        ("q", infinite, r"q.npy: row 9 holds NaN or infinity"),
        ("q", good["q"][1:], rf"q.npy: has shape \({asked - 1}, 4\), expected \({asked}, D\): a row for each query of"),
        ("g", np.ones((images, 2, 2)), rf"g.npy: has shape .*, expected \({images}, D\): a row for each image of the"),
        ("g", np.ones((images, 0)), r"g.npy: has shape"),
        ("g", np.ones((images, 5)), r"q.npy: has 4 columns and .*g.npy has 5; both need the same number"),
        ("g", np.full((images, 4), "a"), r"g.npy: holds <U1, expected numbers such as float32"),
        ("g", np.ones((images, 4), bool), r"g.npy: holds bool, expected numbers"),
    ]
    for name, values, message in wrong:
        files = [saved(tmp_path / f"{each}.npy", values if each == name else good[each]) for each in ("q", "g")]
        with pytest.raises(BenchmarkError, match=message):
            rank_embeddings(*files, css)


def test_what_is_not_an_array_is_refused_and_never_unpickled(css: Css, tmp_path: Path) -> None:
    good, bad = saved(tmp_path / "q.npy", np.ones((len(css.test.queries), 2))), tmp_path / "g.npy"
    with pytest.raises(BenchmarkError, match=r"g.npy: cannot be read"):
        rank_embeddings(good, bad, css)
    several = io.BytesIO()
    np.savez(several, np.ones(3))
    pickled = io.BytesIO()
    np.save(pickled, np.array([object()]), allow_pickle=True)
    for content, message in (
        (b"", "is not a .npy file"),
        (b"text", "is not a .npy file"),
        (several.getvalue(), "holds several arrays"),
        (pickled.getvalue(), "is not a .npy file"),
    ):
        bad.write_bytes(content)
        with pytest.raises(BenchmarkError, match=rf"g.npy: {message}"):
            rank_embeddings(good, bad, css)


def test_rows_follow_the_table_not_the_dataset(css: Css, tmp_path: Path) -> None:
    """A model that answers each query with its target, by its row in the table, is right everywhere."""
    eye = np.eye(len(css.test.gallery))
    queries = eye[css.test.queries.targets][handles(css).order]
    found = rank_embeddings(saved(tmp_path / "q.npy", queries), saved(tmp_path / "g.npy", eye), css)
    assert (found.outcomes.drawn_ranks == 1).all()
