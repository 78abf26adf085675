"""Every table shows the levels below its rows, and marks the K that say little about composing."""

import csv
import html
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from benchmark import tasks
from benchmark.leaderboard.boards import Board
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.files import build, load_records, print_table, write_leaderboards
from benchmark.leaderboard.levels import MARK, Doubt, doubts_of, levels_of, note_on
from benchmark.leaderboard.site import write_site
from benchmark.records.store import save_record
from benchmark.scoring.recall import KS
from benchmark.tasks.css import SLICES
from tests.benchmark.made_up import make_outcomes, make_record, with_ranks
from tests.benchmark.made_up_site import random_answers, save_run

QUERIES = 240
KIND = SLICES["kind"].heading


def save(
    root: Path, *, ranks: Any, source: Any = None, text: Any = None, composer: str = "tirg", protocol: str = "css"
) -> Path:
    outcomes = with_ranks(make_outcomes(queries=QUERIES), np.broadcast_to(ranks, QUERIES))
    outcomes = replace(
        outcomes,
        source_oracle_ranks=None if source is None else np.broadcast_to(source, QUERIES),
        text_candidates=None if text is None else np.broadcast_to(text, QUERIES),
    )
    record = make_record(outcomes, composer=composer, title=composer, protocol=protocol)
    return save_record(record, outcomes, root / "records")


def board_of(root: Path) -> Board:
    stored, problems = load_records(root / "records")
    assert problems == []
    (board,) = build(stored)
    return board


def page(root: Path, protocol: str = "css") -> str:
    write_leaderboards(root / "records", root)
    return (root / f"{protocol}.md").read_text()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def first_table(text: str) -> list[list[str]]:
    start = text.index("\n| ")
    return [cells(line) for line in text[start:].strip().split("\n\n")[0].splitlines()]


HALF = np.where(np.arange(QUERIES) % 2, 1, 60)
"""Recall@K of 50 for every K."""


@pytest.mark.parametrize(("hits", "doubtful"), [(QUERIES // 4, False), (QUERIES // 4 + 1, True)])
def test_a_k_is_doubtful_where_an_oracle_is_above_half_of_the_best_composer(
    tmp_path: Path, hits: int, doubtful: bool
) -> None:
    source = np.where(np.arange(QUERIES) < hits, 1, 60)
    save(tmp_path, ranks=HALF, source=source)
    save(tmp_path, ranks=60, source=source, composer="film")
    doubts = doubts_of(board_of(tmp_path))
    assert set(doubts) == (set(KS) if doubtful else set())
    for doubt in doubts.values():
        assert (doubt.oracle.title, doubt.value, doubt.best) == ("source oracle", 100 * hits / QUERIES, 50.0)


def test_each_k_is_decided_by_the_higher_oracle(tmp_path: Path) -> None:
    save(tmp_path, ranks=1, source=np.where(np.arange(QUERIES) < 100, 1, 30), text=18)
    doubts = doubts_of(board_of(tmp_path))
    assert {k: (doubt.oracle.title, round(doubt.value, 1)) for k, doubt in doubts.items()} == {
        10: ("text oracle", 55.6),
        50: ("source oracle", 100.0),
    }
    assert note_on(doubts, {1, 5}) == note_on({}, KS) == ""
    assert note_on(doubts, {10}) == (
        f"{MARK} says little about composing: without the source, the text oracle reaches 55.6 in R@10, more than half "
        "of the best composer's 100.0."
    )
    assert note_on(doubts, KS).count("of the best composer's 100.0") == 2
    (oracle, value, best) = doubts[50]
    three = {1: Doubt(oracle, 30.0, 50.0), 5: Doubt(oracle, 40.0, 60.0), 50: Doubt(oracle, value, best)}
    assert note_on(three, KS) == (
        f"{MARK} says little about composing: without the text, the source oracle reaches 30.0 in R@1, 40.0 in R@5 and "
        "100.0 in R@50, more than half of the best composer's 50.0, 60.0 and 100.0."
    )


def save_two(root: Path, protocol: str = "css") -> None:
    source = 1 + np.arange(QUERIES) % 20
    text = np.where(np.arange(QUERIES) % 4 == 0, 50, 100)
    save(root, ranks=HALF, source=source, text=text, protocol=protocol)
    save(root, ranks=60, source=source, text=text, composer="film", protocol=protocol)


def test_the_page_shows_both_oracles_marks_and_explains_them(tmp_path: Path) -> None:
    save_two(tmp_path)
    text = page(tmp_path)
    table = first_table(text)
    place = {name: table[0].index(name) for name in ("R@1", "R@5", f"R@10{MARK}")}
    last = {line[1]: [line[at] for at in place.values()] for line in table[-3:]}
    # A quarter of the queries has 50 candidates, the others have 100.
    assert last == {
        "*chance*": ["0.5", "2.5", "5"],
        "*source oracle*": ["5", "25.0", "50.0"],
        "*text oracle*": ["1.2", "6.2", "12.5"],
    }
    assert f"\n\n{MARK} says little about composing: without the text, the source oracle reaches 50.0 in R@10, " in text
    assert "R@50" not in text.split("## Preset")[1].split("Cost per run")[0], "the page has no such column"
    starts = ("**chance** is", "**source oracle** ignores the text", "**text oracle** ignores", f"**{MARK}** marks")
    for bullet in (f"- {start}" for start in starts):
        assert text.count(bullet) == 1
    assert max(len(line) for line in text.split("## Preset")[0].splitlines() if "oracle" in line) <= 130


def test_slices_have_levels_of_their_own(tmp_path: Path) -> None:
    save_two(tmp_path)
    text = page(tmp_path)
    table = [cells(line) for line in text.split(f"### R@1 by {KIND}")[1].strip().split("\n\n")[0].splitlines()]
    rows = {line[0]: line[1:] for line in table}
    # Made-up kinds take turns, so one kind has every query with 50 candidates.
    assert sorted(rows["*text oracle*"]) == ["1", "1", "1", "2"]
    assert rows["*source oracle*"] == ["20.0", "0", "0", "0"]
    assert rows["*chance*"] == ["0.5"] * 4


def test_the_first_recall_can_be_doubtful_too(tmp_path: Path) -> None:
    save(tmp_path, ranks=HALF, source=1, text=199)
    assert f"\n### R@1{MARK} by {KIND}\n" in page(tmp_path)


def test_the_csv_file_has_the_oracles_of_every_slice(tmp_path: Path) -> None:
    save_two(tmp_path)
    page(tmp_path)
    lines = list(csv.DictReader(io.StringIO((tmp_path / "css.csv").read_text())))
    (board,) = (board_of(tmp_path),)
    for line in lines:
        score = next(row for row in board.rows if row.composer.name == line["composer"]).scores[line["slice"]]
        for k in KS:
            for oracle in ("source_oracle", "text_oracle"):
                assert float(line[f"recall_{k}_{oracle}"]) == score.scores[f"{oracle}@{k}"]


def test_older_records_and_tasks_without_scenes_show_what_they_have(tmp_path: Path) -> None:
    save(tmp_path / "old", ranks=HALF)
    text = page(tmp_path / "old")
    assert "oracle" not in text
    assert MARK not in text
    lines = list(csv.DictReader(io.StringIO((tmp_path / "old" / "css.csv").read_text())))
    assert {line["recall_5_source_oracle"] for line in lines} == {""}
    save(tmp_path / "owned", ranks=HALF, source=1, protocol="mit-states")
    text = page(tmp_path / "owned", "mit-states")
    assert MARK not in text
    assert "*source oracle*" in text
    assert "text oracle" not in text


@pytest.mark.parametrize("protocol", tasks.names())
def test_only_tasks_with_exact_answers_have_doubts(tmp_path: Path, protocol: str) -> None:
    """Elsewhere the source oracle knows what images cannot tell."""
    save(tmp_path, ranks=HALF, source=1, protocol=protocol)
    board = board_of(tmp_path)
    assert set(doubts_of(board)) == (set(KS) if tasks.get(protocol).has_exact_answers else set())
    assert [level.title for level, _ in levels_of(board)] == ["chance", "source oracle"]


def test_an_older_row_does_not_hide_the_oracles_of_the_others(tmp_path: Path) -> None:
    save(tmp_path, ranks=1, composer="film")
    save(tmp_path, ranks=60, source=1, text=50)
    board = board_of(tmp_path)
    assert board.rows[0].composer.name == "film"
    assert [level.title for level, _ in levels_of(board)] == ["chance", "source oracle", "text oracle"]
    assert [level.title for level, _ in levels_of(board, "kind=add")] == ["chance", "source oracle", "text oracle"]
    assert set(doubts_of(board)) == set(KS)


def test_records_of_one_dataset_must_agree_in_their_oracles(tmp_path: Path) -> None:
    save(tmp_path, ranks=HALF, source=1, text=50)
    save(tmp_path, ranks=HALF, source=2, text=50, composer="film")
    stored, problems = load_records(tmp_path / "records")
    assert len(stored) == len(problems) == 1
    assert "holds other values of source_oracle_ranks than its dataset" in problems[0]


def test_the_terminal_dims_what_is_doubtful_within_80_columns(tmp_path: Path) -> None:
    save_two(tmp_path)
    console = Console(width=80, file=io.StringIO(), record=True, force_terminal=True, color_system="standard")
    console.print(print_table([board_of(tmp_path)]))
    plain, styled = console.export_text(clear=False), console.export_text(styles=True)
    assert max(map(len, plain.splitlines())) <= 80
    for expected in ("chance", "source oracle", "text oracle", f"R@10{MARK}", f"{MARK} says little about composing"):
        assert expected in plain
    dim = "\x1b[2m"
    row = next(line for line in styled.splitlines() if "tirg" in line)
    assert row.split(dim)[1].split("\x1b[0m")[0].strip() == "50.0"
    assert row.split(dim)[0].split()[-1] == "50.0", "R@5 is as it was"


def test_the_site_greys_the_column_and_says_why(css_root: Path, tmp_path: Path) -> None:
    outcomes, _ = random_answers(css_root, seed=0)
    count = len(outcomes)
    known = {"source_oracle_ranks": 1 + np.arange(count) % 10, "text_candidates": outcomes.candidates}
    save_run(tmp_path, css_root, known=known)
    write_site(tmp_path / "records", tmp_path)
    (board,) = build(load_records(tmp_path / "records")[0])
    doubts = doubts_of(board)
    assert 50 in doubts
    assert 1 not in doubts
    for name in ("board/css.html", "composer/css/tirg.html"):
        text = html.unescape((tmp_path / "site" / name).read_text())
        assert note_on(doubts, KS) in text
        assert f"R@50{MARK}" in text
        assert f"R@1{MARK}" not in text
    text = (tmp_path / "site" / "board" / "css.html").read_text()
    body = text.partition("<tbody>")[2].partition("</tbody>")[0]
    assert body.count('<td class="number weak"') == len(doubts) * len(board.rows)
    foot = text.partition("<tfoot>")[2].partition("</tfoot>")[0]
    for title in ("chance", "source oracle", "text oracle"):
        assert f'<th scope="row">{title}</th>' in foot
        assert text.count(f"<em>{title}</em> i") == 1
    slices = text.partition("<h3>R@1 by")[2].partition("</table>")[0]
    assert f"{board.rows[0].scores['kind=add'].scores['source_oracle@1']:.1f}" in slices
    assert ALL not in slices
