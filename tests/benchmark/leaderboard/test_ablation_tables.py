"""The tables of ablations, from records made by hand: which runs are which setting, and every number on the page."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark import ablations
from benchmark.leaderboard.ablation_sections import sections
from benchmark.leaderboard.ablation_tables import ablation_tables
from benchmark.leaderboard.boards import build
from benchmark.leaderboard.scores import scores_of
from benchmark.recipe.changes import override
from benchmark.recipe.presets import PRESETS
from benchmark.recipe.schema import Recipe
from benchmark.records.store import StoredRecord
from tests.benchmark.made_up import make_outcomes, make_record, with_ranks

QUICK = PRESETS["quick"]
PLAIN = ("training.symmetric=false", "training.memory=0")
PAIRS = override(QUICK, (*PLAIN, "training.group_size=2", "training.repeats=all"))
TIRG = ablations.get("tirg")


def stored(*, hits: int, drawn: int, composer: str = "tirg", seed: int = 0, **others: Any) -> StoredRecord:
    """A run of 200 queries, of which `hits` find a right image and `drawn` of those the drawn one."""
    outcomes = make_outcomes(queries=200, sources=20)
    ranks = np.where(np.arange(200) < hits, 1, 3)
    outcomes = with_ranks(outcomes, ranks)
    outcomes = replace(
        outcomes,
        drawn_ranks=np.where(np.arange(200) < drawn, 1, 4),
        relevant_labels=np.full(200, 2),
        relevant=np.full(200, 2),
        sources=np.arange(200) // 10,
    )
    record = make_record(outcomes, composer=composer, seed=seed, **others)
    return StoredRecord(record, outcomes, Path(str(record.place)) / str(hits))


ON_BOARDS = (
    stored(hits=160, drawn=150),
    stored(hits=140, drawn=130, protocol="css-pooled"),
    stored(hits=120, drawn=110, composer="film", title="FiLM"),
)
OWN = (
    stored(hits=20, drawn=10, composer="tirg_gate_only"),
    stored(hits=100, drawn=90, recipe=PAIRS),
    stored(hits=150, drawn=140, recipe=override(QUICK, PLAIN)),
)


def page_of(on_boards: tuple[StoredRecord, ...] = ON_BOARDS, own: tuple[StoredRecord, ...] = OWN) -> list[list[str]]:
    """The cells of all tables on the page, without head and rule."""
    text = ablation_tables(on_boards, own)["tirg-ablations.md"]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in re.findall(r"^\|.*$", text, re.MULTILINE)]
    return [line for line in lines if line[0] != "Setting" and not line[0].startswith(":--")]


def test_every_number_of_the_page() -> None:
    interval = r"\[\d+\.\d, \d+\.\d\]"
    expected = [
        ["full", "75.0", "-", "73.7", "-", "80.0", interval, "1"],
        ["gate only", "5.0", "-70.0", "6.5", "-67.2", "10.0", interval, "1"],
        ["residual only", "-", "-", "60.6", "-13.1", "-", "", "-"],
        ["last linear layer", "65.0", "-10.0", "71.2", "-2.5", "70.0", interval, "1"],
        ["last convolution", "75.0", r"\+0.0", "73.7", r"\+0.0", "80.0", interval, "1"],
        ["K = 2", "45.0", "-30.0", "73.7", r"\+0.0", "50.0", interval, "1"],
        ["K = B", "70.0", "-5.0", "69.8", "-3.9", "75.0", interval, "1"],
    ]
    for line, patterns in zip(page_of(), expected, strict=True):
        assert [bool(re.fullmatch(pattern, cell)) for pattern, cell in zip(patterns, line, strict=True)] == [True] * 8


def test_the_csv_file_has_every_digit() -> None:
    own = (stored(hits=21, drawn=11, composer="tirg_gate_only"),)
    lines = list(csv.DictReader(io.StringIO(ablation_tables(ON_BOARDS, own)["tirg-ablations.csv"])))
    by_setting = {line["setting"]: line for line in lines}
    assert by_setting["gate only"] | {"recall_1_low": "", "recall_1_high": ""} == {
        "ablation": "tirg", "task": "css", "preset": "quick", "recipe": QUICK.hash[:8], "dataset": "0123456789abcdef",
        "setting": "gate only", "seeds": "0", "drawn_recall_1": "5.5", "recall_1": "10.5", "recall_1_low": "",
        "recall_1_high": "", "published_recall_1": "6.5", "published_source": "T", "tier": "self-reported", "notes": "",
    }  # fmt: skip
    assert [by_setting["residual only"][key] for key in ("seeds", "drawn_recall_1", "tier")] == ["", "", ""]


def test_seeds_are_averaged() -> None:
    own = tuple(
        stored(hits=hits, drawn=0, composer="tirg_gate_only", seed=seed) for seed, hits in enumerate((10, 20, 30))
    )
    (section,) = sections(TIRG, ON_BOARDS, own)
    row = section.lines[1].row
    assert row is not None
    assert (row.seeds, row.scores["all"].mean[1]) == ((0, 1, 2), pytest.approx(10.0))
    assert page_of(own=own)[1][5] == "10.0 ± 5.0"


def test_the_interval_of_a_row_of_a_board_is_the_boards_and_others_are_pooled_over_the_settings() -> None:
    full = [stored(hits=hits, drawn=0, seed=seed) for seed, hits in enumerate((160, 150))]
    film = [stored(hits=hits, drawn=0, composer="film", seed=seed) for seed, hits in enumerate((60, 120))]
    gate = [
        stored(hits=hits, drawn=0, composer="tirg_gate_only", seed=seed) for seed, hits in enumerate((20, 22))
    ]  # fmt: skip
    pairs = [stored(hits=100, drawn=0, recipe=PAIRS)]
    elsewhere = [stored(hits=140, drawn=0, protocol="css-pooled", seed=seed) for seed in (0, 1)]
    (section,) = sections(TIRG, [*full, *film, *elsewhere], [*gate, *pairs])
    found = {line.setting.title: line.row.scores["all"].interval for line in section.lines if line.row}
    (board, pooled) = build([*full, *film, *elsewhere])
    of_boards = {row.composer.name: row.scores["all"].interval for row in board.rows}
    assert found["full"] == found["last convolution"] == of_boards["tirg"]
    assert found["last linear layer"] == pooled.rows[0].scores["all"].interval
    expected = scores_of({"full": full, "gate only": gate, "K = 2": pairs})
    for title, runs in (("gate only", gate), ("K = 2", pairs)):
        assert found[title] == pytest.approx(expected[title]["all"].interval)
        assert found[title] != pytest.approx(scores_of({"alone": runs})["alone"]["all"].interval)
    assert found["full"] != pytest.approx(expected["full"]["all"].interval)


def test_without_records_of_its_own_there_is_no_table() -> None:
    assert ablation_tables(ON_BOARDS, ()) == {}


def test_the_order_of_the_records_does_not_matter() -> None:
    assert ablation_tables(ON_BOARDS[::-1], OWN[::-1]) == ablation_tables(ON_BOARDS, OWN)


def base(recipe: Recipe, *, fingerprint: str = "0123456789abcdef", queries_seen: int = 100) -> list[StoredRecord]:
    """The full composer, its gate, and K = 2."""
    pairs = override(recipe, (*PLAIN, "training.group_size=2", "training.repeats=all"))
    shared: dict[str, Any] = {"fingerprint": fingerprint, "queries_seen": queries_seen}
    return [
        stored(hits=160, drawn=160, recipe=recipe, **shared),
        stored(hits=20, drawn=20, composer="tirg_gate_only", recipe=recipe, **shared),
        stored(hits=100, drawn=100, recipe=pairs, **shared),
    ]


def test_recipes_and_renderings_are_kept_apart_and_the_longest_is_first() -> None:
    longer = override(QUICK, ("training.steps=6000",))
    groups = [base(QUICK), base(longer, queries_seen=200), base(QUICK, fingerprint="fedcba9876543210")]
    found = sections(TIRG, [group[0] for group in groups], [run for group in groups for run in group[1:]])
    assert [(section.preset, section.dataset[:4]) for section in found] == [
        ("cpu-long", "0123"), ("quick", "0123"), ("quick", "fedc"),
    ]  # fmt: skip
    for section in found:
        drawn = [line.row and line.row.scores["all"].scores["drawn_recall@1"] for line in section.lines]
        assert drawn == [80.0, 10.0, None, None, 80.0, 50.0, None]


def test_a_record_of_k_2_is_not_taken_for_the_full_composer() -> None:
    assert [section.preset for section in sections(TIRG, ON_BOARDS, OWN[1:])] == ["quick"]


def test_a_run_that_is_in_both_folders_counts_once() -> None:
    """As when `tirg-bench run --set` made it earlier."""
    twice = stored(hits=180, drawn=180, recipe=PAIRS)
    (section,) = [
        each for each in sections(TIRG, (*ON_BOARDS, twice), OWN) if each.recipe.hash == QUICK.hash
    ]  # fmt: skip
    row = section.lines[5].row
    assert row is not None
    assert (row.seeds, row.scores["all"].mean[1]) == ((0,), 90.0)


def test_a_row_of_other_code_says_so_and_one_that_was_disturbed_does_not() -> None:
    other = stored(hits=20, drawn=10, composer="tirg_gate_only", code_version="ab" * 32, other_cores=3.0)
    lines = page_of(own=(other, OWN[1]))
    assert [line[8] for line in lines] == ["", "other code abababab", "", "", "", "", ""]
