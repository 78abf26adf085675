"""What `tirg-bench queries` hands out: everything that a model may know, on every task, and nothing of the answers."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmark import tasks
from benchmark.any_model.queries import gallery_table, handles, query_table, write_queries
from benchmark.any_model.scored import open_sound
from benchmark.errors import BenchmarkError
from benchmark.scoring.listing import candidate_counts
from benchmark.tasks.css import Css
from benchmark.training.progress import SilentRuns


@pytest.mark.parametrize("task", tasks.names())
def test_the_tables_say_what_is_asked_and_which_images_are_ranked(task: str, places: dict[str, Path]) -> None:
    dataset = open_sound(task, places, SilentRuns())
    split, (ids, order) = dataset.test, handles(dataset)
    queries, gallery = query_table(dataset).to_pylist(), gallery_table(dataset).to_pylist()
    assert [row["image_id"] for row in gallery] == list(range(len(split.gallery)))
    assert len(queries) == len(split.queries) == len(set(ids))
    assert all(row.keys() <= {"query_id", "source_id", "text", "gallery_id"} for row in queries)
    if split.files:
        assert [row["file"] for row in gallery] == list(split.files)
    counts = candidate_counts(split)
    for row, query in zip(queries, order.tolist(), strict=True):
        assert row["query_id"] == ids[query]
        assert row["text"] == split.queries.texts[query]
        assert row["source_id"] == split.queries.source_images[query]
        part = row.get("gallery_id")
        candidates = {
            image["image_id"]
            for image in gallery
            if image["image_id"] != row["source_id"] and image.get("gallery_id") == part
        }
        assert len(candidates) == counts[query]
        assert split.queries.targets[query] in candidates


def test_neither_the_names_nor_the_order_follow_the_targets(css: Css) -> None:
    """In the dataset the target of query i is image `references + i`."""
    ids, order = handles(css)
    targets = css.test.queries.targets
    assert (np.diff(targets) == 1).all()
    assert np.mean(np.diff(targets[order]) > 0) == pytest.approx(0.5, abs=0.2)
    assert not set(ids) & set(css.test.queries.ids)
    assert sorted(ids) == [ids[row] for row in order]


def test_the_files_say_which_task_and_data_they_are_of(css: Css, tmp_path: Path) -> None:
    paths = write_queries(css, tmp_path / "new" / "q.parquet")
    assert [path.name for path in paths] == ["q.parquet", "q-gallery.parquet"]
    for path in paths:
        metadata = pq.read_schema(path).metadata
        assert metadata[b"tirg_bench.task"] == b"css"
        assert metadata[b"tirg_bench.fingerprint"] == css.fingerprint.encode()
    assert pq.read_table(paths[0]).equals(query_table(css))
    assert pq.read_table(paths[1]).equals(gallery_table(css))


def test_tasks_on_one_dataset_have_other_ids(places: dict[str, Path]) -> None:
    """So that the ranking of one is not scored as that of the other."""
    flat, solid = (open_sound(name, places, SilentRuns()) for name in ("css-2d3d", "css"))
    assert not set(handles(flat).ids) & set(handles(solid).ids)


def test_absent_data_and_a_folder_that_cannot_be_written_are_named(css: Css, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"nowhere: there is no data of css; pass --data css=PATH"):
        open_sound("css", {"css": tmp_path / "nowhere"}, SilentRuns())
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchmarkError, match=r"q-gallery.parquet: cannot be written"):
        write_queries(css, tmp_path / "file" / "q.parquet")
