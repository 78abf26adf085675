"""How far a searcher gets that lacks one modality and knows all that can be known of the other.

- The *source oracle* does not read the text. It knows which images answer which of the split's queries on a source. It
  shows first the image that answers most of them, then the one that answers most of the others, and so on.
- The *text oracle* does not see the source. It knows which images the text can make of some source, whatever that is,
  and shows them in random order: its Recall@K is `recall.chance_recall` with these candidates in place of the gallery.
  It needs scenes; `css_gen.scenes.reachable` counts the candidates.

No model without the text can have a higher Recall@1 than the source oracle. For larger K the same holds where a query
has one relevant label; elsewhere the best next image may not be in the best set of K.
"""

import numpy as np

from benchmark.datasets.relevance import Relevance
from benchmark.datasets.splits import Split
from benchmark.scoring.recall import NO_RANK, Integers

_SHUFFLE_SEED = 20190615


def source_oracle_ranks(split: Split) -> Integers | None:
    """Return the rank (Q,) of the first relevant image in the order of the source oracle; `NO_RANK` if there is none.

    Images that answer equally many queries are in random order, the same in every run. Memory is linear in the answers
    and in the gallery.

    Returns:
        None if most queries are the only one on their source: knowing its answers is then knowing theirs.
    """
    queries = split.queries
    _, source, asked = np.unique(queries.sources, return_inverse=True, return_counts=True)
    if 2 * int((asked == 1).sum()) > len(queries):
        return None
    query, label, part = _answers(split)
    # What can be shown next: a label, on the list of its source and part of the gallery.
    shown, choice = np.unique(np.stack([source[query], part, label], axis=1), axis=0, return_inverse=True)
    choice = choice.reshape(-1)  # numpy 2.0 alone gives it a second axis
    lists = np.flatnonzero(np.diff(shown[:, :2], axis=0, prepend=-1).any(axis=1))
    list_of_choice = np.repeat(np.arange(len(lists)), np.diff(lists, append=len(shown)))
    # Raw bits, because other versions of numpy may shuffle in another order.
    turn = np.random.PCG64(_SHUFFLE_SEED).random_raw(len(shown)).argsort(kind="stable")

    ranks = np.full(len(queries), NO_RANK, dtype=np.int64)
    rank = 0
    while len(query):
        rank += 1
        gain = np.bincount(choice, minlength=len(shown))
        order = gain * len(shown) + turn
        is_next = (order == np.maximum.reduceat(order, lists)[list_of_choice]) & (gain > 0)
        ranks[query[is_next[choice]]] = rank
        is_left = ranks[query] == NO_RANK
        query, choice = query[is_left], choice[is_left]
    return ranks


def _answers(split: Split) -> tuple[Integers, Integers, Integers]:
    """Return (query, label, part of the gallery), (N,) each, for every label of a candidate that answers a query."""
    queries, labels = split.queries, split.labels
    answers = Relevance.of_targets(labels[queries.targets]) if split.relevant is None else split.relevant
    part_of_image = np.zeros(len(labels), dtype=np.int64) if split.galleries is None else split.galleries
    query, label = np.repeat(np.arange(len(queries)), answers.counts), answers.labels
    part = part_of_image[queries.targets][query]

    span = 1 + int(max(labels.max(initial=0), label.max(initial=0)))
    keys = part * span + label
    there, images = np.unique(part_of_image * span + labels, return_counts=True)
    place = np.searchsorted(there, keys).clip(max=len(there) - 1)
    own = queries.source_images[query]
    is_own = (own >= 0) & (labels[own] == label) & (part_of_image[own] == part)
    found = (there[place] == keys) & (images[place] > is_own)
    return query[found], label[found], part[found]
