"""The column Fresh: means over seeds, a mark where the row's own Recall@1 is far away, and the lower one counts."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.leaderboard.files import print_table
from benchmark.leaderboard.fresh import MARK, NOTE
from benchmark.leaderboard.site import write_site
from benchmark.records.store import read_stored, save_record
from benchmark.scoring.fresh import fresh_score
from tests.benchmark.leaderboard.made_up_tables import boards_of, page, save, shown, tables
from tests.benchmark.made_up import make_outcomes, make_record


def save_fresh(
    root: Path, *, hit_rate: float, fresh: float, seed: int = 0, rendering: Any = None, **about: Any
) -> Path:
    """Save a run with R@1 of about `hit_rate`, and `fresh` on a fresh test set."""
    outcomes = make_outcomes(hit_rate=hit_rate, seed=seed)
    record = make_record(outcomes, seed=seed, **about)
    score = fresh_score(make_outcomes(hit_rate=fresh, seed=50 + seed), seed=50, fingerprint="f" * 64)
    dataset = record.dataset.model_copy(update={"rendering": {"seed": 0} if rendering is None else rendering})
    changed = record.model_copy(update={"fresh": score, "dataset": dataset})
    return save_record(changed, outcomes, root / "records")


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    for seed in (0, 1):
        save_fresh(tmp_path, hit_rate=0.95, fresh=0.1, seed=seed, composer="film", title="Cheat")
        save_fresh(tmp_path, hit_rate=0.6, fresh=0.6, seed=seed, composer="tirg", title="Honest")
        save_fresh(tmp_path, hit_rate=0.3, fresh=0.3, seed=seed, composer="concat", title="Weak")
    save(tmp_path, hit_rate=0.5, composer="mrn", title="Without")
    return tmp_path


def test_the_lower_counts_where_they_differ(boards: Path) -> None:
    (board,) = boards_of(boards)
    assert [row.composer.title for row in board.rows] == ["Honest", "Without", "Weak", "Cheat"]
    assert [row.is_doubtful for row in board.rows] == [False, False, False, True]
    assert [row.rank for row in board.rows] == [1, 2, 3, 4]
    assert board.rows[-1].group == "", "its own R@1 says nothing of the others"
    assert all(row.group for row in board.rows[:-1])
    cheat = board.rows[-1].fresh
    assert cheat is not None
    runs = [read_stored(path).record.fresh for path in sorted((boards / "records/css/film").glob("*.json"))]
    assert cheat.recall[1] == pytest.approx(np.mean([run.recall[1] for run in runs if run]))


def test_every_table_shows_it(boards: Path) -> None:
    text = page(boards)
    ranking = tables(text)[0]
    place = ranking[0].index("Fresh")
    assert ranking[0][place - 1] == "R@1"
    (board,) = boards_of(boards)
    cells = {line[1]: line[place] for line in ranking[1:5]}
    expected = {row.composer.title: f"{row.fresh.recall[1]:.1f}" if row.fresh else "-" for row in board.rows}
    assert cells == expected | {"Cheat": expected["Cheat"] + MARK}
    assert f"\n\n{NOTE}\n" in text
    with (boards / "css.csv").open(newline="") as file:
        lines = {line["title"]: line for line in csv.DictReader(file)}
    assert [lines[name]["fresh_differs"] for name in ("Cheat", "Honest", "Without")] == ["True", "False", ""]
    assert f"{float(lines['Honest']['fresh_recall_1']):.1f}" == cells["Honest"]
    terminal = shown(print_table([board]), width=80)
    assert cells["Cheat"] in terminal
    assert NOTE.split(":")[0] in " ".join(terminal.split())
    assert max(map(len, terminal.splitlines())) <= 80
    write_site(boards / "records", boards)
    html = (boards / "site/board/css.html").read_text()
    assert f">{cells['Cheat']}<" in html
    assert "from a seed drawn then" in html


def test_a_board_where_nothing_differs_has_no_note(tmp_path: Path) -> None:
    save_fresh(tmp_path, hit_rate=0.6, fresh=0.6)
    assert NOTE not in page(tmp_path)
    assert "- **Fresh** is R@1" in page(tmp_path)


def test_data_of_others_has_no_such_column(tmp_path: Path) -> None:
    save(tmp_path, protocol="fashion200k")
    assert "Fresh" not in page(tmp_path, "fashion200k")


@pytest.mark.parametrize(
    ("rendering", "change", "message"),
    [
        ({"seed": 50}, {}, "has the seed or the fingerprint of the dataset itself"),
        ({"seed": 0}, {"queries": 480, "sources": 48}, "has 480 queries, the dataset has 240"),
    ],
)
def test_a_fresh_score_of_other_data_is_refused(
    rendering: dict[str, int], change: dict[str, int], message: str
) -> None:
    outcomes = make_outcomes()
    record = make_record(outcomes)
    score = fresh_score(outcomes, seed=50, fingerprint="f" * 64).model_copy(update=change)
    dataset = record.dataset.model_copy(update={"rendering": rendering})
    with pytest.raises(ValueError, match=message):
        type(record).model_validate({**dict(record), "fresh": score, "dataset": dataset})
