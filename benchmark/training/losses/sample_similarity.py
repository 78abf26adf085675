"""The loss of TIRG (Vo et al., CVPR 2019, section 3.3) for any size and number of negative groups.

    L = 1 / (M B) * sum_i sum_m -log( exp k(q_i, t_i) / sum over t_j in N_im of exp k(q_i, t_j) )

N_im holds the positive t_i and K - 1 negatives, which are targets of other queries of the batch. The kernel k is the
dot product of embeddings that are L2-normalised and scaled.

The paper uses two cases: K = 2 with M = B - 1, its soft triplet loss, where each query meets every other target once;
and K = B with M = 1, the softmax over the batch. `training.group_size=2` alone is neither: with the default
`training.repeats=1` each query meets one random other target. The paper's loss is `training.group_size=2` together
with `training.repeats=all`.

Departures from the released code: its soft triplet loss compares squared distances of 3 random triplets an anchor. On
embeddings of one length that is the same kernel up to a constant and a factor of 2, which the scale absorbs. There,
targets are anchors, too, and composed queries are negatives, too; here, as in the paper's equation, anchors are queries
and negatives are targets. `random_triplets` is the released code's loss.

`training.memory` adds targets of earlier steps to a group that is the whole batch.
"""

from math import comb

import torch
from torch import Tensor
from torch.nn import functional

from benchmark.recipe.schema import TrainingRecipe
from benchmark.training.losses.registry import register


@register("sample_similarity")
def recipe_loss(
    query: Tensor,
    target: Tensor,
    *,
    positive_mask: Tensor,
    config: TrainingRecipe,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The loss for the recipe's K (`training.group_size`) and M (`training.repeats`); see `registry.Loss`.

    With `training.symmetric` it is the mean of two: queries among targets, and the batch's targets among its queries.
    """

    def one_way(anchors: Tensor, others: Tensor, mask: Tensor) -> Tensor:
        return sample_similarity_loss(
            anchors,
            others,
            group_size=config.group,
            repeats=config.groups,
            generator=generator,
            positive_mask=mask,
        )

    loss = one_way(query, target, positive_mask)
    if not config.symmetric:
        return loss
    batch = len(query)
    return (loss + one_way(target[:batch], query, positive_mask[:, :batch].T)) / 2


def sample_similarity_loss(
    query: Tensor,
    target: Tensor,
    *,
    group_size: int,
    repeats: int,
    generator: torch.Generator | None = None,
    positive_mask: Tensor | None = None,
) -> Tensor:
    """The equation above for K = `group_size` and M = `repeats`.

    Each group is a uniform draw without replacement. Groups of one anchor are cut from the same shuffle of its B - 1
    negatives as long as it lasts, so they overlap as little as possible; K = 2, M = B - 1 and K = B, M = 1 are computed
    exactly and leave the generator untouched.

    Args:
        query: composed queries, (B, D).
        target: their targets, (B, D); row i belongs to query i. With K = B, further targets may follow: (B + R, D).
            They are negatives of every query.
        group_size: K, from 2 to B, the positive included.
        repeats: M, from 1 to the number of different groups, C(B - 1, K - 1). Between the two cases above, groups of
            different shuffles may be equal, so that the largest M is not the sum over all groups.
        generator: draws the groups, on the embeddings' device; None for torch's default one there.
        positive_mask: bool (B, targets), true where target j is relevant to query i, too. Such a target never counts
            as a negative: its term is left out of the sum, so a group may get smaller. The paper has no such mask; it
            is here because equal targets are common where a batch holds several modifications of one source.

    Returns:
        The loss, a float32 scalar.

    Raises:
        ValueError: shapes do not fit, or K or M is out of its range.
    """
    logits = _logits(query, target, positive_mask)
    batch = len(logits)
    if not 2 <= group_size <= batch:
        raise ValueError(f"group_size must be from 2 to the batch size of {batch}, got {group_size}")
    different_groups = comb(batch - 1, group_size - 1)
    if not 1 <= repeats <= different_groups:
        raise ValueError(
            f"repeats must be from 1 to {different_groups}, the number of different groups of {group_size} in a batch "
            f"of {batch}, got {repeats}"
        )
    if group_size == batch:
        return _batch_softmax(logits)
    if len(target) > batch:
        raise ValueError(f"only a group of the whole batch has further negatives, got group_size={group_size}")
    if group_size == 2 and repeats == batch - 1:
        return _soft_triplet(logits)
    negatives = _draw_negatives(batch, group_size - 1, repeats, logits.device, generator)
    positive = logits.diagonal()[:, None, None].expand(-1, repeats, 1)
    groups = torch.cat([positive, logits.gather(1, negatives.flatten(1)).view(negatives.shape)], dim=2)
    return (groups.logsumexp(2) - positive.squeeze(2)).mean()


def soft_triplet_loss(query: Tensor, target: Tensor, *, positive_mask: Tensor | None = None) -> Tensor:
    """K = 2, M = B - 1: each anchor against every other target once, `log(1 + exp(k(q_i, t_j) - k(q_i, t_i)))`.

    Arguments, result and errors as in `sample_similarity_loss`.
    """
    return _soft_triplet(_logits(query, target, positive_mask))


def batch_softmax_loss(query: Tensor, target: Tensor, *, positive_mask: Tensor | None = None) -> Tensor:
    """K = B, M = 1: cross entropy of each query's own target among all targets of the batch.

    Arguments, result and errors as in `sample_similarity_loss`.
    """
    return _batch_softmax(_logits(query, target, positive_mask))


def _soft_triplet(logits: Tensor) -> Tensor:
    batch = len(logits)
    margins = logits - logits.diagonal()[:, None]
    others = ~torch.eye(batch, dtype=torch.bool, device=logits.device)
    return functional.softplus(margins).where(others, 0.0).sum() / (batch * (batch - 1))


def _batch_softmax(logits: Tensor) -> Tensor:
    return functional.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def _logits(query: Tensor, target: Tensor, positive_mask: Tensor | None) -> Tensor:
    """Kernel values (B, targets) in float32 whatever autocast says, minus infinity at false negatives."""
    if query.ndim != 2 or query.shape != target[: len(query)].shape:
        raise ValueError(f"query and target must both be (B, D), got {tuple(query.shape)} and {tuple(target.shape)}")
    batch, targets = len(query), len(target)
    if batch < 2:
        raise ValueError(f"a batch of {batch} has no negatives: the loss needs at least 2 queries")
    with torch.autocast(query.device.type, enabled=False):
        logits = query.float() @ target.float().T
    if positive_mask is None:
        return logits
    if positive_mask.shape != (batch, targets) or positive_mask.dtype != torch.bool:
        raise ValueError(
            f"positive_mask must be bool ({batch}, {targets}), got {positive_mask.dtype} {tuple(positive_mask.shape)}"
        )
    own = torch.eye(batch, targets, dtype=torch.bool, device=logits.device)
    return logits.masked_fill(positive_mask & ~own, -torch.inf)


def _draw_negatives(
    batch: int, size: int, repeats: int, device: torch.device, generator: torch.Generator | None
) -> Tensor:
    """Indices (B, M, K - 1): distinct within a group, never the anchor's own."""
    groups_in_a_shuffle = (batch - 1) // size
    shuffles = -(-repeats // groups_in_a_shuffle)
    keys = torch.rand(batch, shuffles, batch - 1, generator=generator, device=device)
    order = keys.argsort(dim=2)[:, :, : groups_in_a_shuffle * size]
    others = order.reshape(batch, shuffles * groups_in_a_shuffle, size)[:, :repeats]
    anchors = torch.arange(batch, device=device)[:, None, None]
    return others + (others >= anchors)
