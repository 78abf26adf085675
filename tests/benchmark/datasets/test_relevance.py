"""Sparse rows against plain sets."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.datasets.relevance import Relevance, RelevanceLookup

SETS = st.lists(st.sets(st.integers(0, 9), max_size=6), max_size=8)


@given(answers=SETS, data=st.data())
def test_rows_are_the_sets(answers: list[set[int]], data: st.DataObject) -> None:
    relevance = Relevance.of_sets(answers)
    assert len(relevance) == len(answers)
    assert [set(relevance.row(query).tolist()) for query in range(len(answers))] == answers
    assert relevance.counts.tolist() == [len(labels) for labels in answers]
    if answers:
        chosen = data.draw(st.lists(st.integers(0, len(answers) - 1), max_size=12))
        some = relevance.rows(np.array(chosen, dtype=np.int64))
        assert [set(some.row(place).tolist()) for place in range(len(chosen))] == [answers[query] for query in chosen]


@given(answers=SETS.filter(bool), labels=st.lists(st.integers(-2, 12), max_size=12), data=st.data())
def test_the_lookup_answers_what_the_sets_hold(answers: list[set[int]], labels: list[int], data: st.DataObject) -> None:
    queries = data.draw(st.lists(st.integers(0, len(answers) - 1), max_size=8))
    lookup = RelevanceLookup(Relevance.of_sets(answers), torch.device("cpu"))
    found = lookup(torch.tensor(queries, dtype=torch.int64), torch.tensor(labels, dtype=torch.int64))
    assert found.tolist() == [[label in answers[query] for label in labels] for query in queries]


def test_a_pair_that_was_drawn_on_the_fly_has_no_answers_here() -> None:
    lookup = RelevanceLookup(Relevance.of_sets([{0, 1}, {4}]), torch.device("cpu"))
    assert not lookup(torch.tensor([-1]), torch.arange(8)).any()


def test_memory_grows_with_the_answers_alone() -> None:
    """A hundred times the queries and the labels, two answers each: a hundred times the bytes, not ten thousand."""

    def size(count: int) -> int:
        relevance = Relevance.of_sets([{query, (query + 1) % count} for query in range(count)])
        lookup = RelevanceLookup(relevance, torch.device("cpu"))
        return relevance.indptr.nbytes + relevance.labels.nbytes + lookup._keys.nbytes

    assert size(10_000) < 101 * size(100)


def test_of_targets_has_one_answer_each() -> None:
    relevance = Relevance.of_targets(np.array([4, 0, 4]))
    assert [relevance.row(query).tolist() for query in range(3)] == [[4], [0], [4]]


@pytest.mark.parametrize(
    ("indptr", "labels", "message"),
    [
        ([], [], "indptr must start at 0"),
        ([1, 2], [0, 1], "indptr must start at 0"),
        ([0, 2, 1], [0], "never descend"),
        ([0, 2], [0], r"labels has shape \(1,\), and indptr ends at 2"),
        ([0, 2], [1, 1], "ascending and distinct"),
        ([0, 2], [2, 1], "ascending and distinct"),
        ([0, 0, 1], [-1], "0 or more"),
    ],
)
def test_rows_that_are_none_are_refused(indptr: list[int], labels: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Relevance(np.array(indptr, dtype=np.int64), np.array(labels, dtype=np.int64))
