"""Tables are written whole, under one lock, and from the valid records alone."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout

from benchmark.errors import BenchmarkError
from benchmark.leaderboard import files as leaderboard
from benchmark.leaderboard.files import build, load_records, stale_tables, write_leaderboards
from tests.benchmark.leaderboard.made_up_tables import page, save


def test_an_edited_record_is_named_and_left_out(root: Path) -> None:
    (path,) = (root / "records" / "css" / "film").glob("*-s1-*.json")
    values = json.loads(path.read_text())
    values["metrics"]["scores"]["recall@1"] = 99.9
    path.write_text(json.dumps(values))
    foreign = root / "records" / "css" / "notes.json"
    foreign.write_text('{"mine": true}')
    written = write_leaderboards(root / "records", root)
    assert len(written.problems) == 2
    assert written.problems[0].startswith(f"{path}: was edited")
    assert written.problems[1].startswith(f"{foreign}: not a record")
    (board,) = build(load_records(root / "records")[0])
    assert {row.composer.name: row.seeds for row in board.rows}["film"] == (0, 2)
    assert "99.9" not in (root / "css.md").read_text()


def test_a_record_of_other_queries_under_the_same_dataset_is_named_and_left_out(root: Path) -> None:
    path = save(root, composer="zeal", title="Zeal", queries=200)
    stored, problems = load_records(root / "records")
    assert len(stored) == 9
    assert len(problems) == 1
    assert problems[0].startswith(f"{path}: holds 200 in queries where its dataset has 240 ")


def test_a_bad_record_that_sorts_first_leaves_out_itself_alone(root: Path) -> None:
    path = save(root, composer="aaa", title="First", queries=200)
    written = write_leaderboards(root / "records", root)
    assert [problem.partition(": ")[0] for problem in written.problems] == [str(path)]
    assert "First" not in (root / "css.md").read_text()
    assert len(load_records(root / "records")[0]) == 9


def test_a_record_outside_its_folder_is_left_out(root: Path) -> None:
    (path,) = (root / "records" / "css" / "film").glob("*-s1-*.json")
    copy = root / "records" / "old" / "css" / "film"
    shutil.copytree(path.parent, copy)
    problems = load_records(root / "records")[1]
    assert len(problems) == 3
    assert f"{copy / path.name}: is not at its place among the records, {path}; move it or remove it" in problems


def test_files_being_written_are_no_records(root: Path) -> None:
    (root / "records" / "css" / ".half.json").write_text("{")
    assert load_records(root / "records")[1] == []


def test_a_protocol_without_a_valid_record_loses_its_old_rows(tmp_path: Path) -> None:
    path = save(tmp_path)
    assert "| TIRG" in page(tmp_path)
    path.write_text("{}")
    assert "There are no results yet." in page(tmp_path)
    assert "TIRG" not in page(tmp_path)


def test_tables_whose_records_are_gone_are_stale_and_removed(root: Path) -> None:
    write_leaderboards(root / "records", root)
    left = [root / name for name in ("css-2d3d.md", "mit-states.csv", "tirg-ablations.md")]
    foreign = [root / name for name in ("notes.md", "css-notes.csv", "css.md.old")]
    for path in (*left, *foreign):
        path.write_text("from before\n")
    stored, _ = load_records(root / "records")
    assert stale_tables(stored, root / "records", root) == [
        f"{path}: its records are gone; run `tirg-bench leaderboard`" for path in left
    ]
    shutil.rmtree(root / "records" / "css")
    write_leaderboards(root / "records", root)
    assert stale_tables([], root / "records", root) == []
    assert not any(path.exists() for path in (*left, root / "css.md", root / "css.csv"))
    assert all(path.exists() for path in (*foreign, root / "mit-states.md"))


def test_missing_records_and_unwritable_tables_are_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="there is no folder of records"):
        write_leaderboards(tmp_path / "nothing", tmp_path / "out")
    (tmp_path / "taken").write_text("")
    with pytest.raises(BenchmarkError, match="the tables cannot be written"):
        write_leaderboards(root / "records", tmp_path / "taken")
    (tmp_path / "blocked" / "css.md").mkdir(parents=True)
    with pytest.raises(BenchmarkError, match="the tables cannot be written"):
        write_leaderboards(root / "records", tmp_path / "blocked")
    assert [path.name for path in (tmp_path / "blocked").iterdir() if "partial" in path.name] == []


def test_reading_and_writing_happen_under_one_lock(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def watched(name: str) -> None:
        original = getattr(leaderboard, name)

        def call(*arguments: Any) -> Any:
            with pytest.raises(Timeout):
                FileLock(root / ".leaderboards.lock").acquire(timeout=0)
            seen.append(name)
            return original(*arguments)

        monkeypatch.setattr(leaderboard, name, call)

    watched("load_records")
    watched("write_atomically")
    write_leaderboards(root / "records", root)
    assert seen[0] == "load_records"
    assert set(seen[1:]) == {"write_atomically"}
    assert len(seen) >= 3


def test_concurrent_writers_leave_whole_tables_with_every_row(root: Path) -> None:
    def land(index: int) -> None:
        save(root, composer=f"c{index}", title=f"Newcomer {index}")
        write_leaderboards(root / "records", root)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(land, range(4)))
    text = (root / "css.md").read_text()
    assert all(f"| Newcomer {index} " in text for index in range(4))
    write_leaderboards(root / "records", root)
    assert (root / "css.md").read_text() == text
