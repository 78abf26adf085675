"""Compute the ceiling of Recall@1: where a text has several valid answers, only the one that was drawn counts."""

from collections.abc import Iterable, Set

from css_gen.scenes.modification import Modification
from css_gen.scenes.scene import Scene


def best_recall_at_1(queries: Iterable[tuple[Scene, Modification]], gallery: Set[str]) -> float:
    """Return the expected Recall@1, in percent, of a model that knows all right answers but not which was drawn.

    If n different scenes of the gallery are right answers to a query, such a model finds the drawn one once in n times.

    Args:
        queries: source scene and modification of each; the drawn target is in the gallery.
        gallery: the keys of its scenes.

    Raises:
        ValueError: there are no queries, or one has no right answer in the gallery.
    """
    shares = []
    for source, modification in queries:
        answers = len(modification.targets(source) & gallery)
        if not answers:
            raise ValueError(f"'{modification.text}' has no right answer in the gallery")
        shares.append(1 / answers)
    if not shares:
        raise ValueError("there are no queries")
    return 100 * sum(shares) / len(shares)
