"""Pages say what the records say, read well, and are safe to show."""

from pathlib import Path

import models
from benchmark import tasks
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.files import build, load_records, print_table, write_leaderboards
from benchmark.leaderboard.tables import markdown_page
from benchmark.recipe.presets import PRESETS
from tests.benchmark.leaderboard.made_up_tables import boards_of, page, save, shown, tables

LEADERBOARDS = Path(__file__).parents[3] / "leaderboards"


def test_the_page_says_what_the_records_say(root: Path) -> None:
    (board,) = boards_of(root)
    ranking, cost, parts, selection, changed, kind, later = tables(page(root))
    assert later[0] == ["Method", "Image encoder", "R@1", "R@5", "R@10", "R@50", "Source"]
    assert later[1] == ["LGLI", "ResNet-18", "93.3", "-", "-", "-", "V"]
    assert parts[0] == ["Composer", "noun R@1", "noun R@5", "noun R@10", "noun R@50"]
    assert {tuple(line[1:]) for line in parts[1:]} == {("100.0",) * 4}
    assert ranking[0] == [
        "#", "Composer", "R@1", "Fresh", "95% interval", "Group",
        "R@5", "R@10", "mAP@10", "Drawn", "Ceiling", "Seeds", "Original",
    ]  # fmt: skip
    for line, row in zip(ranking[1:], board.rows, strict=False):
        score = row.scores[ALL]
        assert score.interval is not None
        assert line[:6] == [
            str(row.rank),
            row.composer.title,
            f"{score.mean[1]:.1f} ± {score.deviation[1]:.1f}",
            "-",
            f"[{score.interval.low:.1f}, {score.interval.high:.1f}]",
            row.group,
        ]
    assert [line[-1] for line in ranking[1:]] == ["73.7 V", "65.6 M", "0.1 M", ""]
    assert ranking[-1] == ["", "*chance*", "0.5", "", "", "", "2.5", "5", "", "", "", "", ""]
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
        assert len(lines[0]) <= 125
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
    assert ranking[1][4].startswith("[")


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
    assert of_ours <= set(models.names())
    tirg = tasks.get("css").published_of("tirg")
    assert tirg is not None
    assert (tirg.recall, tirg.source) == ({1: 73.7}, "V")
    assert tasks.get("css").published_of("attribute_as_operator") is None


def test_gaps_are_differences_of_the_slices_above_them() -> None:
    """Of our own board, on the one track where a slice has what training shows and the others have not."""
    records = LEADERBOARDS / "records"
    stored, problems = load_records(records, only=records / "css-systematic")
    assert problems == []
    text = markdown_page("css-systematic", build(stored))
    assert "- **Gap** is by how many points" in text
    recall = next(table for table in tables(text) if "operation and shape" in table[0] and "seen" in table[0])
    gaps = next(table for table in tables(text) if "operation and shape" in table[0] and "seen" not in table[0])
    assert [recall[0][0], *recall[0][2:]] == gaps[0]
    for (_, seen, *novel), (_, *found) in zip(recall[1:], gaps[1:], strict=False):
        for there, cell in zip(novel, found, strict=True):
            value, *bounds = (float(word.strip("[],")) for word in cell.split())
            assert abs(value - (float(seen) - float(there))) < 0.151
            assert sorted([value, *bounds]) == [*bounds[:1], value, *bounds[1:]]


def test_a_page_without_held_out_slices_has_no_gaps(root: Path) -> None:
    assert "Gap" not in page(root)
