"""The released code's triplets and their loss, listed and summed with loops, its gradient written out by hand."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from benchmark.recipe.presets import preset
from benchmark.recipe.schema import TrainingRecipe
from benchmark.training import losses
from benchmark.training.losses.random_triplets import _draw_negatives, _other_pairs, random_triplet_loss
from tests.benchmark.training.test_losses import embeddings

Triplet = tuple[int, int, int]


def seeded(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_mask(batch: int, *, share: float, seed: int) -> Tensor:
    return torch.eye(batch, dtype=torch.bool) | (torch.rand(batch, batch, generator=seeded(seed)) < share)


def triplets_of(batch: int, mask: Tensor | None = None) -> dict[int, list[Triplet]]:
    """All triplets of each row: labels are numbers of pairs, and rows of one label are of one pair."""
    labels = [*range(batch), *range(batch)]

    def are_other(one: int, other: int) -> bool:
        is_masked = mask is not None and (bool(mask[one, other]) or bool(mask[other, one]))
        return one != other and not is_masked

    rows = range(2 * batch)
    return {
        anchor: [
            (anchor, positive, negative)
            for positive in rows
            if positive != anchor and labels[positive] == labels[anchor]
            for negative in rows
            if are_other(labels[anchor], labels[negative])
        ]
        for anchor in rows
    }


def drawn_triplets(batch: int, mask: Tensor | None, seed: int) -> list[Triplet]:
    negatives, is_negative = _draw_negatives(_other_pairs(batch, mask, torch.device("cpu")), seeded(seed))
    return [
        (anchor, (anchor + batch) % (2 * batch), negative)
        for anchor in range(2 * batch)
        for negative, counts in zip(negatives[anchor].tolist(), is_negative[anchor].tolist(), strict=True)
        if counts
    ]


def squared_distance(one: list[float], other: list[float]) -> float:
    return math.fsum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def gap(rows: list[list[float]], triplet: Triplet) -> float:
    anchor, positive, negative = (rows[row] for row in triplet)
    return squared_distance(anchor, positive) - squared_distance(anchor, negative)


def logged_loss(rows: list[list[float]], triplets: list[Triplet]) -> float:
    """What the released code logs."""
    return math.fsum(math.log1p(math.exp(gap(rows, each))) for each in triplets) / len(triplets)


def released_gradient(rows: list[list[float]], triplets: list[Triplet]) -> list[list[float]]:
    """What the released code hands back: differences without the factor 2 that squares have."""
    found = [[0.0] * len(row) for row in rows]
    for anchor, positive, negative in triplets:
        share = 1 / (1 + math.exp(-gap(rows, (anchor, positive, negative)))) / len(triplets)
        for place in range(len(rows[0])):
            a, p, n = (rows[row][place] for row in (anchor, positive, negative))
            found[anchor][place] += share * ((a - p) - (a - n))
            found[positive][place] += share * (p - a)
            found[negative][place] -= share * (n - a)
    return found


@given(batch=st.integers(2, 9), seed=st.integers(0, 2**31), scale=st.floats(0.1, 4), masked=st.booleans())
def test_its_gradient_is_the_released_one_and_its_value_half_the_logged(
    batch: int, seed: int, scale: float, masked: bool
) -> None:
    query, target = embeddings(batch, seed=seed, scale=scale)
    mask = some_mask(batch, share=0.3, seed=seed) if masked else None
    triplets = drawn_triplets(batch, mask, seed)
    rows = torch.cat([query, target]).tolist()
    query.requires_grad_()
    target.requires_grad_()
    loss = random_triplet_loss(query, target, generator=seeded(seed), positive_mask=mask)
    gradients = torch.cat(torch.autograd.grad(loss, (query, target)))
    expected = released_gradient(rows, triplets) if triplets else torch.zeros_like(gradients).tolist()
    torch.testing.assert_close(loss.detach(), torch.tensor(logged_loss(rows, triplets) / 2 if triplets else 0.0))
    torch.testing.assert_close(gradients, torch.tensor(expected), atol=1e-5, rtol=1e-4)


@given(batch=st.integers(2, 12), seed=st.integers(0, 2**31), share=st.floats(0, 1))
def test_each_row_gets_three_different_triplets_of_its_own_or_all_that_it_has(
    batch: int, seed: int, share: float
) -> None:
    mask = some_mask(batch, share=share, seed=seed)
    drawn = drawn_triplets(batch, mask, seed)
    assert len(set(drawn)) == len(drawn)
    for anchor, possible in triplets_of(batch, mask).items():
        own = {each for each in drawn if each[0] == anchor}
        assert own <= set(possible)
        assert len(own) == min(3, len(possible))


def test_every_negative_is_drawn_as_often_as_any_other() -> None:
    batch, draws = 4, 2000
    counts = Counter(triplet for seed in range(draws) for triplet in drawn_triplets(batch, None, seed))
    possible = [each for own in triplets_of(batch).values() for each in own]
    assert counts.keys() == set(possible)
    expected, deviation = draws / 2, math.sqrt(draws / 4)  # three of six negatives
    assert max(abs(count - expected) for count in counts.values()) < 5 * deviation


def test_two_pairs_have_two_negatives_an_anchor_and_nothing_to_draw() -> None:
    query, target = embeddings(2)
    rows = torch.cat([query, target]).tolist()
    everything = [each for own in triplets_of(2).values() for each in own]
    assert len(everything) == 8
    for seed in range(5):
        loss = random_triplet_loss(query, target, generator=seeded(seed))
        torch.testing.assert_close(loss, torch.tensor(logged_loss(rows, everything) / 2))


def test_a_draw_is_decided_by_its_generator() -> None:
    query, target = embeddings(8)
    found = [float(random_triplet_loss(query, target, generator=seeded(seed))) for seed in (0, 0, 1, 2, 3)]
    assert found[0] == found[1]
    assert len(set(found)) == 4


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e3, 1e15])
def test_extreme_embeddings_neither_overflow_nor_lose_gradients(scale: float) -> None:
    query, target = embeddings(5, scale=scale)
    target[1] = query[0]
    query.requires_grad_()
    loss = random_triplet_loss(query, target, generator=seeded())
    (gradient,) = torch.autograd.grad(loss, query)
    assert loss.isfinite()
    assert gradient.isfinite().all()
    assert (gradient != 0).any() == (scale > 0)


def test_equal_rows_have_the_loss_of_a_coin_toss() -> None:
    query = torch.ones(4, 3, requires_grad=True)
    loss = random_triplet_loss(query, query, generator=seeded())
    assert float(loss.detach()) == pytest.approx(math.log(2) / 2)
    (gradient,) = torch.autograd.grad(loss, query)
    torch.testing.assert_close(gradient, torch.zeros_like(query))


def test_a_batch_of_one_meaning_has_no_loss_and_no_gradient() -> None:
    query, target = embeddings(4)
    query.requires_grad_()
    everything = torch.ones(4, 4, dtype=torch.bool)
    loss = random_triplet_loss(query, target, generator=seeded(), positive_mask=everything)
    (gradient,) = torch.autograd.grad(loss, query)
    assert float(loss.detach()) == 0.0
    assert torch.equal(gradient, torch.zeros_like(query))


def test_autocast_does_not_reach_the_loss() -> None:
    query, target = embeddings(16, width=64)
    expected = random_triplet_loss(query, target, generator=seeded())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(random_triplet_loss(query, target, generator=seeded()), expected)
    assert random_triplet_loss(query.bfloat16(), target.bfloat16(), generator=seeded()).dtype == torch.float32


def test_the_preset_paper_trains_with_it() -> None:
    query, target = embeddings(8)
    mask = some_mask(8, share=0.2, seed=1)
    config: TrainingRecipe = preset("paper").training
    found = losses.batch_loss(query, target, positive_mask=mask, generator=seeded(), config=config)
    assert torch.equal(found, random_triplet_loss(query, target, generator=seeded(), positive_mask=mask))


def test_unfit_shapes_are_refused() -> None:
    query, target = embeddings(4)
    with pytest.raises(ValueError, match=r"must both be \(B, D\), got \(4, 5\) and \(3, 5\)"):
        random_triplet_loss(query, target[:3], generator=seeded())
    with pytest.raises(ValueError, match="a batch of 1 has no negatives"):
        random_triplet_loss(query[:1], target[:1], generator=seeded())
    with pytest.raises(ValueError, match=r"positive_mask must be bool \(4, 4\), got torch.float32 \(4, 4\)"):
        random_triplet_loss(query, target, generator=seeded(), positive_mask=torch.ones(4, 4))
