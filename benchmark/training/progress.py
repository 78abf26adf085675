"""Show the progress of a run: a live line on a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from rich.console import RenderableType
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from css_gen.progress import Reporter, Terminal

Report = Callable[["Progress"], None]
_SECONDS_BETWEEN_LINES = 15.0


@dataclass(frozen=True)
class Progress:
    """The progress of a run.

    Attributes:
        recall: Recall@1 of the last validation, in percent; None before the first.
        seconds_left: of training, at the pace of this process so far, validations and checkpoints included.
    """

    step: int
    steps: int
    loss: float
    learning_rate: float
    queries_per_second: float
    recall: float | None
    seconds_left: float

    def __str__(self) -> str:
        recall = "" if self.recall is None else f", validation R@1 {self.recall:.1f}"
        rest = f"{timedelta(seconds=round(self.seconds_left))} left" if self.step < self.steps else "scoring"
        speed = f"{self.queries_per_second:.0f} queries/s"
        return f"step {self.step}/{self.steps}, {speed}, loss {self.loss:.3f}{recall}, {rest}"


class RunReporter(Reporter, Protocol):
    """A Reporter that also shows a run's steps."""

    def training(self, title: str, steps: int) -> AbstractContextManager[Report]:
        """A context in which the given function is called with the progress of one run."""


class SilentRuns:
    """Report nothing: for users of the library, and for tests."""

    def message(self, text: str) -> None:
        pass

    def track(self, description: str, total: int, unit: str) -> AbstractContextManager[Callable[[int], None]]:  # noqa: ARG002
        return nullcontext(lambda done: None)  # noqa: ARG005

    def training(self, title: str, steps: int) -> AbstractContextManager[Report]:  # noqa: ARG002
        return nullcontext(lambda progress: None)  # noqa: ARG005


class RunTerminal(Terminal):
    """Report to the terminal: of a run its step, queries/s, loss, Recall@1 and the time left."""

    def training(self, title: str, steps: int) -> AbstractContextManager[Report]:
        return self._training_bar(title, steps) if self._console.is_terminal else self._training_lines(title)

    @contextmanager
    def _training_bar(self, title: str, steps: int) -> Iterator[Report]:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn())
        with _BarAndState(*columns, console=self._console, transient=True) as bars:
            bar = bars.add_task(title, total=steps, state="starting")
            yield lambda progress: bars.update(bar, completed=progress.step, state=str(progress))

    @contextmanager
    def _training_lines(self, title: str) -> Iterator[Report]:
        last = time.monotonic()

        def report(progress: Progress) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= _SECONDS_BETWEEN_LINES:
                last = now
                self.message(f"{title}: {progress}")

        yield report


class _BarAndState(Bars):
    """Show the state on a line of its own: next to the bar, 80 columns would cut off the Recall and the time left."""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            yield Text(f"  {task.fields['state']}", overflow="ellipsis", no_wrap=True)


class Curves:
    """Write TensorBoard's log of one run, for `tensorboard --logdir runs`.

    Opening it after `from_step` steps drops what an earlier process logged past that step.
    """

    def __init__(self, folder: Path, *, from_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder), purge_step=from_step + 1)

    def add(self, progress: Progress) -> None:
        values = {
            "loss": progress.loss,
            "learning_rate": progress.learning_rate,
            "queries_per_second": progress.queries_per_second,
            "validation_recall_at_1": progress.recall,
        }
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(name, value, progress.step)

    def close(self) -> None:
        self._writer.close()


@contextmanager
def reported(reporter: RunReporter, title: str, steps: int, folder: Path, done: int) -> Iterator[Report]:
    """Show the progress of a training and log it to TensorBoard; `done` steps were taken before."""
    with reporter.training(title, steps) as report:
        curves = Curves(folder, from_step=done)

        def show(progress: Progress) -> None:
            report(progress)
            curves.add(progress)

        try:
            yield show
        finally:
            curves.close()
