"""Boards are a function of the records: ranked right, complete, and the same bytes each time."""

import csv
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.files import build, load_records, write_leaderboards
from benchmark.recipe.changes import override
from benchmark.recipe.presets import PRESETS
from benchmark.records.store import Tier, save_record
from benchmark.scoring.recall import KS
from tests.benchmark.leaderboard.made_up_tables import boards_of, page, save, tables
from tests.benchmark.made_up import first_hits, make_outcomes, make_record


def test_rows_are_ranked_by_mean_recall_over_seeds(root: Path) -> None:
    (board,) = boards_of(root)
    assert [(row.rank, row.composer.name, row.seeds) for row in board.rows] == [
        (1, "tirg", (0, 1, 2)),
        (2, "film", (0, 1, 2)),
        (3, "text_only", (0, 1, 2)),
    ]
    stored, _ = load_records(root / "records")
    for row in board.rows:
        runs = [run.record for run in stored if run.record.composer.name == row.composer.name]
        for k in KS:
            recalls = [run.metrics.recall[k] for run in runs]
            assert row.scores[ALL].mean[k] == pytest.approx(statistics.mean(recalls))
            assert row.scores[ALL].deviation[k] == pytest.approx(statistics.stdev(recalls))
        add = [part.recall[1] for run in runs if (part := run.metrics.slices["kind"]["add"]).recall]
        assert row.scores["kind=add"].mean[1] == pytest.approx(statistics.mean(add))
        interval = row.scores[ALL].interval
        assert interval is not None
        assert interval.low < row.scores[ALL].mean[1] < interval.high
        assert row.queries_per_second == pytest.approx(252.5)


def test_rows_that_tie_share_their_rank(tmp_path: Path) -> None:
    for composer, hit_rate in (("b", 0.5), ("a", 0.5), ("c", 0.2), ("d", 0.9)):
        save(tmp_path, composer=composer, title=composer, hit_rate=hit_rate)
    (board,) = boards_of(tmp_path)
    assert [(row.rank, row.composer.name) for row in board.rows] == [(1, "d"), (2, "a"), (2, "b"), (4, "c")]


def test_the_same_records_give_the_same_bytes(root: Path) -> None:
    written = write_leaderboards(root / "records", root)
    assert {"css.md", "css.csv"} <= {path.name for path in written.files}
    assert written.problems == ()
    before = [path.read_bytes() for path in written.files]
    stored, _ = load_records(root / "records")
    anew = [run._replace(file_sha256="") for run in stored]
    assert build(reversed(anew)) == build(anew) == build(stored)
    write_leaderboards(root / "records", root)
    assert [path.read_bytes() for path in written.files] == before


def test_only_boards_of_changed_files_are_computed_again(root: Path) -> None:
    (before,) = boards_of(root)
    assert boards_of(root)[0] is before
    save(root, hit_rate=0.7, seed=3, noise=2, composer="film", title="FiLM")
    (after,) = boards_of(root)
    assert after is not before
    rows = {row.composer.name: row for row in after.rows}
    assert 3 in rows["film"].seeds
    checked = [run._replace(tier=Tier.RETRAINED) for run in load_records(root / "records")[0]]
    assert {row.tier for row in build(checked)[0].rows} == {Tier.RETRAINED}


def test_runs_that_do_not_compare_share_no_table(root: Path) -> None:
    save(root, recipe=PRESETS["standard"], queries_seen=10**6)
    save(root, seed=7, recipe=override(PRESETS["quick"], ["training.steps=201"]), queries_seen=20_000)
    save(root, seed=8, fingerprint="fedcba9876543210", queries=480)
    save(root, protocol="css-2d3d")
    boards = boards_of(root)
    assert [(board.protocol, board.preset, len(board.rows)) for board in boards] == [
        ("css", "standard", 1),
        ("css", "quick", 3),
        ("css", "quick", 1),
        ("css", "quick, training.steps=201", 1),
        ("css-2d3d", "quick", 1),
    ]
    assert len({(board.recipe, board.dataset.fingerprint) for board in boards}) == 4
    text = page(root)
    assert text.count("\n## Preset ") == 4
    assert "Dataset `fedcba98`" in text
    assert (root / "css-2d3d.md").read_text().startswith("# CSS: 2D query, 3D gallery\n")


def save_open(root: Path, *, composer: str, exact: float, drawn: float) -> None:
    """A run where the first half of the queries, its adds among them, have two right scenes."""
    outcomes = make_outcomes()
    rows = np.arange(len(outcomes))
    is_open = rows < len(rows) // 2
    ranks = np.where(rows % 10 < 10 * exact, 1, 3)
    drawn_ranks = np.where(is_open & (rows % 10 >= 10 * drawn), ranks + 1, ranks)
    hits = first_hits(ranks) | (is_open[:, None] & first_hits(ranks + 1))
    changed = replace(
        outcomes, ranks=ranks, drawn_ranks=drawn_ranks, hits=hits,
        relevant=1 + is_open, relevant_labels=1 + is_open,
        attributes={**outcomes.attributes, "answers": np.where(is_open, "2+", "1")},
    )  # fmt: skip
    save_record(make_record(changed, composer=composer, title=composer), changed, root / "records")


def test_rows_are_ranked_by_exact_recall_and_show_the_drawn_one_below_its_ceiling(tmp_path: Path) -> None:
    save_open(tmp_path, composer="lucky", exact=0.6, drawn=0.6)
    save_open(tmp_path, composer="right", exact=0.7, drawn=0.2)
    ranking = tables(page(tmp_path))[0]
    place = {name: ranking[0].index(name) for name in ("Composer", "R@1", "mAP@10", "Drawn", "Ceiling")}
    shown_rows = [[line[place[name]] for name in place] for line in ranking[1:3]]
    # A query answered at 1 (or 3), the open ones at 2 (or 4), too: 1 or (1 + 2/2) / 2; 1/3 or (1/3 + 2/4) / 2.
    maps = [100 * (share + (1 - share) * (1 / 3 + (1 / 3 + 2 / 4) / 2) / 2) for share in (0.7, 0.6)]
    assert shown_rows == [
        ["right", "70.0", f"{maps[0]:.1f}", "45.0", "75.0"],
        ["lucky", "60.0", f"{maps[1]:.1f}", "60.0", "75.0"],
    ]
    with (tmp_path / "css.csv").open(newline="") as file:
        lines = {(line["composer"], line["slice"]): line for line in csv.DictReader(file)}
    assert float(lines["right", "answers=2+"]["ceiling"]) == 50
    assert float(lines["right", "answers=1"]["ceiling"]) == 100
    assert float(lines["right", "answers=2+"]["drawn_recall_1"]) == 20
    assert float(lines["right", "all"]["map_10"]) == pytest.approx(maps[0])


def test_csv_holds_every_slice_to_the_last_digit(root: Path) -> None:
    (board,) = boards_of(root)
    write_leaderboards(root / "records", root)
    with (root / "css.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(board.rows) * (1 + sum(map(len, board.slices.values())))
    by_key = {(line["composer"], line["slice"]): line for line in lines}
    for row in board.rows:
        for name, score in row.scores.items():
            line = by_key[row.composer.name, name]
            assert int(line["queries"]) == score.queries
            if score.queries:
                assert float(line["recall_5"]) == score.mean[5]
                assert float(line["recall_1_deviation"]) == score.deviation[1]
                assert float(line["recall_50_chance"]) == score.chance[50]
            else:
                assert line["recall_5"] == line["recall_50_chance"] == ""
            for k in KS:
                bounds = (line[f"recall_{k}_low"], line[f"recall_{k}_high"])
                interval = score.intervals.get(k)
                assert bounds == (("", "") if interval is None else tuple(map(str, interval)))
                assert interval is None or interval.low <= score.mean[k] <= interval.high
            assert (len(score.intervals) == len(KS)) == (score.queries >= 30)
    assert by_key["tirg", ALL]["published_recall_1"] == "73.7"
    assert by_key["tirg", ALL]["seeds"] == "0 1 2"
