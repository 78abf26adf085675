"""Whether the best relevant image of a query is ranked above wrong images that the gallery holds for it.

The order is that of `ranking`: by similarity, and where similarities are equal by the turn of the image, so that ties
neither help nor harm.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Best(NamedTuple):
    """The best of some images in each of R rows.

    Attributes:
        similarity: (R,), -inf in a row without any.
        turn: (R,), its place in the order of ties; the number of images of the gallery in a row without any.
    """

    similarity: Tensor
    turn: Tensor


def best_of(similarity: Tensor, row: Tensor, place: Tensor, first_place: Tensor) -> Best:
    """Return the best image of each row among those that are named: row `row[i]` has one at `place[i]`.

    Args:
        similarity: (R, G), to the images in shuffled order.
        row, place: (N,), integers.
        first_place: (R,), where the order of ties starts.
    """
    images = similarity.shape[1]
    values = similarity[row, place]
    best = similarity.new_full((len(similarity),), -torch.inf).scatter_reduce(0, row, values, "amax")
    is_best = values == best[row]
    turns = (place[is_best] - first_place[row[is_best]]) % images
    turn = torch.full_like(first_place, images).scatter_reduce(0, row[is_best], turns, "amin")
    return Best(best, turn)


def contrast(similarity: Tensor, relevant: Best, distractors: Tensor, first_place: Tensor) -> tuple[Tensor, Tensor]:
    """Return whether the best relevant image is above all distractors, and how many distractors there are.

    Args:
        similarity: (R, G), to the images in shuffled order; -inf for images that are no candidates.
        relevant: the best relevant candidate of each row.
        distractors: (R, M) places of images, -1 where a row has fewer. Those that are no candidates do not count.
        first_place: (R,), where the order of ties starts.

    Returns:
        (R,) integers: 1 if the contrast holds, 0 if not, -1 in a row without distractors; and (R,), their number.
    """
    is_there = (distractors >= 0) & (similarity.gather(1, distractors.clamp_min(0)) > -torch.inf)
    row, column = is_there.nonzero(as_tuple=True)
    wrong = best_of(similarity, row, distractors[row, column], first_place)
    is_tied = relevant.similarity == wrong.similarity
    is_above = (relevant.similarity > wrong.similarity) | (is_tied & (relevant.turn < wrong.turn))
    count = is_there.sum(1)
    return torch.where(count > 0, is_above.long(), -1), count
