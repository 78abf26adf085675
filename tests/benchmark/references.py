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
    """Best and worst place of the best right answer, over all orders of equally similar images; None without one."""
    candidates = [image for image in range(len(gallery)) if image != source]
    right = [kernel(query, gallery[image]) for image in candidates if labels[image] == wanted]
    if not right:
        return None
    better = wrong_and_equal = 0
    for image in candidates:
        similarity = kernel(query, gallery[image])
        better += similarity > max(right)
        wrong_and_equal += similarity == max(right) and labels[image] != wanted
    return better + 1, better + wrong_and_equal + 1


def is_hit(ranked: Sequence[int], wanted: int, labels: Sequence[int], k: int) -> bool:
    """Whether one of the first K images is a right answer."""
    for place, image in enumerate(ranked):
        if place == k:
            return False
        if labels[image] == wanted:
            return True
    return False


def chance(correct: int, candidates: int, k: int) -> float:
    """The share of all orders of the candidates that have a right answer among the first K."""
    orders = list(permutations([True] * correct + [False] * (candidates - correct)))
    return sum(any(order[:k]) for order in orders) / len(orders)
