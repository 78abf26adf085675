"""Compute the ceiling of Recall@1 where only the drawn target counts and several scenes satisfy a text."""

from collections.abc import Iterable, Set
from math import fsum

from css_gen.scenes.modification import Modification
from css_gen.scenes.scene import Scene


def best_recall_at_1(queries: Iterable[tuple[Scene, Modification]], gallery: Set[str]) -> float:
    """Return the expected Recall@1, in percent, of a model that knows all relevant scenes but not which was drawn.

    If n different scenes of the gallery are relevant to a query, such a model finds the drawn one once in n times.

    Args:
        queries: source scene and modification of each; the drawn target is in the gallery.
        gallery: the keys of its scenes.

    Raises:
        ValueError: there are no queries, or one has no right answer in the gallery.
    """
    counts = []
    for source, modification in queries:
        counts.append(len(modification.targets(source) & gallery))
        if not counts[-1]:
            raise ValueError(f"'{modification.text}' has no right answer in the gallery")
    return expected_recall_at_1(counts)


def expected_recall_at_1(answers: Iterable[int]) -> float:
    """The same, in percent, for queries with these numbers of relevant scenes in the gallery; 0 counts as a miss.

    >>> expected_recall_at_1([1, 2, 4, 1])
    68.75

    Raises:
        ValueError: there are no queries.
    """
    shares = [1 / count if count else 0.0 for count in answers]
    if not shares:
        raise ValueError("there are no queries")
    return 100 * fsum(shares) / len(shares)
