"""SIGTERM, as schedulers send it before they kill: end in order, so that the same command resumes."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_CODE = 128 + signal.SIGTERM


class Terminated(BaseException):
    """Raised in the main thread when the process is asked to end. Not an Exception, so that no run is called failed."""


_is_asked = False
_is_postponed = False


@contextmanager
def handled() -> Iterator[None]:
    """Raise Terminated in the block on SIGTERM. Nothing changes in other threads, or where SIGTERM is ignored."""
    global _is_asked
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        yield
        return
    _is_asked = False
    before = signal.signal(signal.SIGTERM, _on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
        _is_asked = False


@contextmanager
def postponed() -> Iterator[None]:
    """Do not raise in the block, which asks `is_asked` itself, but at its end. A second SIGTERM raises at once."""
    global _is_postponed
    _is_postponed = True
    try:
        yield
    finally:
        _is_postponed = False
    if _is_asked:
        raise Terminated


def is_asked() -> bool:
    """Return whether this process got SIGTERM."""
    return _is_asked


def _on_signal(*_: object) -> None:
    global _is_asked
    if _is_postponed and not _is_asked:
        _is_asked = True
        return
    _is_asked = True
    raise Terminated
