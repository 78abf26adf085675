"""The queries that a record keeps for people to look at."""

import numpy as np
import pytest

from benchmark.records.examples import examples_of
from tests.benchmark.made_up import GALLERY, make_outcomes


@pytest.mark.parametrize("hit_rate", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("queries", [1, 5, 24, 240])
def test_examples_are_a_sample_the_worst_and_some_of_the_right_ones(hit_rate: float, queries: int) -> None:
    outcomes = make_outcomes(hit_rate=hit_rate, queries=queries, sources=5, seed=3)
    top = np.random.default_rng(0).integers(-1, GALLERY, (queries, 8))
    examples = examples_of(outcomes, top)
    rows = [example.query for example in examples]
    assert len(rows) == len(set(rows)) >= min(queries, 12)
    chosen = {why: [each.query for each in examples if each.why == why] for why in ("sample", "worst", "best")}
    assert chosen["sample"] == sorted({number * queries // min(queries, 12) for number in range(min(queries, 12))})
    assert all(outcomes.ranks[row] == 1 for row in chosen["best"])
    left = [row for row in range(queries) if row not in chosen["sample"] + chosen["best"]]
    missed = max((outcomes.ranks[row] for row in left if row not in chosen["worst"]), default=0)
    assert all(outcomes.ranks[row] >= missed for row in chosen["worst"])
    for example in examples:
        assert list(example.top) == [image for image in top[example.query] if image >= 0]


def test_the_sample_is_the_same_for_every_composer() -> None:
    top = np.zeros((240, 8), dtype=np.int64)
    samples = [
        [each.query for each in examples_of(make_outcomes(hit_rate=rate, seed=seed), top) if each.why == "sample"]
        for seed, rate in enumerate((0.1, 0.9))
    ]
    assert samples[0] == samples[1]
