"""The loss against the paper's equation, written with loops."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from benchmark.recipe.schema import TrainingRecipe
from benchmark.training.losses.sample_similarity import (
    batch_softmax_loss,
    recipe_loss,
    sample_similarity_loss,
    soft_triplet_loss,
)
from tests.benchmark.references import expected_loss, group_loss


def embeddings(batch: int, *, seed: int = 0, scale: float = 2.0, width: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    query, target = torch.randn(2, batch, width, generator=generator)
    return scale * torch.nn.functional.normalize(query), scale * torch.nn.functional.normalize(target)


def pairs(mask: Tensor) -> set[tuple[int, int]]:
    return {(i, j) for i, j in mask.nonzero().tolist() if i != j}


def untouchable() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@given(batch=st.integers(2, 7), seed=st.integers(0, 2**31), scale=st.floats(0.1, 4), masked=st.booleans())
def test_exact_forms_equal_the_paper(batch: int, seed: int, scale: float, masked: bool) -> None:
    query, target = embeddings(batch, seed=seed, scale=scale)
    mask = torch.rand(batch, batch, generator=torch.Generator().manual_seed(seed)) < (0.4 if masked else 0)
    excluded = pairs(mask)
    triplets = expected_loss(query.tolist(), target.tolist(), 2, excluded)
    softmax = expected_loss(query.tolist(), target.tolist(), batch, excluded)
    given_mask = mask if masked else None
    torch.testing.assert_close(soft_triplet_loss(query, target, positive_mask=given_mask), torch.tensor(triplets))
    torch.testing.assert_close(batch_softmax_loss(query, target, positive_mask=given_mask), torch.tensor(softmax))
    for group_size, repeats, expected in ((2, batch - 1, triplets), (batch, 1, softmax)):
        generator = untouchable()
        loss = sample_similarity_loss(
            query, target, group_size=group_size, repeats=repeats, generator=generator, positive_mask=given_mask
        )
        torch.testing.assert_close(loss, torch.tensor(expected))
        assert torch.equal(generator.get_state(), untouchable().get_state())


@given(batch=st.integers(2, 5), further=st.integers(1, 6), seed=st.integers(0, 2**31))
def test_further_targets_are_negatives_of_every_query(batch: int, further: int, seed: int) -> None:
    """The equation for each query alone: its positive, and all other targets but those that answer it."""
    query, _ = embeddings(batch, seed=seed)
    target, _ = embeddings(batch + further, seed=seed + 1)
    mask = torch.rand(batch, batch + further, generator=torch.Generator().manual_seed(seed)) < 0.4
    losses = []
    for i in range(batch):
        negatives = [target[j].tolist() for j in range(batch + further) if j != i and not mask[i, j]]
        losses.append(group_loss(query[i].tolist(), target[i].tolist(), negatives))
    loss = batch_softmax_loss(query, target, positive_mask=mask)
    torch.testing.assert_close(loss, torch.tensor(math.fsum(losses) / batch))


@pytest.mark.parametrize(("group_size", "repeats"), [("batch", 1), (2, "all")])
def test_the_symmetric_loss_is_the_mean_of_both_directions(group_size: int | str, repeats: int | str) -> None:
    """A pair is no negative in either direction; targets of earlier steps are negatives in the first one alone."""
    batch = 5
    query, target = embeddings(batch, seed=4)
    mask = torch.zeros(batch, batch, dtype=torch.bool)
    mask[0, 3] = mask[4, 1] = True
    config = TrainingRecipe(sources=batch, modifications=1, symmetric=True, group_size=group_size, repeats=repeats)
    size = config.group
    there = expected_loss(query.tolist(), target.tolist(), size, {(0, 3), (4, 1)})
    back = expected_loss(target.tolist(), query.tolist(), size, {(3, 0), (1, 4)})
    loss = recipe_loss(query, target, positive_mask=mask, generator=untouchable(), config=config)
    torch.testing.assert_close(loss, torch.tensor((there + back) / 2))
    if group_size == "batch":
        further, _ = embeddings(3, seed=5)
        joined, wider = torch.cat([target, further]), torch.cat([mask, torch.zeros(batch, 3, dtype=torch.bool)], dim=1)
        loss = recipe_loss(query, joined, positive_mask=wider, generator=untouchable(), config=config)
        one_way = batch_softmax_loss(query, joined, positive_mask=wider)
        torch.testing.assert_close(loss, (one_way + back) / 2)


def test_only_a_group_of_the_whole_batch_has_further_targets() -> None:
    query, target = embeddings(4)
    further = torch.cat([target, target])
    for sizes in ({"group_size": 2, "repeats": 3}, {"group_size": 3, "repeats": 1}):
        with pytest.raises(ValueError, match="only a group of the whole batch has further negatives"):
            sample_similarity_loss(query, further, **sizes, generator=untouchable())


@pytest.mark.parametrize(("group_size", "repeats"), [(2, 1), (2, 3), (3, 1), (3, 4), (4, 10), (5, 2)])
@pytest.mark.parametrize("masked", [False, True])
def test_sampled_form_is_the_paper_on_average(group_size: int, repeats: int, masked: bool) -> None:
    batch = 6
    query, target = embeddings(batch, seed=3)
    mask = torch.zeros(batch, batch, dtype=torch.bool)
    if masked:
        mask[0, 1] = mask[1, 0] = mask[4, 2] = True
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack(
        [
            sample_similarity_loss(
                query, target, group_size=group_size, repeats=repeats, generator=generator, positive_mask=mask
            )
            for _ in range(800)
        ]
    )
    error = float(drawn.std()) / math.sqrt(len(drawn))
    expected = expected_loss(query.tolist(), target.tolist(), group_size, pairs(mask))
    assert abs(float(drawn.mean()) - expected) < 4 * error
    assert error < 0.02


@given(batch=st.integers(3, 9), data=st.data())
def test_each_group_has_its_size_and_every_negative_its_turn(batch: int, data: st.DataObject) -> None:
    """With one-hot queries the gradient of target j's entry i says whether j is in a group of anchor i."""
    group_size = data.draw(st.integers(2, batch))
    repeats = data.draw(st.integers(1, (batch - 1) // (group_size - 1)))
    seed = data.draw(st.integers(0, 2**31))
    target = torch.zeros(batch, batch, requires_grad=True)
    generator = torch.Generator().manual_seed(seed)
    loss = sample_similarity_loss(torch.eye(batch), target, group_size=group_size, repeats=repeats, generator=generator)
    (gradient,) = torch.autograd.grad(loss, target)
    used = (gradient.T != 0) & ~torch.eye(batch, dtype=torch.bool)
    assert (used.sum(1) == repeats * (group_size - 1)).all(), "groups cut from one shuffle do not overlap"
    assert (gradient.diagonal() < 0).all()
    torch.testing.assert_close(gradient.sum(0), torch.zeros(batch), msg="each group's gradients cancel")


def test_a_draw_is_decided_by_its_generator() -> None:
    query, target = embeddings(8)

    def loss(seed: int) -> float:
        generator = torch.Generator().manual_seed(seed)
        return float(sample_similarity_loss(query, target, group_size=3, repeats=2, generator=generator))

    assert loss(0) == loss(0)
    assert len({loss(seed) for seed in range(5)}) == 5


def test_large_kernels_neither_overflow_nor_lose_gradients() -> None:
    query, target = embeddings(6, scale=100.0)
    query.requires_grad_()
    for loss in (
        soft_triplet_loss(query, target),
        batch_softmax_loss(query, target),
        sample_similarity_loss(query, target, group_size=3, repeats=2, generator=untouchable()),
    ):
        (gradient,) = torch.autograd.grad(loss, query)
        assert loss.isfinite()
        assert gradient.isfinite().all()
        assert (gradient != 0).any()


def test_a_batch_of_one_meaning_has_no_loss_and_no_gradient() -> None:
    query, target = embeddings(4)
    query.requires_grad_()
    everything = torch.ones(4, 4, dtype=torch.bool)
    for loss in (
        soft_triplet_loss(query, target, positive_mask=everything),
        batch_softmax_loss(query, target, positive_mask=everything),
        sample_similarity_loss(
            query, target, group_size=3, repeats=1, generator=untouchable(), positive_mask=everything
        ),
    ):
        assert float(loss.detach()) == 0.0
        (gradient,) = torch.autograd.grad(loss, query)
        assert torch.equal(gradient, torch.zeros_like(query))


def test_autocast_does_not_reach_the_loss() -> None:
    query, target = embeddings(16, width=64)
    expected = batch_softmax_loss(query, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(batch_softmax_loss(query, target), expected)
    assert batch_softmax_loss(query.bfloat16(), target.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize(
    ("group_size", "repeats", "message"),
    [
        (1, 1, "group_size must be from 2 to the batch size of 4, got 1"),
        (5, 1, "group_size must be from 2 to the batch size of 4, got 5"),
        (2, 0, "repeats must be from 1 to 3"),
        (2, 4, "repeats must be from 1 to 3"),
        (4, 2, "repeats must be from 1 to 1"),
    ],
)
def test_impossible_groups_are_refused(group_size: int, repeats: int, message: str) -> None:
    query, target = embeddings(4)
    with pytest.raises(ValueError, match=message):
        sample_similarity_loss(query, target, group_size=group_size, repeats=repeats, generator=untouchable())


def test_unfit_shapes_are_refused() -> None:
    query, target = embeddings(4)
    with pytest.raises(ValueError, match=r"must both be \(B, D\), got \(4, 5\) and \(3, 5\)"):
        batch_softmax_loss(query, target[:3])
    with pytest.raises(ValueError, match="a batch of 1 has no negatives"):
        soft_triplet_loss(query[:1], target[:1])
    with pytest.raises(ValueError, match=r"positive_mask must be bool \(4, 4\), got torch.float32 \(4, 4\)"):
        soft_triplet_loss(query, target, positive_mask=torch.ones(4, 4))
