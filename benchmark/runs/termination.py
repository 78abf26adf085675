"""A training that is asked to end writes a checkpoint first, whether it runs in this process or in a worker."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from benchmark.training.progress import Report, RunTerminal
from css_gen import pool, termination


def is_asked() -> bool:
    """Return whether the runs of this process should end: it got SIGTERM, or is a worker whose parent ends."""
    return termination.is_asked() or pool.is_stopping()


class PatientTerminal(RunTerminal):
    """A RunTerminal whose trainings are not interrupted by SIGTERM before their next checkpoint."""

    def training(self, title: str, steps: int) -> AbstractContextManager[Report]:
        return self._patient(title, steps)

    @contextmanager
    def _patient(self, title: str, steps: int) -> Iterator[Report]:
        with termination.postponed(), super().training(title, steps) as report:
            yield report
