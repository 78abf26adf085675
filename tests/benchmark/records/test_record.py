"""Records are read as they were written, and each run has a record of its own."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from benchmark.errors import BenchmarkError
from benchmark.leaderboard.files import write_leaderboards
from benchmark.recipe.changes import override
from benchmark.recipe.presets import PRESETS
from benchmark.records.making import stored_file
from benchmark.records.outcomes_file import decode, encode
from benchmark.records.schema import StoredFile
from benchmark.records.store import (
    RunRecord,
    load_outcomes,
    load_record,
    read_stored,
    save_record,
    validate_record,
)
from benchmark.scoring.metrics import metrics_of
from benchmark.scoring.recall import DEPTH, NO_RANK, Outcomes, recall_at_k
from tests.benchmark.made_up import answered, make_outcomes, make_record
from tests.benchmark.records.edited_record import STEM


def test_comes_back_as_it_was(tmp_path: Path) -> None:
    outcomes = make_outcomes()
    record = make_record(outcomes)
    path = save_record(record, outcomes, tmp_path / "records")
    assert path == tmp_path / "records" / "css" / "tirg" / f"{STEM}.json"
    assert path == record.identity.find(tmp_path / "records")
    assert load_record(path) == record
    back = read_stored(path).outcomes
    for name in ("ranks", "relevant", "candidates", "top1", "sources"):
        np.testing.assert_array_equal(getattr(back, name), getattr(outcomes, name))
    assert {name: column.tolist() for name, column in back.attributes.items()} == {
        name: column.tolist() for name, column in outcomes.attributes.items()
    }
    assert validate_record(path) == []
    assert sorted(file.name for file in path.parent.iterdir()) == [f"{STEM}.json", f"{STEM}.parquet"]


def test_saving_again_writes_the_same_bytes(stored: Path) -> None:
    before = stored.read_bytes(), stored.with_suffix(".parquet").read_bytes()
    record = load_record(stored)
    save_record(record, load_outcomes(stored, record), stored.parents[2])
    assert (stored.read_bytes(), stored.with_suffix(".parquet").read_bytes()) == before


def test_scores_are_computed_from_the_outcomes() -> None:
    outcomes = make_outcomes()
    record = make_record(outcomes)
    assert record.metrics.recall == recall_at_k(outcomes.ranks)
    assert record.metrics.chance[1] == pytest.approx(100 / 199)


def test_unanswered_queries_are_counted_and_never_hit(tmp_path: Path) -> None:
    outcomes = answered(
        ranks=np.array([1, NO_RANK]),
        relevant=np.array([1, 0]),
        candidates=np.array([9, 9]),
        top1=np.array([3, 4]),
        sources=np.array([0, 0]),
    )
    path = save_record(make_record(outcomes), outcomes, tmp_path / "records")
    stored = read_stored(path)
    assert stored.record.metrics.unanswered == 1
    assert stored.record.metrics.recall[50] == 50.0
    assert stored.outcomes.ranks.tolist() == [1, NO_RANK]


def test_what_became_of_every_relevant_image_is_kept() -> None:
    """Query 0 has its drawn target fourth and answers at 2, 4 and 50; query 1 at 1; query 2 none; query 3 beyond 50."""
    hits = np.zeros((4, DEPTH), dtype=bool)
    hits[0, [1, 3, 49]] = hits[1, 0] = True
    outcomes = Outcomes(
        ranks=np.array([2, 1, NO_RANK, 70]),
        drawn_ranks=np.array([4, NO_RANK, NO_RANK, 71]),
        relevant=np.array([4, 1, 0, 2]),
        relevant_labels=np.array([3, 1, 0, 2]),
        candidates=np.full(4, 80),
        hits=hits,
        top1=np.arange(4),
        sources=np.arange(4),
    )
    again = decode(encode(outcomes), 4)
    for name in ("ranks", "drawn_ranks", "relevant", "relevant_labels", "candidates", "hits", "top1", "sources"):
        np.testing.assert_array_equal(getattr(again, name), getattr(outcomes, name))
    assert metrics_of(again) == metrics_of(outcomes)


def test_ten_thousand_queries_take_less_than_100_kb(tmp_path: Path) -> None:
    outcomes = make_outcomes(queries=9_500, sources=500, hit_rate=0.5)
    path = save_record(make_record(outcomes), outcomes, tmp_path / "records")
    assert path.with_suffix(".parquet").stat().st_size < 100_000
    assert pq.read_table(path.with_suffix(".parquet")).column_names[:8] == [
        "rank",
        "relevant",
        "relevant_labels",
        "candidates",
        "top1",
        "source",
        "drawn_rank",
        "further_hits",
    ]


def test_a_record_in_another_runs_place_is_named(stored: Path) -> None:
    elsewhere = stored.parents[1] / "film" / stored.name
    shutil.copytree(stored.parent, elsewhere.parent)
    assert validate_record(elsewhere) == [
        f"{elsewhere}: is the record of another run; its place is css/tirg/{STEM}.json among the records"
    ]


def test_outcomes_of_another_run_are_not_saved(tmp_path: Path) -> None:
    record = make_record(make_outcomes(seed=0))
    with pytest.raises(ValueError, match="not the outcomes that the record was made from"):
        save_record(record, make_outcomes(seed=1), tmp_path / "records")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "records").write_text("a file where the folder should be")
    outcomes = make_outcomes()
    with pytest.raises(BenchmarkError, match="the record cannot be written"):
        save_record(make_record(outcomes), outcomes, tmp_path / "records")


def test_reproducible_leaves_out_time_and_place_and_nothing_else() -> None:
    outcomes = make_outcomes()
    record = make_record(outcomes)
    again = make_record(outcomes, device="Another CPU")
    timing = {"queries_per_second": 9.0, "wall_seconds": 9.0, "evaluation_seconds": 9.0, "peak_memory_mib": 9.0}
    again = RunRecord.model_validate(
        again.model_dump()
        | {"training": again.training.model_dump() | timing, "created": record.created.replace(year=2030)}
        | {"checkpoint": {"path": "/elsewhere", "sha256": "ab" * 32}}
    )
    assert again != record
    assert again.reproducible() == record.reproducible()
    json.dumps(record.reproducible(), allow_nan=False)
    other = RunRecord.model_validate(record.model_dump() | {"checkpoint": {"path": "/x", "sha256": "cd" * 32}})
    assert other.reproducible() != record.reproducible()
    assert make_record(make_outcomes(seed=1)).reproducible() != record.reproducible()
    assert make_record(outcomes, seed=1).reproducible() != record.reproducible()


def test_another_record_of_the_same_run_needs_a_flag(stored: Path) -> None:
    """What is said of a run may change; what came out of it may not."""
    root, before = stored.parents[2], stored.read_bytes()
    outcomes = make_outcomes()
    later = make_record(outcomes, device="Another CPU")
    assert save_record(later, outcomes, root) == stored
    other = make_outcomes(seed=1)
    with pytest.raises(BenchmarkError, match=f"{STEM}.json: there is a record of this run already; --replace"):
        save_record(make_record(other), other, root)
    assert load_record(stored) == later
    assert save_record(make_record(other), other, root, replace=True) == stored
    assert load_record(stored) == make_record(other)
    assert stored.read_bytes() != before


def test_runs_that_differ_in_one_thing_have_records_of_their_own(stored: Path) -> None:
    root, outcomes = stored.parents[2], make_outcomes()
    changes: list[dict[str, Any]] = [
        {"protocol": "css-2d3d"},
        {"composer": "film"},
        {"recipe": override(PRESETS["quick"], ["training.steps=9"])},
        {"seed": 1},
        {"fingerprint": "fedcba9876543210"},
    ]
    paths = {stored, *(save_record(make_record(outcomes, **change), outcomes, root) for change in changes)}
    assert len(paths) == 6
    assert all(validate_record(path) == [] for path in paths)


def test_a_record_under_an_old_name_of_its_recipe_is_replaced_as_a_whole(stored: Path) -> None:
    root, outcomes = stored.parents[2], make_outcomes()
    old = make_record(outcomes).model_copy(update={"preset": "fast"})
    old = old.model_copy(update={"ranks": old.ranks.model_copy(update={"path": f"{old.place.name}.parquet"})})
    assert save_record(old, outcomes, root).name == STEM.replace("quick", "fast") + ".json"
    assert len(list(stored.parent.iterdir())) == 2


FOLDERS = {
    "long": "/".join(["a folder with a rather long name"] * 12),
    "a formula": "=1+1",
    "an option": "-rf",
    "at": "@runs",
    "a space first": " runs",
    "accents": "läufe",
}


@pytest.mark.parametrize("folder", FOLDERS.values(), ids=FOLDERS)
def test_a_run_in_an_odd_folder_has_a_record(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(folder, "model.safetensors")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"model")
    file = stored_file(path)
    assert Path(file.path).read_bytes() == b"model", "it is found again"
    outcomes = make_outcomes(seed=0)
    record = make_record(outcomes).model_copy(update={"checkpoint": file})
    saved = save_record(record, outcomes, tmp_path / "boards" / "records")
    assert read_stored(saved).record.checkpoint == file
    write_leaderboards(tmp_path / "boards" / "records", tmp_path / "boards")
    for page in (*(tmp_path / "boards").glob("*.csv"), *(tmp_path / "boards").glob("*.md")):
        assert file.path not in page.read_text()


@pytest.mark.parametrize(
    ("name", "shown"), [(b"new\nline", r"new\nline"), (b"caf\xe9", r"caf\udce9"), (b"\x1b[31m", r"\x1b[31m")]
)
def test_what_a_terminal_or_json_cannot_take_is_an_escape(name: bytes, shown: str, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"model")
    file = stored_file(path)
    assert file.path == str(tmp_path / shown)
    assert StoredFile.model_validate_json(file.model_dump_json()) == file


@pytest.mark.parametrize("path", ["", "a\nb", "\x1b[31m", "x" * 5000])
def test_a_record_that_was_edited_cannot_bring_others(path: str) -> None:
    with pytest.raises(ValidationError):
        StoredFile(path=path, sha256="ab" * 32)
