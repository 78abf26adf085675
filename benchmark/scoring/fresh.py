"""The score on a fresh test set, and whether another score differs from it by more than sampling explains.

A model that knows nothing but its training data scores alike on any two test sets that were drawn alike. Two things are
drawn for a query: its source scene and its modification, and each is shared with other queries. The variance of a
Recall therefore has three parts (two-way clusters; Cameron, Gelbach and Miller, Journal of Business & Economic
Statistics 29, 2011, eq. 2.12): over source scenes, plus over modifications, minus over single queries.
"""

from math import sqrt
from typing import Annotated, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy import stats

from benchmark.scoring.recall import KS, Integers, Outcomes, Recall, recall_at_k
from css_gen.scenes.sampling import REFERENCES_PER_MODIFICATION

LEVEL = 0.001
"""Of the test whether two Recalls differ: of a thousand honest runs one differs by as much."""

Floats = npt.NDArray[np.float64]


class Sampled(NamedTuple):
    """A Recall@1 in percent, its standard error, and the degrees of freedom of the error."""

    recall: float
    error: float
    freedom: int


class FreshScore(BaseModel):
    """The score of a run on a test set that was rendered when the model was scored.

    Attributes:
        seed: of the rendering, drawn from the operating system.
        fingerprint: of the rendered test split.
        queries, sources: numbers of queries and of source scenes.
        recall, drawn_recall: in percent, by K, as in `scoring.metrics`.
        error: standard error of Recall@1, in percentage points.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    seed: Annotated[int, Field(ge=0)]
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    queries: Annotated[int, Field(ge=1)]
    sources: Annotated[int, Field(ge=1)]
    recall: Recall
    drawn_recall: Recall
    error: Annotated[float, Field(ge=0, le=100)]

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.sources > self.queries:
            raise ValueError(f"{self.sources} source scenes of {self.queries} queries")
        for name, recall in (("recall", self.recall), ("drawn_recall", self.drawn_recall)):
            if set(recall) != set(KS):
                raise ValueError(f"{name} is not that of K = {', '.join(map(str, KS))}")
            hits = [recall[k] * self.queries / 100 for k in KS]
            if hits != sorted(hits):
                raise ValueError(f"{name} falls as K grows")
            if any(abs(count - round(count)) > 1e-6 for count in hits):
                raise ValueError(f"{name} is not a share of {self.queries} queries")
        if any(self.drawn_recall[k] > self.recall[k] for k in KS):
            raise ValueError("drawn_recall is above recall")
        return self

    @property
    def sampled(self) -> Sampled:
        return Sampled(self.recall[1], self.error, self.sources - 1)


def fresh_score(outcomes: Outcomes, *, seed: int, fingerprint: str) -> FreshScore:
    """Return the score of these outcomes on the fresh test set with that seed and fingerprint."""
    sampled = sampled_recall([outcomes])
    return FreshScore(
        seed=seed,
        fingerprint=fingerprint,
        queries=len(outcomes),
        sources=sampled.freedom + 1,
        recall=recall_at_k(outcomes.ranks),
        drawn_recall=recall_at_k(outcomes.drawn_ranks),
        error=sampled.error,
    )


def sampled_recall(runs: list[Outcomes]) -> Sampled:
    """Return Recall@1, the mean over runs on one rendered test set, with the error that drawing the set gives it.

    Queries of one of `Outcomes.groups` share a modification. Without groups queries 0 to 2 do, 3 to 5 the next, and so
    on, as css-gen numbers those of css.
    """
    hits = np.mean([run.ranks <= 1 for run in runs], axis=0)
    sources = np.unique(runs[0].sources, return_inverse=True)[1]
    queries = np.arange(len(hits))
    groups = queries // REFERENCES_PER_MODIFICATION if runs[0].groups is None else runs[0].groups
    modifications = np.unique(groups, return_inverse=True)[1]
    over_sources, over_modifications, over_queries = (
        variance_of_mean(hits, clusters) for clusters in (sources, modifications, queries)
    )
    # This estimate can be too small, even negative; the variance is at least the larger of its first two parts.
    variance = max(over_sources + over_modifications - over_queries, over_sources, over_modifications)
    return Sampled(100 * float(hits.mean()), 100 * sqrt(variance), int(sources.max()))


def differs(own: Sampled, fresh: Sampled) -> bool:
    """Return whether two Recalls@1 differ by more than sampling explains: Welch's t-test, two-sided, at `LEVEL`.

    With one source scene on either side the error is unknown; the answer is then False.
    """
    difference = own.recall - fresh.recall
    if min(own.freedom, fresh.freedom) < 1:
        return False
    variances = own.error**2, fresh.error**2
    if not sum(variances):
        return difference != 0
    parts = sum(variance**2 / side.freedom for variance, side in zip(variances, (own, fresh), strict=True))
    freedom = sum(variances) ** 2 / parts
    return bool(2 * stats.t.sf(abs(difference) / sqrt(sum(variances)), freedom) < LEVEL)


def variance_of_mean(values: Floats, clusters: Integers) -> float:
    """Return the variance of the mean of values (Q,) that are drawn in clusters (Q,), numbered from 0.

    C / (C - 1) sum of (t_i - mean n_i)^2 / Q^2 over C clusters with totals t_i of n_i values (Cochran, Sampling
    Techniques, 1977, eq. 9A.4); 0 for one cluster.
    """
    counts = np.bincount(clusters)
    totals = np.bincount(clusters, weights=values)[counts > 0]
    counts = counts[counts > 0]
    if len(counts) < 2:
        return 0.0
    squares = ((totals - values.mean() * counts) ** 2).sum()
    return float(len(counts) / (len(counts) - 1) * squares / len(values) ** 2)
