"""Tables are a function of the records: ranked right, complete, safe to show, and equal to what the records say."""

import csv
import io
import json
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock, Timeout
from rich.console import Console, RenderableType

import models
from benchmark import tasks
from benchmark.errors import BenchmarkError
from benchmark.leaderboard import files as leaderboard
from benchmark.leaderboard.boards import ALL, Board
from benchmark.leaderboard.files import build, load_records, print_table, write_leaderboards
from benchmark.recipe.changes import override
from benchmark.recipe.presets import PRESETS
from benchmark.records.store import Tier, save_record
from benchmark.scoring.recall import KS
from tests.benchmark.made_up import first_hits, make_outcomes, make_record


def save(root: Path, *, hit_rate: float = 0.6, seed: int = 0, noise: int = 0, queries: int = 240, **about: Any) -> Path:
    outcomes = make_outcomes(hit_rate=hit_rate, seed=100 * noise + seed, queries=queries)
    return save_record(make_record(outcomes, seed=seed, **about), outcomes, root / "records")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three composers with three seeds each, best to worst TIRG, FiLM, Text only."""
    for seed in range(3):
        save(tmp_path, hit_rate=0.8, seed=seed, noise=1)
        save(tmp_path, hit_rate=0.5, seed=seed, noise=2, composer="film", title="FiLM")
        save(tmp_path, hit_rate=0.1, seed=seed, noise=3, composer="text_only", title="Text only")
    return tmp_path


def boards_of(root: Path) -> tuple[Board, ...]:
    stored, problems = load_records(root / "records")
    assert problems == []
    return build(stored)


def page(root: Path, protocol: str = "css") -> str:
    write_leaderboards(root / "records", root)
    return (root / f"{protocol}.md").read_text()


def shown(table: RenderableType, *, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(table)
    return console.export_text()


def tables(text: str) -> list[list[list[str]]]:
    """Every Markdown table as lines of cells, without the rule."""
    found: list[list[list[str]]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif found[-1]:
            found.append([])
    return [[lines[0], *lines[2:]] for lines in found if lines]


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
    save(root, seed=7, recipe=override(PRESETS["quick"], ["training.steps=201"]))
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


def test_the_page_says_what_the_records_say(root: Path) -> None:
    (board,) = boards_of(root)
    ranking, cost, parts, selection, changed, kind, later = tables(page(root))
    assert later[0] == ["Method", "Image encoder", "R@1", "R@5", "R@10", "R@50", "Source"]
    assert later[1] == ["LGLI", "ResNet-18", "93.3", "-", "-", "-", "V"]
    assert parts[0] == ["Composer", "noun R@1", "noun R@5", "noun R@10", "noun R@50"]
    assert {tuple(line[1:]) for line in parts[1:]} == {("100.0",) * 4}
    assert ranking[0] == [
        "#", "Composer", "R@1", "95% interval", "Group",
        "R@5", "R@10", "mAP@10", "Drawn", "Ceiling", "Seeds", "Original",
    ]  # fmt: skip
    for line, row in zip(ranking[1:], board.rows, strict=False):
        score = row.scores[ALL]
        assert score.interval is not None
        assert line[:5] == [
            str(row.rank),
            row.composer.title,
            f"{score.mean[1]:.1f} ± {score.deviation[1]:.1f}",
            f"[{score.interval.low:.1f}, {score.interval.high:.1f}]",
            row.group,
        ]
    assert [line[-1] for line in ranking[1:]] == ["73.7 V", "65.6 M", "0.1 M", ""]
    assert ranking[-1] == ["", "*chance*", "0.5", "", "", "2.5", "5", "", "", "", "", ""]
    assert cost[1] == ["TIRG", "2019", "1.52 M", "0.14 M", "252", "3 min 05 s", "self-reported", "Some CPU", ""]
    slices = tasks.get("css").slices
    assert kind[0][1:] == list(slices["kind"].values)
    assert changed[0][1:] == list(slices["changed"].values)
    assert kind[-1] == ["*queries*", "60", "60", "60", "60"]
    assert kind[-2] == ["*ceiling of Drawn*", *["100.0"] * 4]
    assert selection[0][1:] == ["content", "everything"], "what no query has is not shown"


def test_small_slices_show_no_interval(root: Path) -> None:
    *_, selection, _, _, _ = tables(page(root))
    assert selection[-1] == ["*queries*", "230", "10"]
    for line in selection[1:-3]:
        assert "[" in line[1]
        assert "[" not in line[2]


def test_tables_read_well_raw(root: Path) -> None:
    text = page(root)
    blocks = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 7
    for block in blocks:
        lines = block.splitlines()
        assert len({len(line) for line in lines}) == 1
        assert len({line.count("|") for line in lines}) == 1
        assert len(lines[0]) <= 120
    assert "\n\n\n" not in text
    assert text.endswith("\n")


def test_the_page_shows_the_slices_that_matter_most_and_the_csv_file_all(root: Path) -> None:
    (board,) = boards_of(root)
    assert list(board.slices) == ["selection", "changed", "kind", "answers", "combination", "objects"]
    text = page(root)
    slices = tasks.get("css").slices
    shown_on_page = [name for name in board.slices if f"### R@1 by {slices[name].heading}" in text]
    assert shown_on_page == ["selection", "changed", "kind"]
    in_csv = (root / "css.csv").read_text()
    assert all(f",{name}=" in in_csv for name in board.slices)


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


def test_tasks_without_scenes_speak_of_no_draw(tmp_path: Path) -> None:
    save(tmp_path, protocol="mit-states")
    text = page(tmp_path, "mit-states")
    assert "Drawn" not in text
    assert "Ceiling" not in text
    assert tables(text)[0][0][5:8] == ["R@5", "R@10", "R@50"]


def test_one_seed_has_no_deviation_and_still_an_interval(tmp_path: Path) -> None:
    save(tmp_path)
    ranking = tables(page(tmp_path))[0]
    assert "±" not in "".join(ranking[1])
    assert ranking[1][3].startswith("[")


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
    assert problems[0].startswith(f"{path}: names the dataset of ")


def test_files_being_written_are_no_records(root: Path) -> None:
    (root / "records" / "css" / ".half.json").write_text("{")
    assert load_records(root / "records")[1] == []


def test_a_protocol_without_a_valid_record_loses_its_old_rows(tmp_path: Path) -> None:
    path = save(tmp_path)
    assert "| TIRG" in page(tmp_path)
    path.write_text("{}")
    assert "There are no results yet." in page(tmp_path)
    assert "TIRG" not in page(tmp_path)


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


def test_what_a_submission_says_of_itself_cannot_break_the_page(tmp_path: Path) -> None:
    save(
        tmp_path,
        composer="evil",
        title="<script>alert(1)</script> | [x](http://y) **b** `c`",
        url="https://x.org/)[y](http://z",
    )
    text = page(tmp_path)
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "[x](" not in text
    assert "(https://x.org/%29[y]%28http://z)" in text
    assert all(len(set(map(len, lines))) == 1 for lines in tables(text.replace("\\|", "")))
    assert "[x](http://y) **b**" in shown(print_table(boards_of(tmp_path)), width=200)


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


def test_the_terminal_shows_rows_chance_and_failures_within_80_columns(root: Path) -> None:
    failures = {"css/mrn/quick-s0": "the loss was NaN at step 12 [red]"}
    text = shown(print_table(boards_of(root), failures), width=80)
    assert max(map(len, text.splitlines())) <= 80
    for expected in ("TIRG", "FiLM", "Text only", "chance", "css, preset quick", "mrn/quick-s0 failed", "12 [red]"):
        assert expected in text
    assert "css/mrn/quick-s0 failed" in shown(print_table((), failures), width=80)


def test_the_terminal_has_a_table_for_every_board(root: Path) -> None:
    save(root, recipe=PRESETS["standard"], queries_seen=10**6)
    save(root, protocol="css-2d3d")
    text = shown(print_table(boards_of(root)), width=80)
    for title in ("css, preset standard", "css, preset quick", "css-2d3d, preset quick"):
        part = text.partition(title)[2]
        assert part.index("95% interval") < part.index("TIRG") < part.index("chance")
    assert text.count("95% interval") == 3


def test_data_of_owners_has_a_page_before_anybody_has_run_it(root: Path) -> None:
    write_leaderboards(root / "records", root)
    for protocol, best in (("fashion200k", "14.1"), ("mit-states", "12.3"), ("css-original", "73.7")):
        text = page(root, protocol)
        assert "There are no results yet." in text
        assert "Only its owners distribute" in text
        table, later = tables(text)
        assert len(later) == 1 + len(tasks.get(protocol).later)
        assert table[0] == ["Composer", "R@1", "R@5", "R@10", "R@50", "Source"]
        assert table[1][1] == best
        assert len(table) == 1 + len(tasks.get(protocol).published)
    save(root, protocol="mit-states", composer="tirg")
    text = page(root, "mit-states")
    assert "There are no results yet." not in text
    assert tables(text)[-2][1] == ["Relationship", "12.3", "31.9", "42.9", "-", "M"]


def test_published_numbers_have_a_source_and_a_composer_of_ours() -> None:
    of_ours = set()
    for task in map(tasks.get, tasks.names()):
        for rows in (task.published, task.later):
            assert len({(row.method, row.encoder) for row in rows}) == len(rows)
            assert {row.source for row in rows} <= set(tasks.SOURCES)
            assert all(0 <= value <= 100 for row in rows for value in row.recall.values())
            for row in rows:
                values = [row.recall[k] for k in sorted(row.recall)]
                assert values == sorted(values), "more images cannot hold fewer answers"
        assert all(1 in row.recall for row in task.published)
        of_ours |= {row.method for row in task.published}
    assert of_ours == set(models.names())
    tirg = tasks.get("css").published_of("tirg")
    assert tirg is not None
    assert (tirg.recall, tirg.source) == ({1: 73.7}, "V")
    assert tasks.get("css").published_of("attribute_as_operator") is None
