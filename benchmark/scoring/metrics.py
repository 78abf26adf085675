"""The scores of a run: every registered metric, over all queries and over those of each slice.

To add a metric, write a function here with `@metric`; to show it, list a column in `leaderboard/columns.py`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from math import fsum
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from benchmark.scoring.recall import (
    KS,
    MAP_KS,
    Mask,
    Outcomes,
    Recall,
    Words,
    chance_recall,
    map_at_k,
    recall_at_k,
)
from css_gen.scenes.ceiling import expected_recall_at_1

Scores = dict[str, float]
"""By name, such as "recall@10"."""

WORST, SPREAD = "worst_of_group@1", "spread_of_group@1"
"""Names of scores on groups of queries that share a target."""

_metrics: list[Callable[[Outcomes], Scores]] = []


def metric(compute: Callable[[Outcomes], Scores]) -> Callable[[Outcomes], Scores]:
    """Function decorator: compute these numbers for every run and slice. Outcomes that it gets hold a query or more."""
    _metrics.append(compute)
    return compute


@metric
def _recall(outcomes: Outcomes) -> Scores:
    """In percent; see `recall_at_k`."""
    return {f"recall@{k}": value for k, value in recall_at_k(outcomes.ranks).items()}


@metric
def _drawn_recall(outcomes: Outcomes) -> Scores:
    """With only the drawn target's label as relevant, as in the paper, and the ceiling of its Recall@1."""
    found = {f"drawn_recall@{k}": value for k, value in recall_at_k(outcomes.drawn_ranks).items()}
    return found | {"ceiling": expected_recall_at_1(outcomes.relevant_labels.tolist())}


@metric
def _map(outcomes: Outcomes) -> Scores:
    """In percent; see `map_at_k`."""
    return {f"map@{k}": value for k, value in map_at_k(outcomes.hits, outcomes.relevant).items()}


@metric
def _chance(outcomes: Outcomes) -> Scores:
    """Recall of a random order of the gallery, in percent; see `chance_recall`."""
    found = chance_recall(outcomes.relevant, outcomes.candidates)
    return {f"chance@{k}": value for k, value in found.items()}


@metric
def _oracles(outcomes: Outcomes) -> Scores:
    """Recall of the two searchers that miss one modality, in percent, where it is known: see `levels`."""
    found: Scores = {}
    if (ranks := outcomes.source_oracle_ranks) is not None:
        found |= {f"source_oracle@{k}": value for k, value in recall_at_k(ranks).items()}
    if (candidates := outcomes.text_candidates) is not None:
        found |= {f"text_oracle@{k}": value for k, value in chance_recall(outcomes.relevant, candidates).items()}
    return found


def contrast_name(heading: str) -> str:
    """Return the name of the score of a contrast."""
    return f"contrast: {heading}"


def contrast_chance_name(heading: str) -> str:
    """Return the name of the chance of a contrast."""
    return f"chance of contrast: {heading}"


@metric
def _contrasts(outcomes: Outcomes) -> Scores:
    """By contrast the share of queries, in percent, whose best relevant image is above all its distractors, and that of
    a random order; of the queries that have such distractors, and missing where none has."""
    found: Scores = {}
    for name, holds in outcomes.contrasts.items():
        asked = holds >= 0
        if asked.any():
            relevant, wrong = outcomes.relevant[asked], outcomes.distractors[name][asked]
            found[contrast_name(name)] = 100 * float(holds[asked].mean())
            found[contrast_chance_name(name)] = 100 * fsum(relevant / (relevant + wrong)) / len(wrong)
    return found


@metric
def _shortcut(outcomes: Outcomes) -> Scores:
    """Recall of a random order of what the shortcut takes for right, in percent, where a track has one."""
    if outcomes.shortcut_candidates is None or outcomes.shortcut_hits is None:
        return {}
    found = chance_recall(outcomes.shortcut_hits, outcomes.shortcut_candidates)
    return {f"shortcut@{k}": value for k, value in found.items()}


@metric
def _groups(outcomes: Outcomes) -> Scores:
    """Of the groups of queries that share a target, where there are groups of several: the share in percent in which
    all queries have a relevant image first, and the share in which some have and some have not."""
    if outcomes.groups is None:
        return {}
    _, group, size = np.unique(outcomes.groups, return_inverse=True, return_counts=True)
    if size.max() == 1:
        return {}
    right = np.bincount(group, weights=outcomes.ranks <= 1)
    return {WORST: 100 * float((right == size).mean()), SPREAD: 100 * float(((right > 0) & (right < size)).mean())}


_REQUIRED = frozenset(
    {"ceiling", *(f"{name}@{k}" for name in ("recall", "drawn_recall", "chance") for k in KS)}
    | {f"map@{k}" for k in MAP_KS}
)


class SliceMetrics(BaseModel):
    """The scores of some queries, one or more."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    queries: Annotated[int, Field(ge=1)]
    scores: Scores

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if missing := sorted(_REQUIRED - self.scores.keys()):
            raise ValueError(f"there is no {missing[0]} among the scores")
        return self

    @property
    def recall(self) -> Recall:
        """By K."""
        return {k: self.scores[f"recall@{k}"] for k in KS}

    @property
    def chance(self) -> Recall:
        """By K."""
        return {k: self.scores[f"chance@{k}"] for k in KS}


class Metrics(SliceMetrics):
    """The scores of a run.

    Attributes:
        unanswered: how many queries have no relevant image.
        slices: by attribute, then by its value; values that no query has are missing.
        parts: recall by part of the meaning, such as "noun", where an image is relevant that agrees in this part.
    """

    unanswered: Annotated[int, Field(ge=0)]
    slices: dict[str, dict[str, SliceMetrics]]
    parts: dict[str, Recall] = {}


def metrics_of(outcomes: Outcomes, *, only: Collection[str] | None = None) -> Metrics:
    """Every metric, overall and by slice.

    Args:
        only: keep these scores alone: those of a record that is older than a metric.

    Raises:
        ValueError: there are no queries.
    """
    # A slice may hold some queries of a group and not the others, whose scores would then be of fewer texts.
    ungrouped = replace(outcomes, groups=None)
    slices = {
        attribute: {value: _of_slice(ungrouped.rows(mask), only) for value, mask in masks.items()}
        for attribute, masks in slice_masks(outcomes.attributes).items()
    }
    return Metrics(
        queries=len(outcomes),
        scores=_scores(outcomes, only),
        unanswered=int((outcomes.relevant == 0).sum()),
        slices=slices,
        parts={name: recall_at_k(ranks) for name, ranks in outcomes.part_ranks.items()},
    )


def slice_masks(
    attributes: Mapping[str, Words], order: Mapping[str, Sequence[str]] | None = None
) -> dict[str, dict[str, Mask]]:
    """For each attribute and each value that a query has, the mask (Q,) of its queries.

    Args:
        attributes: columns of Q words.
        order: attributes and values that come first, as in `Task.slice_order`; all others follow in natural order,
            numbers by their size.
    """
    first = order or {}
    masks: dict[str, dict[str, Mask]] = {}
    for name in [*(name for name in first if name in attributes), *sorted(attributes.keys() - first.keys())]:
        column = attributes[name]
        there = set(column.tolist())
        listed = [value for value in first.get(name, ()) if value in there]
        masks[name] = {value: column == value for value in (*listed, *sorted(there - {*listed}, key=_natural))}
    return masks


def _of_slice(outcomes: Outcomes, only: Collection[str] | None) -> SliceMetrics:
    return SliceMetrics(queries=len(outcomes), scores=_scores(outcomes, only))


def _scores(outcomes: Outcomes, only: Collection[str] | None) -> Scores:
    found = {name: value for compute in _metrics for name, value in compute(outcomes).items()}
    return found if only is None else {name: value for name, value in found.items() if name in only}


def _natural(value: str) -> tuple[bool, int, str]:
    """Sorts whole numbers by size, before words."""
    is_number = value.isdecimal() and len(value) < 19
    return not is_number, int(value) if is_number else 0, value
