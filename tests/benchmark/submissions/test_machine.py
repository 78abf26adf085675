"""`verify` calls a record wrong for what is wrong with it, and for nothing that went wrong on the machine."""

import errno
import os
from pathlib import Path

import pytest
import torch

from benchmark.errors import BenchmarkError
from benchmark.records.store import read_stored, save_record
from benchmark.records.tier import Tier
from benchmark.runs.single_run import Bench
from benchmark.submissions.machine import is_of_the_machine
from benchmark.submissions.process import LimitError, SubmissionError
from benchmark.verification import Resources, records
from tests.benchmark.made_up import make_outcomes, make_record
from tests.benchmark.runs.finished_runs import runs, the_record


def caused_by(cause: Exception) -> BenchmarkError:
    error = BenchmarkError("out of memory while scoring: lower --batch-size")
    error.__cause__ = cause
    return error


OF_THE_MACHINE: dict[str, Exception] = {
    "a time limit": LimitError("mine.py: it took longer than 60 seconds; it was stopped"),
    "no memory": MemoryError(),
    "no memory on a GPU": torch.OutOfMemoryError("CUDA out of memory"),
    "no memory, with advice": caused_by(torch.OutOfMemoryError("CUDA out of memory")),
    "a full disk": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    "too many open files": OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
}
OF_THE_RECORD: dict[str, Exception] = {
    "another result": BenchmarkError("says R@1 50.00, its checkpoint gives 20.00"),
    "a broken rule": SubmissionError("mine.py: it tried to use the network"),
    "a missing file": FileNotFoundError(errno.ENOENT, "No such file or directory"),
    "a value": caused_by(ValueError("not finite")),
}


@pytest.mark.parametrize("name", OF_THE_MACHINE | OF_THE_RECORD)
def test_whose_error_it_is(name: str) -> None:
    assert is_of_the_machine((OF_THE_MACHINE | OF_THE_RECORD)[name]) == (name in OF_THE_MACHINE)


@pytest.mark.parametrize("train_again", [False, True])
@pytest.mark.parametrize("name", ["a time limit", "no memory, with advice", "another result", "a broken rule"])
def test_verify_calls_wrong_what_is_wrong(
    name: str, train_again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = make_outcomes()
    stored = read_stored(save_record(make_record(outcomes), outcomes, tmp_path / "records"))
    error = (OF_THE_MACHINE | OF_THE_RECORD)[name]

    def fail(*arguments: object) -> None:  # noqa: ARG001
        raise error

    monkeypatch.setattr(records, "rescore", fail)
    monkeypatch.setattr(records, "retrain", fail)
    (verified,) = records.verify_records([stored], None, train_again=train_again)  # type: ignore[arg-type]
    assert verified.tier == (Tier.SELF_REPORTED if name in OF_THE_MACHINE else None)
    assert str(error) in verified.note


def test_a_record_of_other_queries_is_wrong(bench: Bench) -> None:
    """And the error says so, not that numbers of these lengths cannot be compared."""
    runs(bench)
    stored = read_stored(the_record(bench))
    resources = Resources(
        places=bench.places, runtime=bench.runtime, reporter=bench.reporter, runs=bench.runs, tier=None
    )
    (verified,) = records.verify_records([stored._replace(outcomes=make_outcomes(queries=8))], resources)
    assert verified.tier is None
    assert verified.note == f"{stored.path}: its relevant are not those of the dataset"
