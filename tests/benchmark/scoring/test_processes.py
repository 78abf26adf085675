"""The processes of one run: what happens if one of them never joins."""

import os
from typing import Any

import pytest

from benchmark.errors import BenchmarkError
from benchmark.scoring.processes import together


class FailsElsewhere:
    """Work that no other process can read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (os.getpid(),)


def _made(process: int) -> FailsElsewhere:
    if os.getpid() != process:
        raise OSError("not here")
    return FailsElsewhere()


def test_nobody_waits_for_a_process_that_ended_before_it_joined() -> None:
    with (
        pytest.raises(BenchmarkError, match=r"one of the 2 processes of this run ended early .exit code 1.; run the"),
        together(2, "cpu", FailsElsewhere()),  # type: ignore[arg-type]
    ):
        pass
