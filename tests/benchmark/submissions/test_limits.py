"""What a submission is to blame for, and what is trouble of the machine, for which `verify` calls no record wrong."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.recipe.runtime import Runtime
from benchmark.submissions import candidates, sandboxed_run
from benchmark.submissions.process import LimitError, Limits, SubmissionError
from benchmark.submissions.sandbox import SandboxTier
from benchmark.submissions.sandboxed_run import Box
from benchmark.submissions.scoring import AnswerError
from benchmark.training.progress import SilentRuns
from tests.benchmark.submissions.conftest import QUICK
from tests.benchmark.submissions.sources import source

STOPPED: dict[str, tuple[str, Limits, bool]] = {
    "silence": ("import time; time.sleep(60)", Limits(60, 3, 4_096), True),
    "time": ("import time; time.sleep(60)", Limits(3, 60, 4_096), True),
    "memory": ("held = bytearray(10**11)", QUICK, True),
    "a kill from outside": ("import ctypes; getattr(ctypes.CDLL(None), 'raise')(9)", QUICK, True),
    "a full disk": ("raise OSError(28, 'No space left on device')", QUICK, True),
    "its own error": ("raise ValueError('no')", QUICK, False),
    "its own missing file": ("raise OSError(2, 'No such file or directory')", QUICK, False),
    "a crash": ("import os; os.abort()", QUICK, False),
    "an early end": ("import os; os._exit(0)", QUICK, False),
    "a forbidden file behind a want of memory": (
        "try: open('/etc/hostname')\nexcept BaseException: held = bytearray(10**11)",
        QUICK,
        False,
    ),
}


@pytest.mark.usefixtures("forked_submissions")
@pytest.mark.parametrize("name", STOPPED)
def test_limits_are_told_from_faults(name: str, tmp_path: Path) -> None:
    before, limits, is_limit = STOPPED[name]
    (tmp_path / "mine.py").write_text(source(before=before))
    with pytest.raises(SubmissionError) as found:
        sandboxed_run.check(
            candidates.find(str(tmp_path / "mine.py")), tier=SandboxTier.PROCESS, limits=limits, hear=lambda found: None  # noqa: ARG005
        )  # fmt: skip
    assert isinstance(found.value, LimitError) == is_limit, found.value
    assert str(found.value).startswith("mine.py: ")


def out_of_memory() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


def failing(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


WHILE_SCORING: dict[str, tuple[Callable[[], Any], type[SubmissionError]]] = {
    "no memory": (failing(MemoryError()), LimitError),
    "no memory on a GPU": (out_of_memory, LimitError),
    "no memory in torch": (lambda: torch.empty(10**15), LimitError),
    "a full disk": (failing(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))), LimitError),
    "a failing disk": (failing(OSError(errno.EIO, os.strerror(errno.EIO))), LimitError),
    "numbers that overflow": (failing(OverflowError("too large")), SubmissionError),
    "an embedding that is not finite": (failing(ValueError("not finite")), SubmissionError),
    "a file that it made unreadable": (failing(OSError(errno.EACCES, "Permission denied")), SubmissionError),
    "two answers to a query": (failing(AnswerError("it gave another answer")), SubmissionError),
}


@pytest.mark.parametrize("name", WHILE_SCORING)
def test_trouble_while_scoring_is_blamed_on_who_made_it(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(source())
    box = Box(
        candidate=candidates.find(str(tmp_path / "mine.py")), tier=SandboxTier.PROCESS, runtime=Runtime(),
        reporter=SilentRuns(), seconds=1, memory_mib=512,
    )  # fmt: skip
    fail, kind = WHILE_SCORING[name]
    with pytest.raises(SubmissionError) as found, sandboxed_run._blamed_on(box, "it cannot be trained"):
        fail()
    assert type(found.value) is kind
    assert str(found.value).startswith("mine.py: ")
