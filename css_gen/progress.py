"""Report the progress of long work: a line now and then, or a progress bar."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

_SECONDS_BETWEEN_LINES = 10.0


class Reporter(Protocol):
    """Receiver of progress reports."""

    def message(self, text: str) -> None:
        """Report one line."""

    def track(self, description: str, total: int, unit: str) -> AbstractContextManager[Callable[[int], None]]:
        """Return a context in which the given function is called with the number of units done so far."""


class Silent:
    """Reports nothing: the default of the library's functions."""

    def message(self, text: str) -> None:
        pass

    def track(self, description: str, total: int, unit: str) -> AbstractContextManager[Callable[[int], None]]:  # noqa: ARG002
        return nullcontext(lambda done: None)  # noqa: ARG005


class Terminal:
    """A progress bar with rate and time left on a terminal, a plain line every ten seconds elsewhere; on stderr."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr, highlight=False, soft_wrap=True)

    def message(self, text: str) -> None:
        self._console.print(text, markup=False)

    def track(self, description: str, total: int, unit: str) -> AbstractContextManager[Callable[[int], None]]:
        if self._console.is_terminal:
            return self._bar(description, total, unit)
        return self._lines(description, total, unit)

    @contextmanager
    def _bar(self, description: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(unit),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console) as progress:
            bar = progress.add_task(description, total=total)
            yield lambda done: progress.update(bar, completed=done)

    @contextmanager
    def _lines(self, description: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        started = last = time.monotonic()

        def report(done: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= _SECONDS_BETWEEN_LINES and done:
                last = now
                rate = done / (now - started)
                self.message(
                    f"{description}: {done} of {total} {unit}, {rate:.0f} {unit}/s, {(total - done) / rate:.0f} s left"
                )

        yield report


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.0f} {self._unit}/s")
