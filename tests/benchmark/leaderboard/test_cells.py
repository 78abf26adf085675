"""What the cells of tables show."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.leaderboard.cells import macro_recall, reached
from benchmark.leaderboard.levels import CHANCE

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
    ("value", "text"), [(0.0, "0"), (0.0123, "0.012"), (1.26, "1.3"), (9.94, "9.9"), (42.43, "42.4"), (100.0, "100.0")]
)
def test_a_level_has_two_digits_or_more_and_no_exponent(value: float, text: str) -> None:
    assert reached(CHANCE, SimpleNamespace(scores={"chance@10": value}), 10) == text  # type: ignore[arg-type]
