"""A training that is asked to end writes a checkpoint first, whether it runs in this process or in a worker."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from benchmark.runs.single_run import Bench
from benchmark.training.progress import Report, RunTerminal
from css_gen import pool, termination
from css_gen.termination import Terminated


class CheckpointSeconds(float):
    """Seconds between two checkpoints, until the process is asked to end.

    The training loop compares the seconds since the last checkpoint with it after every step. Once the process is asked
    to end, the next checkpoint is due, and the comparison after it raises Terminated.
    """

    _is_last = False

    def __lt__(self, elapsed: float) -> bool:
        if not (termination.is_asked() or pool.is_stopping()):
            return super().__lt__(elapsed)
        if self._is_last:
            raise Terminated
        self._is_last = True
        return True


class PatientTerminal(RunTerminal):
    """A RunTerminal whose trainings are not interrupted by SIGTERM before their next checkpoint."""

    def training(self, title: str, steps: int) -> AbstractContextManager[Report]:
        return self._patient(title, steps)

    @contextmanager
    def _patient(self, title: str, steps: int) -> Iterator[Report]:
        with termination.postponed(), super().training(title, steps) as report:
            yield report


def with_last_checkpoint(bench: Bench) -> Bench:
    """Return the same settings, with which a training that is asked to end writes a checkpoint."""
    seconds = CheckpointSeconds(bench.runtime.checkpoint_seconds)
    return replace(bench, runtime=bench.runtime.model_copy(update={"checkpoint_seconds": seconds}))
