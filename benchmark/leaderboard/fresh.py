"""Fresh scores on a board: the mean over seeds, and whether the row's own Recall@1 is far from it."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from benchmark.records.store import StoredRecord
from benchmark.scoring.fresh import LEVEL, Sampled, differs, sampled_recall
from benchmark.scoring.recall import KS

MARK = "‡"
"""Follows a fresh Recall@1 that differs from the row's own by more than sampling explains."""

NOTE = (
    f"{MARK} differs from the row's R@1 by more than sampling explains (two-sided test, {LEVEL:.1%}): the row is "
    "ranked by the lower of the two, and has no group."
)


class Fresh(NamedTuple):
    """The scores of a row on fresh test sets.

    Attributes:
        recall: in percent by K, the mean over its runs that have one.
        differs: whether Recall@1 differs from that of the same runs on the dataset's own test split.
    """

    recall: Mapping[int, float]
    differs: bool


def fresh_of(runs: Sequence[StoredRecord]) -> Fresh | None:
    """Return the fresh scores of a composer's runs; None if no run has one.

    The errors of fresh scores are averaged, as is right for runs that share a fresh test set; for others it is too
    careful.
    """
    scored = [(run.outcomes, run.record.fresh) for run in runs if run.record.fresh]
    if not scored:
        return None
    scores = [fresh for _, fresh in scored]
    recall = {k: fmean(score.recall[k] for score in scores) for k in KS}
    drawn = [score.sampled for score in scores]
    fresh = Sampled(recall[1], fmean(each.error for each in drawn), min(each.freedom for each in drawn))
    return Fresh(recall, differs(sampled_recall([outcomes for outcomes, _ in scored]), fresh))
