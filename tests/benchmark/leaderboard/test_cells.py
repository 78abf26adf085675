"""What the cells and columns of tables show."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark import tasks
from benchmark.leaderboard.any_model import model_columns
from benchmark.leaderboard.cells import NOTHING, difference, macro_recall, number, reached
from benchmark.leaderboard.columns import columns
from benchmark.leaderboard.files import write_leaderboards
from benchmark.leaderboard.levels import CHANCE
from benchmark.leaderboard.site import write_site
from benchmark.records.store import save_record
from tests.benchmark.made_up import make_outcomes, make_record

RECALL = st.dictionaries(st.sampled_from(["dress", "shirt", "top"]), st.floats(0, 100))


@given(recall=RECALL)
def test_the_mean_over_values_counts_each_value_alike(recall: dict[str, float]) -> None:
    scores = {f"category={value}": SimpleNamespace(mean={10: found, 1: -1.0}) for value, found in recall.items()}
    others = {name: SimpleNamespace(mean={10: 7.0}) for name in ("all", "categories=dress", "kind=dress")}
    found = macro_recall(SimpleNamespace(scores=scores | others), "category", 10)  # type: ignore[arg-type]
    if recall:
        assert found == pytest.approx(sum(recall.values()) / len(recall))
    else:
        assert found is None


@pytest.mark.parametrize(
    ("value", "plain", "signed"),
    [(-0.04, "0.0", "+0.0"), (0.0, "0.0", "+0.0"), (-0.06, "-0.1", "-0.1"), (7.25, "7.2", "+7.2"), (None, "-", "-")],
)
def test_a_number_that_rounds_to_zero_has_no_minus(value: float | None, plain: str, signed: str) -> None:
    assert (number(value), difference(value, 0.0)) == (plain, signed)
    assert difference(1.0, None) == NOTHING


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.0123, "0.012"), (1.26, "1.3"), (9.94, "9.9"), (42.43, "42.4"), (100.0, "100.0")]
)
def test_a_level_has_two_digits_or_more_and_no_exponent(value: float, text: str) -> None:
    assert reached(CHANCE, SimpleNamespace(scores={"chance@10": value}), 10) == text  # type: ignore[arg-type]


@pytest.mark.parametrize("name", tasks.names())
def test_drawn_is_a_column_where_more_than_the_drawn_target_counts(name: str) -> None:
    task = tasks.get(name)
    headings = {column.heading for column in columns(task) if "ranking" in column.on}
    assert (headings >= {"Drawn", "Ceiling", "mAP@10"}) is task.has_exact_answers
    assert ("Original" in headings) is (task.is_rendered and bool(task.published))
    of_models = {column.heading for column in model_columns(task)}
    assert (of_models >= {"Drawn", "Ceiling", "mAP@10"}) is task.has_exact_answers


def test_the_original_css_says_what_its_published_numbers_count(tmp_path: Path) -> None:
    outcomes = make_outcomes(seed=0)
    save_record(make_record(outcomes, protocol="css-original"), outcomes, tmp_path / "records")
    write_leaderboards(tmp_path / "records", tmp_path)
    page = (tmp_path / "css-original.md").read_text()
    assert "relevant if applying the text to the source can give its scene" in page
    assert "It counts as **Drawn** does." in page
    assert "ceiling of Drawn" in page
    write_site(tmp_path / "records", tmp_path)
    for name in ("board/css-original.html", "composer/css-original/tirg.html"):
        assert "ceiling of Drawn" in (tmp_path / "site" / name).read_text()
