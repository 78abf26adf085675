"""Rows that were made otherwise than the rest of their board say so, and their times stand apart."""

from pathlib import Path
from typing import Any

import pytest

from benchmark.leaderboard.boards import Board
from benchmark.leaderboard.files import build, load_records, write_leaderboards
from benchmark.leaderboard.provenance import Machine, notes_on, origin_of
from benchmark.records import equal_versions
from benchmark.records.store import save_record
from tests.benchmark.made_up import make_outcomes, make_record, version_that_equals


def board_of(root: Path, odd: dict[str, Any]) -> Board:
    """Three composers made alike, and one that was made otherwise."""
    for composer, about in {"a": {}, "b": {}, "c": {}, "odd": odd}.items():
        outcomes = make_outcomes()
        save_record(make_record(outcomes, composer=composer, title=composer, **about), outcomes, root / "records")
    (board,) = build(load_records(root / "records")[0])
    return board


@pytest.mark.parametrize(
    ("odd", "notes", "is_timed_alike"),
    [
        ({}, (), True),
        ({"code_version": "ab" * 32}, ("other code abababab",), True),
        ({"torch": "2.9.0"}, ("torch 2.9.0",), True),
        ({"device": "Some GPU"}, ("Some GPU, 2 threads",), False),
        ({"threads": 1}, ("Some CPU, 1 thread",), False),
        ({"other_cores": 1.26}, ("other processes used 1.3 cores",), False),
        ({"other_cores": 0.2}, (), True),
        ({"jobs": 2}, ("Some CPU, 2 threads, 2 runs at a time",), False),
        ({"jobs": 2, "other_cores": 2.1}, ("Some CPU, 2 threads, 2 runs at a time",), False),
        ({"other_cores": None}, (), True),
        ({"is_local": True}, ("local file c0c0c0c0",), True),
    ],
)
def test_a_row_says_in_what_it_differs(
    odd: dict[str, Any], notes: tuple[str, ...], is_timed_alike: bool, tmp_path: Path
) -> None:
    board = board_of(tmp_path, odd)
    assert board.origin.machine == Machine("Some CPU", 2, False)
    rows = {row.composer.name: row for row in board.rows}
    assert (rows["odd"].notes, rows["odd"].is_timed_alike) == (notes, is_timed_alike)
    assert all(row.notes == () and row.is_timed_alike for name, row in rows.items() if name != "odd")
    write_leaderboards(tmp_path / "records", tmp_path)
    lines = [line for line in (tmp_path / "css.md").read_text().splitlines() if line.startswith("| odd ")]
    cost = next(line for line in lines if "self-reported" in line)
    assert ("(3 min 05 s)" in cost) == (not is_timed_alike)
    assert all(note in cost for note in notes)


def test_a_grid_of_two_runs_at_a_time_is_timed_alike_and_other_work_still_counts() -> None:
    records = [make_record(make_outcomes(), seed=seed, jobs=2, threads=1, other_cores=1.02) for seed in range(2)]
    assert notes_on(records, origin_of(records)) == ((), True)
    disturbed = make_record(make_outcomes(), seed=2, jobs=2, threads=1, other_cores=1.6)
    assert notes_on([disturbed], origin_of(records)) == (("other processes used 0.6 cores",), False)


def test_seeds_of_several_versions_of_a_composer_are_counted() -> None:
    records = [make_record(make_outcomes(), seed=seed, composer_sha256=f"{seed:064x}") for seed in range(2)]
    assert notes_on(records, origin_of(records)).texts == ("2 versions of the composer",)


def test_of_equally_many_the_order_of_records_does_not_matter() -> None:
    records = [make_record(make_outcomes(), torch=version) for version in ("2.11.0", "2.10.0")]
    assert origin_of(records) == origin_of(records[::-1])


def test_versions_of_the_code_that_give_equal_results_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equal_versions, "FILE", tmp_path / "equal_versions.json")
    equal_versions.add([version_that_equals("ef" * 32, "c0de" * 16)])
    board = board_of(tmp_path, {"code_version": "ef" * 32})
    assert all(row.notes == () for row in board.rows)
    other = board_of(tmp_path / "other", {"code_version": "cd" * 32})
    assert [row.notes for row in other.rows if row.composer.name == "odd"] == [("other code cdcdcdcd",)]
