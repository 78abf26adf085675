from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.training.samplers import Batch, PairSampler

SOURCES = st.lists(st.integers(0, 6), min_size=8, max_size=60)


def sampler(sources: list[int], *, groups: int = 2, modifications: int = 3, seed: int = 0) -> PairSampler:
    """Query q has text 100 + q and target 1000 + q, so that a batch says which queries it holds."""
    rows = np.arange(len(sources))
    return PairSampler(
        np.array(sources), 100 + rows, 1000 + rows, groups=groups, modifications=modifications, seed=seed
    )


def queries_of(batch: Batch) -> list[int]:
    assert (batch.texts - 100 == batch.targets - 1000).all()
    return [int(text) - 100 for text in batch.texts]


@given(SOURCES, st.integers(0, 3), st.integers(0, 40))
def test_a_batch_holds_groups_of_one_source_each(sources: list[int], seed: int, step: int) -> None:
    batch = sampler(sources, seed=seed).batch(step)
    assert batch.group.tolist() == [0, 0, 0, 1, 1, 1]
    for query, group in zip(queries_of(batch), batch.group, strict=True):
        assert sources[query] == batch.sources[group]


@given(SOURCES, st.integers(0, 40))
def test_a_group_repeats_a_query_only_if_its_source_has_too_few(sources: list[int], step: int) -> None:
    batch = sampler(sources).batch(step)
    count = Counter(sources)
    for group in (queries_of(batch)[:3], queries_of(batch)[3:]):
        assert len(set(group)) == min(3, count[sources[group[0]]])


@given(SOURCES, st.integers(0, 2))
def test_an_epoch_of_whole_batches_shows_every_query(sources: list[int], epoch: int) -> None:
    groups = sum(-(-count // 3) for count in Counter(sources).values())
    whole = sampler(sources, groups=groups)
    assert set(queries_of(whole.batch(epoch))) == set(range(len(sources)))


@given(SOURCES, st.integers(0, 40))
def test_a_batch_depends_on_seed_and_step_alone(sources: list[int], step: int) -> None:
    one, other = sampler(sources, seed=5), sampler(sources, seed=5)
    for before in range(3):
        other.batch(before)
    assert queries_of(one.batch(step)) == queries_of(other.batch(step))


def test_seeds_and_epochs_have_orders_of_their_own() -> None:
    sources = [number % 7 for number in range(70)]
    first = [queries_of(sampler(sources, seed=seed).batch(step)) for seed in (0, 1) for step in (0, 14)]
    assert len({tuple(batch) for batch in first}) == 4


def test_too_few_queries_for_a_batch_name_the_option() -> None:
    with pytest.raises(ValueError, match=r"needs 5 groups of 3 .* give 2: lower training\.sources"):
        sampler([0, 0, 0, 1], groups=5)
