"""Blocks of a page: every number of a paper, ours from CSV files written by hand, and the differences."""

import csv
from pathlib import Path
from typing import Any

import pytest

from benchmark import ablations, tasks
from benchmark.errors import BenchmarkError, UsageError
from benchmark.leaderboard.page_blocks import update, updated
from benchmark.runs.recipes import label_on, recipe_on
from css_gen.storage.configuration import LEADERBOARD_FINGERPRINT

BOARD = {"preset": "quick", "recipe": "44336f72", "dataset": "ab" * 32, "slice": "all", "seeds": "0"}


def write(path: Path, *lines: dict[str, Any]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def line(composer: str, drawn: float | str, **others: str) -> dict[str, Any]:
    return BOARD | {"composer": composer, "drawn_recall_1": drawn, "recall_1": 99.0} | others


def page(block: str, content: str = "") -> str:
    return f"Before.\n\n<!-- {block} -->\n{content}<!-- end -->\n\nAfter.\n"


def table(text: str) -> dict[str, list[str]]:
    """The cells of each line by the first one."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    return {first: others for first, *others in lines}


def test_our_drawn_recall_is_compared_with_the_papers(tmp_path: Path) -> None:
    write(
        tmp_path / "css.csv",
        line("tirg", 70.04, preset="cpu-long"),
        line("tirg", 71.26),
        line("tirg", 12.0, slice="kind=add"),
        line("tirg", 13.0, dataset="cd" * 32),
        line("film", 65.6),
        line("attribute_as_operator", 80.0),
    )
    text = updated(page("composers css quick"), tmp_path)
    found = table(text)
    assert found["Composer"] == ["NAME", "Source", "Paper R@1", "Ours", "Difference"]
    assert found["TIRG"] == ["`tirg`", "V", "73.7", "71.3", "-2.4"]
    assert found["FiLM"] == ["`film`", "M", "65.6", "65.6", "+0.0"]
    assert found["Concat"] == ["`concat`", "T", "60.6", "-", "-"]
    assert "Attribute as Operator" not in found
    assert "from -2.4 (TIRG) to +0.0 (FiLM)" in text
    assert "Dataset `abababab`, recipe `44336f72`, seed 0." in text
    assert text.startswith("Before.\n\n<!-- composers css quick -->\n")
    assert text.endswith("<!-- end -->\n\nAfter.\n")


def test_what_was_there_before_is_replaced(tmp_path: Path) -> None:
    write(tmp_path / "css.csv", line("tirg", 71.26))
    once = updated(page("composers css quick", "| TIRG | old |\n"), tmp_path)
    assert "old" not in once
    assert updated(once, tmp_path) == once


def test_several_seeds_are_named(tmp_path: Path) -> None:
    write(tmp_path / "css.csv", line("tirg", 71.26, seeds="0 1 2"))
    assert "mean of seeds 0, 1, 2." in updated(page("composers css quick"), tmp_path)


def test_seeds_of_all_rows_are_named(tmp_path: Path) -> None:
    write(tmp_path / "css.csv", line("film", 60.0, seeds="3"), line("tirg", 71.26, seeds="0 3"))
    assert "mean of seeds 0, 3 (some rows have fewer)." in updated(page("composers css quick"), tmp_path)


def test_the_data_of_the_leaderboards_comes_first_and_recipes_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    write(
        tmp_path / "css.csv",
        line("tirg", 10.0),
        line("film", 20.0, dataset=LEADERBOARD_FINGERPRINT),
        line("concat", 30.0, dataset=LEADERBOARD_FINGERPRINT, recipe="0ld0ld0l"),
    )
    text = updated(page("composers css quick"), tmp_path)
    assert [table(text)[title][3] for title in ("TIRG", "FiLM", "Concat")] == ["-", "20.0", "-"]
    assert f"Dataset `{LEADERBOARD_FINGERPRINT[:8]}`, recipe `44336f72`, seed 0." in text


def test_a_drop_is_of_one_dataset(tmp_path: Path) -> None:
    write(tmp_path / "css.csv", line("tirg", 70.0))
    write(tmp_path / "css-2d3d.csv", line("tirg", 60.5, dataset="cd" * 32))
    assert table(updated(page("drop css css-2d3d quick"), tmp_path))["TIRG"][3:] == ["70.0", "-", "-"]


@pytest.mark.parametrize("weights", ["torchvision", f"mine.pth@sha256:{'c' * 64}"])
@pytest.mark.parametrize("name", ["fashion200k", "mit-states"])
def test_a_block_takes_pretrained_weights_as_the_option_sets_them(name: str, weights: str, tmp_path: Path) -> None:
    label = label_on(name, recipe_on(name, "standard", pretrained=weights))
    others = [f"{label}, training.steps=5", label.replace("torchvision", "torchvision, training.steps=5"), "standard2"]
    write(
        tmp_path / f"{name}.csv",
        *(line("tirg", 1.0, preset=other, recipe=f"{place}") for place, other in enumerate(others) if other != label),
        line("tirg", 15.0, preset=label),
    )
    text = updated(page(f"composers {name} standard"), tmp_path)
    assert table(text)["TIRG"][3] == "15.0"
    assert f"Dataset `abababab`, preset `{label}`, recipe `44336f72`, seed 0." in text
    write(tmp_path / f"{name}.csv", line("tirg", 15.0, preset=label), line("tirg", 16.0, preset="standard"))
    assert table(updated(page(f"composers {name} standard"), tmp_path))["TIRG"][3] == "16.0"
    assert "Not measured here" in updated(page(f"composers {name} quick"), tmp_path)


@pytest.mark.parametrize("name", [name for name in tasks.names() if tasks.get(name).published])
def test_without_results_the_papers_numbers_are_still_all_there(name: str, tmp_path: Path) -> None:
    text = updated(page(f"composers {name} standard"), tmp_path)
    cells = sorted(cell for row in list(table(text).values())[1:] for cell in row[2:] if cell not in ("-", ":--"))
    expected = sorted(f"{value:.1f}" for row in tasks.get(name).published for value in row.recall.values())
    assert [cell for cell in cells if "-" not in cell] == expected
    owned = not tasks.get(name).is_rendered
    assert ("Not measured here: only its owners distribute the data." in text) == owned
    assert "Ours" not in text


def test_a_drop_is_the_second_task_minus_the_first(tmp_path: Path) -> None:
    write(tmp_path / "css.csv", line("tirg", 70.0), line("film", 50.0))
    write(tmp_path / "css-2d3d.csv", line("tirg", 60.5))
    found = table(updated(page("drop css css-2d3d quick"), tmp_path))
    assert found["TIRG"] == ["73.7", "46.6", "-27.1", "70.0", "60.5", "-9.5"]
    assert found["FiLM"] == ["65.6", "43.7", "-21.9", "50.0", "-", "-"]


def test_tracks_are_beside_the_task_with_their_levels(tmp_path: Path) -> None:
    levels = {"recall_1_chance": "0.01", "recall_1_source_oracle": "13.5"}
    order = {"tirg": 70.0, "film": 50.0, "concat": 60.0, "mrn": 65.0}
    write(tmp_path / "css.csv", *(line(name, 0.0, **levels, recall_1=str(recall)) for name, recall in order.items()))
    # Of the six pairs, that of TIRG and MRN alone is in the other order: tau is (5 - 1) / 6.
    there = {"tirg": 30.25, "film": 10.0, "concat": 20.0, "mrn": 40.0}
    shortcut = {"recall_1_shortcut": "28.5"}
    write(
        tmp_path / "css-chain.csv",
        *(line(name, 0.0, **levels, **shortcut, recall_1=str(recall)) for name, recall in there.items()),
    )
    text = updated(page("tracks css quick"), tmp_path)
    found = table(text)
    assert found["Composer"] == ["css", "css-chain"]
    assert [name for name in found if name in ("TIRG", "MRN", "Concat", "FiLM")] == ["TIRG", "MRN", "Concat", "FiLM"]
    assert found["TIRG"] == ["70.0", "30.2"]
    assert found["*source oracle*"] == ["13.5", "13.5"]
    assert found["*shortcut*"] == ["-", "28.5"]
    assert found["*Kendall's tau with css*"] == ["-", "0.67"]
    assert "\n\ncss, css-chain: seed 0.\n" in text
    write(
        tmp_path / "css.csv",
        *(line(name, 0.0, **levels, recall_1=str(recall), seeds="0 1") for name, recall in order.items()),
    )
    again = updated(page("tracks css quick"), tmp_path)
    assert "\n\ncss: mean of seeds 0, 1; css-chain: seed 0.\n" in again
    assert "Not run yet." in updated(page("tracks css quick"), tmp_path / "nowhere")


def test_strengths_are_slices_of_another_rank(tmp_path: Path) -> None:
    composers = ("tirg", "film", "concat", "mrn", "relationship")
    by_slice = {"all": (90, 80, 70, 60, 50), "kind=add": (50, 80, 70, 60, 90), "selection=cell": (90, 60, 80, 70, 50)}
    rows = [
        line(name, 0.0, title=name.upper(), slice=slice_name, recall_1=str(recall))
        for slice_name, recalls in by_slice.items()
        for name, recall in zip(composers, recalls, strict=True)
    ]
    write(tmp_path / "css.csv", *rows)
    found = table(updated(page("strengths css quick"), tmp_path))
    assert found["TIRG"] == ["90.0", "1", "", "kind add (5)"]
    assert found["RELATIONSHIP"] == ["50.0", "5", "kind add (1)", ""]
    assert found["FILM"] == ["80.0", "2", "", ""], "two places are not clear"


def test_slices_are_those_of_the_attributes_asked_for(tmp_path: Path) -> None:
    recalls = {"all": ("70", "80.04"), "changed=1": ("75", "90"), "selection=cell": ("", "95"), "changed=3+": ("5", "")}
    rows = [
        line(name, 0.0, title=name.upper(), slice=slice_name, recall_1=recall)
        for slice_name, its in recalls.items()
        for name, recall in zip(("film", "tirg"), its, strict=True)
    ]
    write(tmp_path / "css.csv", *rows)
    text = updated(page("slices css changed selection quick"), tmp_path)
    found = table(text)
    assert list(found)[-2:] == ["TIRG", "FILM"]
    assert found["Composer"] == ["R@1", "changed: 1", "changed: 3+", "selection: cell"]
    assert found["TIRG"] == ["80.0", "90.0", "-", "95.0"]
    assert found["FILM"] == ["70.0", "75.0", "5.0", "-"]
    assert "recipe `44336f72`, seed 0." in text
    assert table(updated(page("slices css changed quick"), tmp_path))["Composer"] == found["Composer"][:3]
    assert "Not run yet." in updated(page("slices css changed quick"), tmp_path / "nowhere")


def test_ablations_are_compared_with_their_own_full_composer(tmp_path: Path) -> None:
    shared = {"task": "css", "preset": "quick", "recipe": "44336f72", "dataset": "ab" * 32}
    write(
        tmp_path / "tirg-ablations.csv",
        {**shared, "setting": "full", "seeds": "0", "drawn_recall_1": 70.0},
        {**shared, "setting": "gate only", "seeds": "0", "drawn_recall_1": 30.25},
        {**shared, "setting": "K = 2", "seeds": "", "drawn_recall_1": ""},
        {**shared, "setting": "residual only", "seeds": "0", "drawn_recall_1": 1.0, "task": "css-2d3d"},
    )
    found = table(updated(page("ablations tirg css quick"), tmp_path))
    assert found["full"] == ["73.7", "-", "70.0", "-"]
    assert found["gate only"] == ["6.5", "-67.2", "30.2", "-39.8"]
    assert found["K = 2"] == ["73.7", "+0.0", "-", "-"]
    assert found["residual only"] == ["60.6", "-13.1", "-", "-"]
    text = updated(page("ablations tirg mit-states standard"), tmp_path)
    assert table(text)["K = B"] == ["10.9", "-1.3", "-", "-"]
    assert "only its owners distribute the data" in text
    assert "Not run yet." in updated(page("ablations tirg css paper"), tmp_path)


def test_ablations_of_another_task_do_not_hide_a_measured_one(tmp_path: Path) -> None:
    shared = {"preset": "standard", "recipe": "44336f72", "seeds": "0", "setting": "gate only"}
    write(
        tmp_path / "tirg-ablations.csv",
        {**shared, "task": "fashion200k", "dataset": "ab" * 32, "drawn_recall_1": 10.0},
        {**shared, "task": "mit-states", "dataset": "cd" * 32, "setting": "full", "seeds": "", "drawn_recall_1": ""},
        {**shared, "task": "mit-states", "dataset": "cd" * 32, "drawn_recall_1": 20.0},
    )
    text = updated(page("ablations tirg mit-states standard"), tmp_path)
    found = table(text)
    assert (found["full"][2], found["gate only"][2:]) == ("-", ["20.0", "-"])
    assert "Dataset `cdcdcdcd`, recipe `44336f72`, seed 0." in text


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            "tables css quick",
            r"<!-- tables css quick -->: unknown kind; there are composers, ablations, drop, tracks, slices, strengths",
        ),
        ("slices css quick", r"<!-- slices css quick -->: expected at least 3 names, found 2"),
        ("drop css css-2d3d css quick", r"<!-- drop css css-2d3d css quick -->: expected 3 names, found 4"),
        ("slices css colour quick", r"css has no slices by 'colour'; there are selection, changed, kind"),
        ("composers css", r"<!-- composers css -->: expected 2 names, found 1"),
        ("composers csss quick", r"unknown dataset 'csss': did you mean"),
        ("composers css quik", r"unknown preset 'quik': did you mean quick"),
        ("ablations film css quick", r"unknown ablation 'film'"),
    ],
)
def test_a_block_that_cannot_be_written_is_named(block: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(page(block))
    with pytest.raises(BenchmarkError, match=rf"page.md: .*{message}"):
        update(file, tmp_path)
    assert file.read_text() == page(block)


def test_ends_without_blocks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="an <!-- end --> without a block"):
        updated(page("composers css quick") + "<!-- end -->\n", tmp_path)
    with pytest.raises(BenchmarkError, match="an <!-- end --> without a block"):
        updated(page("composers css quick", page("composers css-2d3d quick")), tmp_path)


def test_a_page_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"absent.md: is not a page that can be read and written"):
        update(tmp_path / "absent.md", tmp_path)


def test_errors_of_names_are_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        updated(page("composers csss quick"), tmp_path)


ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "paper.md").read_text()


@pytest.mark.parametrize("name", ["paper", "composers", "tracks", "what_composes_best"])
def test_the_tables_of_a_page_are_up_to_date(name: str) -> None:
    content = (ROOT / "docs" / f"{name}.md").read_text()
    again = updated(content, ROOT / "leaderboards")
    assert "<!-- end -->" in again
    assert again == content, f"tirg-bench leaderboard --page docs/{name}.md writes them again"


def test_it_has_a_table_for_every_task_and_ablation_that_the_paper_reports() -> None:
    for name in ("css", "css-2d3d", "fashion200k", "mit-states"):
        assert tasks.get(name).published
        assert f"<!-- composers {name} " in PAGE
    for name in {*ablations.get("tirg").tasks} - {"css-original"}:
        assert f"<!-- ablations tirg {name} " in PAGE
