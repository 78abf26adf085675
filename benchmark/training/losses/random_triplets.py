"""The soft triplet loss of TIRG's released code (google/tirg): three random triplets for each embedding of a batch.

    L = 1 / (2 T) * sum over triplets (a, p, n) of log(1 + exp(|a - p|^2 - |a - n|^2))

Each of the 2 B rows, composed queries and targets alike, is an anchor a. Its positive p is the other row of its pair,
and n is drawn from the rows of all other pairs, so targets are anchors, too, and composed queries are negatives, too.
The three negatives of an anchor differ; in a batch of two pairs an anchor has only two. In the paper's own equation,
which is `sample_similarity`, anchors are queries and negatives are targets.

The factor 1 / 2: the released code differentiates its loss by hand and omits the 2 in the derivative of a squared
distance, so its steps follow half the gradient of the loss that it logs. This loss is that half, so that the released
learning rate takes the released steps.

Departures from the released code: if the target of one pair answers the query of another, the rows of the two pairs are
not negatives of each other (`positive_mask`); there, pairs of a batch always count as different. The logarithm is
computed so that no distance overflows it.
"""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from benchmark.recipe.schema import TrainingRecipe
from benchmark.training.losses.registry import register

TRIPLETS: Final = 3
"""Triplets of each anchor, or fewer if the batch has fewer negatives."""


@register("random_triplets")
def recipe_loss(
    query: Tensor,
    target: Tensor,
    *,
    positive_mask: Tensor,
    generator: torch.Generator | None = None,
    config: TrainingRecipe,
) -> Tensor:
    """The loss above, which reads no other key of the recipe; see `registry.Loss`."""
    del config
    return random_triplet_loss(query, target, generator=generator, positive_mask=positive_mask)


def random_triplet_loss(
    query: Tensor,
    target: Tensor,
    *,
    generator: torch.Generator | None = None,
    positive_mask: Tensor | None = None,
) -> Tensor:
    """Half the mean of log(1 + exp(|a - p|^2 - |a - n|^2)) over up to three random triplets of each row.

    Args:
        query: composed queries, (B, D).
        target: their targets, (B, D); row i belongs to query i.
        generator: draws the negatives, on its own device; None for torch's default one on the batch's device.
        positive_mask: bool (B, B), true where target j is relevant to query i. Rows of pairs i and j are then no
            negatives of each other; an anchor with fewer than three negatives left has fewer triplets. None is the
            released code's loss.

    Returns:
        The loss, a float32 scalar; 0 if no row has a negative.

    Raises:
        ValueError: shapes do not fit.
    """
    if query.ndim != 2 or query.shape != target.shape:
        raise ValueError(f"query and target must both be (B, D), got {tuple(query.shape)} and {tuple(target.shape)}")
    batch = len(query)
    if batch < 2:
        raise ValueError(f"a batch of {batch} has no negatives: the loss needs at least 2 queries")
    negatives, is_negative = _draw_negatives(_other_pairs(batch, positive_mask, query.device), generator)
    anchor = torch.cat([query, target]).float()
    positive = torch.cat([target, query]).float()
    negative = anchor.index_select(0, negatives.flatten()).view(*negatives.shape, -1)
    to_positive = (anchor - positive).square().sum(1, keepdim=True)
    to_negative = (anchor[:, None] - negative).square().sum(2)
    triplets = functional.softplus(to_positive - to_negative).where(is_negative, 0.0)
    return triplets.sum() / (2 * is_negative.sum().clamp_min(1))


def _other_pairs(batch: int, positive_mask: Tensor | None, device: torch.device) -> Tensor:
    """bool (2 B, 2 B), true where the second row may be a negative of the first."""
    is_same = torch.eye(batch, dtype=torch.bool, device=device)
    if positive_mask is not None:
        if positive_mask.shape != (batch, batch) or positive_mask.dtype != torch.bool:
            raise ValueError(
                f"positive_mask must be bool ({batch}, {batch}), got {positive_mask.dtype} {tuple(positive_mask.shape)}"
            )
        is_same = is_same | positive_mask | positive_mask.T
    return ~is_same.repeat(2, 2)


def _draw_negatives(candidates: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Draw `TRIPLETS` of each row's candidates without replacement.

    Args:
        candidates: bool (2 B, 2 B), true where a column is a candidate of a row.

    Returns:
        Their columns (2 B, up to 3), and bool of that shape, false where a row has too few candidates.
    """
    rows = len(candidates)
    device = candidates.device if generator is None else generator.device
    keys = torch.rand(rows, rows, generator=generator, device=device).to(candidates.device)
    drawn = keys.masked_fill(~candidates, -1.0).topk(min(TRIPLETS, rows - 2), dim=1)
    return drawn.indices, drawn.values >= 0
