"""Whether records are of different runs: each check compares all records and returns a line for each that is not."""

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path

from benchmark.records.store import RunRecord, StoredRecord

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
    """Equal ranks of two seeds or of two composers on the same queries.

    Two recipes of one composer and seed may have equal ranks, as where they differ in what the composer ignores. So may
    two tasks, and any two runs that answer every query.
    """

    def ranks_of(run: StoredRecord) -> Hashable:
        ranks = run.outcomes.ranks
        return None if (ranks == 1).all() else (_data(run.record), hashlib.sha256(ranks.tobytes()).digest())

    for run, first in _repeated(runs, ranks_of):
        its, other = run.record, first.record
        if its.composer.name != other.composer.name or its.seed != other.seed:
            whose = f"seed {other.seed} of {other.composer.name}"
            yield run, f"{run.path}: has the ranks of {first.path} ({whose}), query by query; run it again"


def _same_weights(runs: Iterable[StoredRecord]) -> Iterator[Repeated]:
    """One model under two runs of a task. Two tasks may train to the same weights, as without an image to compose."""

    def weights_of(run: StoredRecord) -> Hashable:
        weights = run.record.weights_sha256
        return weights and (_data(run.record), weights)

    for run, first in _repeated(runs, weights_of):
        its, other = run.record, first.record
        if its.composer.name != other.composer.name or its.seed != other.seed:
            yield run, f"{run.path}: names the weights of {first.path} as its own; run it again"


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
