"""Score a model by the images that it lists for each query, best first. No network and no embedding is needed.

A list may be shorter than the gallery. What is listed has its exact rank. A relevant image that is not listed is given
the last rank that it can have, so ranks beyond the list are upper bounds, and Recall@K and mAP@K are exact for every K
up to the length of the shortest list. A contrast holds if a relevant image is listed before all distractors.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from benchmark.datasets.relevance import Relevance
from benchmark.datasets.splits import Mask, Rows, Split
from benchmark.scoring.evaluation import Evaluation, rank
from benchmark.scoring.recall import DEPTH, NO_RANK

_DRAWN = ""


class Lists(NamedTuple):
    """The lists of some queries.

    Attributes:
        queries: (B,) rows of the split's queries.
        images: (B, L) rows of the gallery, best first, -1 behind the end of a list. Each is a candidate of its query,
            and none comes twice in a list.
    """

    queries: Rows
    images: Rows


def candidate_counts(split: Split) -> Rows:
    """(Q,) how many images each query is ranked among: those of its gallery but its own source image."""
    return _agreeing(split, np.zeros(len(split.gallery), dtype=np.int64))


def score_lists(batches: Iterable[Lists], split: Split) -> Evaluation:
    """What became of each query, by its list.

    Args:
        batches: lists of all queries, each query once, in any order.

    Raises:
        ValueError: a query has no list, or two, or a list is shorter than `DEPTH` and does not hold all candidates.
    """
    any_order = in_order_of_the_gallery(split)
    known, top = any_order.outcomes, np.full_like(any_order.top, -1)
    targets = split.queries.targets
    relevant = Relevance.of_targets(split.labels[targets]) if split.relevant is None else split.relevant
    ranks = _last_rank(known.candidates, known.relevant)
    of_label = {name: _last_rank(known.candidates, _agreeing(split, of)) for name, of in _labels(split).items()}
    hits = np.zeros_like(known.hits)
    contrasts = {name: np.where(count > 0, 0, -1) for name, count in known.distractors.items()}
    lists = np.zeros(len(known), dtype=np.int64)
    for queries, images in batches:
        if ((images >= 0).sum(1) < np.minimum(DEPTH, known.candidates[queries])).any():
            raise ValueError(f"a list has fewer than {DEPTH} images and not all candidates")
        np.add.at(lists, queries, 1)
        is_right = _is_relevant(relevant, queries, split.labels[images]) & (images >= 0)
        ranks[queries] = _first(is_right, ranks[queries])
        for name, holds in contrasts.items():
            is_above = _is_above(is_right, images, split.contrasts[name][queries])
            holds[queries] = np.where(holds[queries] < 0, -1, is_above)
        for name, labels in _labels(split).items():
            agrees = (labels[images] == labels[targets[queries], None]) & (images >= 0)
            of_label[name][queries] = _first(agrees, of_label[name][queries])
        depth, shown = min(DEPTH, images.shape[1]), min(top.shape[1], images.shape[1])
        hits[queries, :depth] = is_right[:, :depth]
        top[queries, :shown] = images[:, :shown]
    if (lists != 1).any():
        raise ValueError(f"query {int(np.flatnonzero(lists != 1)[0])} has {lists[lists != 1][0]} lists, expected one")
    drawn_ranks = of_label.pop(_DRAWN)
    outcomes = replace(
        known,
        ranks=ranks,
        drawn_ranks=drawn_ranks,
        hits=hits,
        top1=top[:, 0],
        part_ranks=of_label,
        contrasts=contrasts,
    )
    return Evaluation(outcomes, top)


def in_order_of_the_gallery(split: Split) -> Evaluation:
    """Any ranking: for what an evaluation says of the data alone, such as how many images are relevant to a query."""
    query, gallery = torch.ones(len(split.queries), 1), torch.arange(len(split.gallery), dtype=torch.float32)
    return rank(query, gallery[:, None], split)


def _labels(split: Split) -> dict[str, Rows]:
    """Labels (G,) whose first image that agrees with the target is looked for: the whole answer's, then its parts'."""
    return {_DRAWN: split.labels, **split.parts}


def _agreeing(split: Split, labels: Rows) -> Rows:
    """(Q,) how many candidates have the label (G,) of the query's target."""
    queries = split.queries
    _, codes = np.unique(labels, return_inverse=True)
    if split.galleries is not None:
        _, codes = np.unique(np.stack([codes, split.galleries]), axis=1, return_inverse=True)
    wanted = codes[queries.targets]
    is_source = (queries.source_images >= 0) & (codes[queries.source_images] == wanted)
    found: Rows = np.bincount(codes)[wanted] - is_source
    return found


def _last_rank(candidates: Rows, agreeing: Rows) -> Rows:
    """(Q,) the rank of the best of so many images if all other candidates come first."""
    return np.where(agreeing > 0, candidates - agreeing + 1, NO_RANK)


def _first(is_found: Mask, otherwise: Rows) -> Rows:
    """(B,) the place, from 1, of the first image of each list (B, L) that is found."""
    return np.where(is_found.any(1), 1 + is_found.argmax(1), otherwise) if is_found.shape[1] else otherwise


def _is_above(is_right: Mask, images: Rows, distractors: Rows) -> Mask:
    """(B,) whether a relevant image is listed (B, L) before all distractors (B, M); those not listed come after it."""
    is_wrong = np.zeros_like(is_right)
    for column in distractors.T:
        is_wrong |= (images == column[:, None]) & (images >= 0)
    beyond = np.full(len(images), images.shape[1] + 1)
    return _first(is_right, beyond) < _first(is_wrong, beyond)


def _is_relevant(relevant: Relevance, queries: Rows, labels: Rows) -> Mask:
    """(B, L) whether each label is relevant to the query of its row (B,)."""
    span = 1 + max(int(relevant.labels.max(initial=0)), int(labels.max(initial=0)))
    # Ascending, as the rows of `relevant` are; the last one ends every search.
    keys = np.repeat(np.arange(len(relevant)), relevant.counts) * span + relevant.labels
    keys = np.append(keys, np.iinfo(np.int64).max)
    wanted = queries[:, None] * span + labels
    found: Mask = keys[np.searchsorted(keys, wanted)] == wanted
    return found
