"""Whether two Recalls differ by more than sampling explains: the error against a slow definition, and false alarms."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmark.scoring import fresh
from benchmark.scoring.fresh import LEVEL, FreshScore, Sampled, differs, fresh_score, sampled_recall
from benchmark.scoring.recall import KS, Outcomes
from tests.benchmark.made_up import answered

PRINT = "f" * 64


def outcomes_of(hits: np.ndarray, sources: np.ndarray) -> Outcomes:
    count = len(hits)
    return answered(
        ranks=np.where(hits, 1, 2), relevant=np.ones(count, dtype=np.int64), candidates=np.full(count, 99),
        top1=np.zeros(count, dtype=np.int64), sources=sources,
    )  # fmt: skip


def slow_error(hits: list[float], sources: list[int]) -> float:
    """Sum the products of deviations over every pair of queries in one cluster, kind of cluster by kind."""
    count, mean = len(hits), sum(hits) / len(hits)
    clusters = {"source": sources, "modification": [row // 3 for row in range(count)], "query": list(range(count))}
    found = {}
    for kind, cluster in clusters.items():
        total, groups = 0.0, len({*cluster})
        for a, b in product(range(count), repeat=2):
            if cluster[a] == cluster[b]:
                total += (hits[a] - mean) * (hits[b] - mean)
        found[kind] = total / count**2 * groups / (groups - 1) if groups > 1 else 0.0
    both = found["source"] + found["modification"] - found["query"]
    return 100 * max(both, found["source"], found["modification"]) ** 0.5


@given(
    rows=st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(-2, 3)), min_size=1, max_size=25),
)
def test_the_error_is_that_of_the_definition(rows: list[tuple[bool, bool, int]]) -> None:
    first, second, sources = (np.array(column) for column in zip(*rows, strict=True))
    found = sampled_recall([outcomes_of(first, sources), outcomes_of(second, sources)])
    hits = [(a + b) / 2 for a, b, _ in rows]
    assert found.recall == pytest.approx(100 * sum(hits) / len(hits))
    assert found.error == pytest.approx(slow_error(hits, sources.tolist()), abs=1e-9)
    assert found.freedom == len({*sources.tolist()}) - 1


def honest_pairs(count: int, *, share: float, seed: int) -> Iterator[tuple[Outcomes, Outcomes]]:
    """One model on two test sets: some sources, some modifications are easier than others."""
    rng = np.random.default_rng(seed)
    queries, scenes = 540, 45

    def test_set() -> Outcomes:
        sources = rng.permutation(np.arange(queries) % scenes)
        ease = rng.normal(size=scenes)[sources] + np.repeat(rng.normal(size=queries // 3), 3) + rng.normal(size=queries)
        return outcomes_of(ease < np.sqrt(3) * fresh.stats.norm.ppf(share), sources)

    for _ in range(count):
        yield test_set(), test_set()


@pytest.mark.parametrize("share", [0.03, 0.5, 0.9])
def test_honest_models_are_marked_no_more_often_than_the_level_says(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [(sampled_recall([own]), sampled_recall([other])) for own, other in honest_pairs(1200, share=share, seed=1)]
    found = {}
    for level in (LEVEL, 0.05):
        monkeypatch.setattr(fresh, "LEVEL", level)
        found[level] = sum(differs(own, other) for own, other in pairs)
    # Of 1200, 1.2 and 60 are expected; more than 6 or 90 would come less than once in a thousand.
    assert found[LEVEL] <= 6
    assert 25 <= found[0.05] <= 90


def test_the_error_is_the_spread_over_test_sets() -> None:
    pairs = list(honest_pairs(60, share=0.5, seed=2))
    errors = np.array([sampled_recall([own]).error for own, _ in pairs])
    spread = np.std([100 * (own.ranks <= 1).mean() for pair in pairs for own in pair], ddof=1)
    assert np.median(errors) == pytest.approx(spread, rel=0.25)


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [
        (Sampled(100.0, 0.0, 9), Sampled(0.5, 0.3, 9), True),
        (Sampled(0.5, 0.3, 9), Sampled(100.0, 0.0, 9), True),
        (Sampled(12.0, 1.0, 500), Sampled(11.0, 1.0, 500), False),
        (Sampled(21.1, 1.0, 50), Sampled(15.1, 1.0, 50), True),
        (Sampled(100.0, 0.0, 9), Sampled(100.0, 0.0, 9), False),
        (Sampled(100.0, 0.0, 9), Sampled(0.0, 0.0, 9), True),
        (Sampled(100.0, 0.0, 0), Sampled(0.0, 1.0, 9), False),
        (Sampled(60.0, 5.0, 2), Sampled(20.0, 5.0, 2), False),
    ],
)
def test_differences_that_sampling_explains_or_not(own: Sampled, other: Sampled, expected: bool) -> None:
    assert differs(own, other) is expected


def test_a_score_survives_its_json() -> None:
    hits = np.arange(60) % 4 == 0
    score = fresh_score(outcomes_of(hits, np.arange(60) % 7), seed=2**48 - 1, fingerprint=PRINT)
    assert FreshScore.model_validate_json(score.model_dump_json()) == score
    assert (score.queries, score.sources, score.recall[1], score.recall[5]) == (60, 7, 25.0, 100.0)
    assert score.sampled == sampled_recall([outcomes_of(hits, np.arange(60) % 7)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recall": {1: 25.0, 5: 20.0, 10: 100.0, 50: 100.0}}, "recall falls as K grows"),
        ({"recall": {1: 25.1, 5: 100.0, 10: 100.0, 50: 100.0}}, "recall is not a share of 60 queries"),
        ({"recall": {1: 25.0, 5: 100.0, 10: 100.0}}, "recall is not that of K = 1, 5, 10, 50"),
        ({"drawn_recall": {1: 50.0, 5: 100.0, 10: 100.0, 50: 100.0}}, "drawn_recall is above recall"),
        ({"sources": 61}, "61 source scenes of 60 queries"),
        ({"error": float("nan")}, "finite"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"fingerprint": "0123"}, "pattern"),
    ],
)
def test_a_score_that_contradicts_itself_is_refused(change: dict[str, object], message: str) -> None:
    score = fresh_score(outcomes_of(np.arange(60) % 4 == 0, np.arange(60) % 7), seed=1, fingerprint=PRINT)
    assert tuple(score.recall) == KS
    with pytest.raises(ValidationError, match=message):
        FreshScore(**{**score.model_dump(), **change})
