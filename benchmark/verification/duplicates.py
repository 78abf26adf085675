"""Whether records are of different runs: each check compares all records and returns a line for each that is not."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path

from benchmark.leaderboard.statistics import FEWEST_QUERIES
from benchmark.records.store import RunRecord, StoredRecord

_COPIED = 0.9
"""Share of equal ranks from which a run is a copy. On our boards two runs have at most 0.15 in common, except that the
same ranks under two tasks are possible where a composer ignores what differs."""

_ONE_MODEL_AT_ONE_DEPTH = frozenset({"attribute_as_operator", "depth_operator"})
"""Composers that are the same at one depth of the encoder, and so the same model of a seed on pooled features."""

Repeated = tuple[StoredRecord, str]
"""A record that repeats an earlier one, and a line that names both."""


def repeated(stored: Sequence[StoredRecord]) -> dict[Path, list[str]]:
    """The lines on each record that repeats an earlier one, in the order of the paths, by its path."""
    runs = sorted(stored, key=lambda run: run.path)
    distinct = list({run.record.identity: run for run in reversed(runs)}.values())[::-1]
    found: dict[Path, list[str]] = {}
    for run, line in (*_same_runs(runs), *_same_ranks(distinct), *_same_weights(distinct)):
        found.setdefault(run.path, []).append(line)
    return found


def _same_runs(runs: Iterable[StoredRecord]) -> Iterator[Repeated]:
    """Two records of one task, composer, recipe, seed and dataset."""
    for run, first in _repeated(runs, lambda run: run.record.identity):
        yield run, f"{run.path}: is a second record of the run of {first.path}; remove one of them"


def _same_ranks(runs: Iterable[StoredRecord]) -> Iterator[Repeated]:
    """The ranks of another seed or of another composer on the same queries, a few of them perhaps changed.

    Two recipes of one composer and seed may have equal ranks, as where they differ in what the composer ignores. So may
    two tasks.
    """
    earlier: dict[Hashable, list[StoredRecord]] = {}
    for run in runs:
        others = earlier.setdefault(_data(run.record), [])
        first = next((each for each in others if _is_other(run, each) and equal_ranks(run, each) > _COPIED), None)
        if first:
            whose = f"seed {first.record.seed} of {first.record.composer.name}"
            share = f"{100 * equal_ranks(run, first):.0f}% of the ranks beyond 1"
            yield run, f"{run.path}: has {share} from {first.path} ({whose}); run it again"
        others.append(run)


def equal_ranks(run: StoredRecord, other: StoredRecord) -> float:
    """Return the share of equal ranks among the queries that at least one of two runs misses; 0 if these are few."""
    ranks, others = run.outcomes.ranks, other.outcomes.ranks
    missed = (ranks > 1) | (others > 1)
    return float((ranks == others)[missed].mean()) if missed.sum() >= FEWEST_QUERIES else 0.0


def _same_weights(runs: Iterable[StoredRecord]) -> Iterator[Repeated]:
    """One model under two runs of a task. Two tasks may train to the same weights, as without an image to compose."""

    def weights_of(run: StoredRecord) -> Hashable:
        weights = run.record.weights_sha256
        return weights and (_data(run.record), weights)

    for run, first in _repeated(runs, weights_of):
        if _is_other(run, first):
            yield run, f"{run.path}: names the weights of {first.path} as its own; run it again"


def _is_other(run: StoredRecord, other: StoredRecord) -> bool:
    """Whether two runs are of two composers or of two seeds, and have to differ."""
    its, others = run.record, other.record
    if {its.composer.name, others.composer.name} == _ONE_MODEL_AT_ONE_DEPTH and its.seed == others.seed:
        return its.composer.levels != others.composer.levels
    return (its.composer.name, its.seed) != (others.composer.name, others.seed)


def _data(record: RunRecord) -> Hashable:
    return record.protocol, record.dataset.fingerprint


def _repeated(
    runs: Iterable[StoredRecord], key_of: Callable[[StoredRecord], Hashable]
) -> Iterator[tuple[StoredRecord, StoredRecord]]:
    """Every run whose key an earlier one has, with the first of these. Runs without a key (None) do not count."""
    first_with: dict[Hashable, StoredRecord] = {}
    for run in runs:
        key = key_of(run)
        if key is not None and (first := first_with.setdefault(key, run)) is not run:
            yield run, first
