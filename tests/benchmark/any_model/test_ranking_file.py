"""What is wrong with a ranking is said in one line that names the file, the row and what was expected."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.any_model.queries import handles, query_table
from benchmark.any_model.ranking_file import RankingFile
from benchmark.any_model.scored import open_sound
from benchmark.errors import BenchmarkError
from benchmark.scoring.listing import score_lists
from benchmark.tasks.css import Css
from benchmark.training.progress import SilentRuns

Rows = list[dict[str, Any]]


def ranking(css: Css, *, seed: int = 0) -> Rows:
    """Random lists of different lengths, of all queries, in the order of the table."""
    rng = np.random.default_rng(seed)
    rows = []
    for query in query_table(css).to_pylist():
        images = rng.permutation(len(css.test.gallery))
        images = images[images != query["source_id"]][: rng.integers(50, 75)]
        rows.append({"query_id": query["query_id"], "image_ids": images.tolist()})
    return rows


def write(path: Path, rows: Rows, **types: pa.DataType) -> Path:
    kinds = {"query_id": pa.string(), "image_ids": pa.list_(pa.int64())} | types
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in kinds.items() if name in rows[0]}
    pq.write_table(pa.table(columns), path)
    return path


def test_it_reads_every_list_in_any_order_and_any_type_of_integers(css: Css, tmp_path: Path) -> None:
    rows = ranking(css)
    shuffled = [rows[place] for place in np.random.default_rng(1).permutation(len(rows))]
    kinds = [pa.list_(pa.int64()), pa.large_list(pa.uint16()), pa.list_(pa.int8())]
    files = [
        RankingFile(write(tmp_path / f"{n}.parquet", shuffled, image_ids=kind), css) for n, kind in enumerate(kinds)
    ]
    listed = {row["query_id"]: row["image_ids"] for row in rows}
    ids = handles(css).ids
    for file in files:
        found = {}
        for queries, images in file:
            found |= {ids[query]: row[row >= 0].tolist() for query, row in zip(queries, images, strict=True)}
        assert found == listed
        assert file.depth == min(map(len, listed.values()))
    fixed = [{**row, "image_ids": row["image_ids"][:50]} for row in rows]
    path = write(tmp_path / "fixed.parquet", fixed, image_ids=pa.list_(pa.int32(), 50), query_id=pa.large_string())
    assert len(score_lists(RankingFile(path, css), css.test).outcomes) == len(rows)


def first(change: Callable[[dict[str, Any]], dict[str, Any]], row: int = 3) -> Callable[[Rows, Css], Rows]:
    return lambda rows, _: [change(each) if place == row else each for place, each in enumerate(rows)]


def source_of_row(row: int) -> Callable[[Rows, Css], Rows]:
    def changed(rows: Rows, css: Css) -> Rows:
        source = query_table(css)["source_id"][row].as_py()
        return [
            {**each, "image_ids": [*each["image_ids"][:4], source]} if place == row else each
            for place, each in enumerate(rows)
        ]

    return changed


WRONG: list[tuple[Callable[[Rows, Css], Rows], str]] = [
    (first(lambda row: {**row, "query_id": "17"}), r"row 3: unknown query '17'; expected a query_id of `tirg-bench qu"),
    (first(lambda row: {**row, "query_id": None}), r"row 3: query_id is empty"),
    (first(lambda row: {**row, "image_ids": None}), r"row 3: image_ids is empty"),
    (first(lambda row: {**row, "image_ids": [1, None]}), r"row 3: an image is empty"),
    (first(lambda row: {**row, "image_ids": [75]}), r"row 3: image 75 at place 1 is not in the gallery; .* 0 to 74"),
    (first(lambda row: {**row, "image_ids": [-1]}), r"row 3: image -1 at place 1 is not in the gallery"),
    (
        first(lambda row: {**row, "image_ids": [*row["image_ids"][:50], row["image_ids"][2]]}),
        r"row 3: image \d+ at place 51 is in the list twice; expected each image once",
    ),
    (first(lambda row: {**row, "image_ids": row["image_ids"][:49]}), r"row 3: lists 49 images, expected 50 or more"),
    (first(lambda row: {**row, "image_ids": []}), r"row 3: lists 0 images, expected 50 or more"),
    (source_of_row(5), r"row 5: image \d+ at place 5 is the query's own source, which is not ranked; leave it out"),
    (lambda rows, _: [*rows, rows[7]], r"row \d+: query '[0-9a-f]{16}' is in row 7 already; expected it once"),
    (lambda rows, _: rows[2:], r"has no row for 2 of \d+ queries, such as '[0-9a-f]{16}'; expected one for each"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_what_is_wrong_is_named(css: Css, tmp_path: Path, change: Callable[[Rows, Css], Rows], message: str) -> None:
    path = write(tmp_path / "ranking.parquet", change(ranking(css), css))
    with pytest.raises(BenchmarkError, match=message) as raised:
        score_lists(RankingFile(path, css), css.test)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"query_id": ["a"]}, r"has no column image_ids, or two of them; expected query_id \(text\) and image_ids \(l"),
        ({"image_ids": [[1]]}, r"has no column query_id"),
        ({"query_id": [1], "image_ids": [[1]]}, r"query_id is int64; expected query_id \(text\)"),
        ({"query_id": ["a"], "image_ids": [1]}, r"image_ids is int64; expected"),
        ({"query_id": ["a"], "image_ids": [[1.0]]}, r"image_ids is list<element: double>; expected"),
        ({"query_id": ["a"], "image_ids": [["1"]]}, r"image_ids is list<element: string>; expected"),
    ],
)
def test_other_columns_and_types_are_refused(css: Css, tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "ranking.parquet")
    with pytest.raises(BenchmarkError, match=message):
        RankingFile(tmp_path / "ranking.parquet", css)


def test_what_is_not_a_parquet_file_is_refused(css: Css, tmp_path: Path) -> None:
    path = tmp_path / "ranking.parquet"
    with pytest.raises(BenchmarkError, match=r"ranking.parquet: there is no such file; expected a Parquet file"):
        RankingFile(path, css)
    path.write_text("query_id,image_ids\n")
    with pytest.raises(BenchmarkError, match=r"ranking.parquet: cannot be read as one; expected a Parquet file"):
        RankingFile(path, css)
    with pytest.raises(BenchmarkError, match=r"expected a Parquet file"):
        RankingFile(tmp_path, css)
    whole = write(path, ranking(css)).read_bytes()
    path.write_bytes(whole[:100] + b"\0" * 300 + whole[400:])
    with pytest.raises(BenchmarkError, match=r"ranking.parquet: is damaged near row 0"):
        list(RankingFile(path, css))


def test_metadata_of_other_data_is_refused(css: Css, tmp_path: Path) -> None:
    table = pq.read_table(write(tmp_path / "ranking.parquet", ranking(css)))
    for key, value in (("tirg_bench.fingerprint", "f" * 64), ("tirg_bench.task", "css-2d3d")):
        said = {**(query_table(css).schema.metadata or {}), key.encode(): value.encode()}
        pq.write_table(table.replace_schema_metadata(said), tmp_path / "other.parquet")
        with pytest.raises(BenchmarkError, match=rf"other.parquet: its metadata says {key} {value}, expected"):
            RankingFile(tmp_path / "other.parquet", css)
    pq.write_table(table.replace_schema_metadata(query_table(css).schema.metadata), tmp_path / "same.parquet")
    assert sum(len(lists.queries) for lists in RankingFile(tmp_path / "same.parquet", css)) == len(css.test.queries)


def test_an_image_of_another_part_of_the_gallery_is_refused(places: dict[str, Path], tmp_path: Path) -> None:
    dataset = open_sound("fashion-iq", places, SilentRuns())
    parts = dataset.test.galleries
    assert parts is not None
    rows: Rows = [
        {
            "query_id": query["query_id"],
            "image_ids": [
                image for image in np.flatnonzero(parts == query["gallery_id"]) if image != query["source_id"]
            ],
        }
        for query in query_table(dataset).to_pylist()
    ]
    complete = RankingFile(write(tmp_path / "ranking.parquet", rows), dataset)
    assert len(score_lists(complete, dataset.test).outcomes) == len(rows)
    part = query_table(dataset)["gallery_id"][0].as_py()
    rows[0]["image_ids"].append(int(np.flatnonzero(parts != part)[0]))
    with pytest.raises(BenchmarkError, match=r"row 0: image \d+ at place \d+ has another gallery_id than the query"):
        list(RankingFile(write(tmp_path / "ranking.parquet", rows), dataset))
