"""Slow, obvious versions of the benchmark's arithmetic, written from the paper's words with loops."""

import math
from collections.abc import Sequence
from itertools import combinations, permutations

Vector = Sequence[float]


def kernel(query: Vector, target: Vector) -> float:
    return math.fsum(a * b for a, b in zip(query, target, strict=True))


def group_loss(query: Vector, positive: Vector, negatives: Sequence[Vector]) -> float:
    """-log of the positive's share of the exponentials."""
    right = math.exp(kernel(query, positive))
    return -math.log(right / (right + math.fsum(math.exp(kernel(query, other)) for other in negatives)))


def expected_loss(
    queries: Sequence[Vector], targets: Sequence[Vector], group_size: int, excluded: set[tuple[int, int]]
) -> float:
    """The paper's loss over *every* group of K - 1 negatives; a group loses its false negatives (i, j)."""
    batch = len(queries)
    losses = []
    for i in range(batch):
        others = [j for j in range(batch) if j != i]
        for group in combinations(others, group_size - 1):
            negatives = [targets[j] for j in group if (i, j) not in excluded]
            losses.append(group_loss(queries[i], targets[i], negatives))
    return math.fsum(losses) / len(losses)


def rank_bounds(
    query: Vector, gallery: Sequence[Vector], source: int, wanted: int, labels: Sequence[int]
) -> tuple[int, int] | None:
    """Best and worst place of the best relevant image, over all orders of equally similar images; None without one."""
    candidates = [image for image in range(len(gallery)) if image != source]
    right = [kernel(query, gallery[image]) for image in candidates if labels[image] == wanted]
    if not right:
        return None
    better = other_and_equal = 0
    for image in candidates:
        similarity = kernel(query, gallery[image])
        better += similarity > max(right)
        other_and_equal += similarity == max(right) and labels[image] != wanted
    return better + 1, better + other_and_equal + 1


def mean_over_values(ranks: Sequence[int], values: Sequence[str], k: int) -> float:
    """Recall@K in percent of the queries of each value, then the plain mean of these."""
    by_value: dict[str, list[int]] = {}
    for rank, value in zip(ranks, values, strict=True):
        by_value.setdefault(value, []).append(rank)
    return sum(100 * sum(rank <= k for rank in some) / len(some) for some in by_value.values()) / len(by_value)


def is_hit(ranked: Sequence[int], wanted: int, labels: Sequence[int], k: int) -> bool:
    """Whether one of the first K images is relevant."""
    for place, image in enumerate(ranked):
        if place == k:
            return False
        if labels[image] == wanted:
            return True
    return False


def chance(relevant: int, candidates: int, k: int) -> float:
    """The share of all orders of the candidates that have a relevant image among the first K."""
    orders = list(permutations([True] * relevant + [False] * (candidates - relevant)))
    return sum(any(order[:k]) for order in orders) / len(orders)


def average_precision(right: Sequence[bool], relevant: int, k: int) -> float:
    """CIRCO's: 1 / min(K, relevant) * sum over k of P@k * rel(k), over places from 1; right[0] is the first place's."""
    total = 0.0
    for place in range(1, k + 1):
        rel = 1 if right[place - 1] else 0
        precision = len([here for here in right[:place] if here]) / place
        total += precision * rel
    return total / min(k, relevant) if relevant else 0.0
