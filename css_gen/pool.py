"""Run tasks in several processes that count their steps, stop when asked, and never outlive their parent."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait as wait_for_end
from typing import Any, Protocol, TypeVar

from css_gen.errors import DatasetError
from css_gen.termination import EXIT_CODE

Task = TypeVar("Task")
Result = TypeVar("Result")
Step = Callable[[int], None]

_REFRESH_SECONDS = 0.2
_QUEUED_PER_WORKER = 2


class Executor(Protocol):
    """Runs `work(task, step)` for every task and yields each with its result, in the order in which they end.

    `run_tasks` with a number of processes is one. The work of a task may be done more than once, where an executor
    tries again after a machine was lost, so it has to be idempotent: what it writes appears by a rename.
    """

    def __call__(
        self,
        work: Callable[[Task, Step], Result],
        tasks: Sequence[Task],
        /,
        *,
        on_progress: Callable[[int], None],
        on_note: Callable[[str], None] | None = None,
    ) -> Iterator[tuple[Task, Result]]:
        """As `run_tasks`."""


class Stopped(BaseException):
    """Raised inside a task when the run is abandoned. Not an Exception, so that no task catches it by accident."""


def available_cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def run_tasks(
    work: Callable[[Task, Step], Result],
    tasks: Sequence[Task],
    *,
    jobs: int,
    on_progress: Callable[[int], None],
    on_note: Callable[[str], None] | None = None,
) -> Iterator[tuple[Task, Result]]:
    """Run `work(task, step)` for every task and yield each with its result, in the order in which they end.

    Args:
        work: a module-level function (or a partial of one). It calls `step(n)` whenever n more steps are done, and
            leaves nothing behind when that raises.
        jobs: how many processes; 1 runs the tasks here.
        on_progress: called now and then with the number of steps done so far.
        on_note: called with one line where the system has no shared memory, so that the tasks run here.

    Raises:
        DatasetError: a worker was killed.
        BaseException: the error of a task, or KeyboardInterrupt; all workers have then ended.
    """
    if jobs == 1 or len(tasks) < 2:
        yield from _run_here(work, tasks, on_progress)
        return
    try:
        executor, done, stop = _start(min(jobs, len(tasks)))
    except (OSError, ImportError, NotImplementedError) as error:
        # No semaphores: a container without /dev/shm, AWS Lambda, some sandboxes.
        refusal = str(error) or type(error).__name__
    else:
        refusal = ""
    if refusal:
        if on_note:
            on_note(f"several processes are not possible here ({refusal}); using one, as with --jobs 1")
        yield from _run_here(work, tasks, on_progress)
        return
    waiting, running = iter(tasks), dict[Future[Result], Task]()
    try:
        while True:
            for task in waiting:
                with _interrupts_held():
                    running[executor.submit(_run_in_worker, work, task)] = task
                if len(running) >= jobs * _QUEUED_PER_WORKER:
                    break
            if not running:
                break
            ended, _ = wait(running, timeout=_REFRESH_SECONDS, return_when=FIRST_COMPLETED)
            on_progress(done.value)
            for future in ended:
                yield running.pop(future), future.result()
    except BrokenProcessPool:
        raise DatasetError(
            "a worker process was killed, perhaps because memory ran out; run the same command again with fewer --jobs"
        ) from None
    finally:
        stop.set()
        executor.shutdown(cancel_futures=True)


def _start(jobs: int) -> tuple[ProcessPoolExecutor, Any, Any]:
    """Start the executor; return it, the number of steps done, and the event that stops it."""
    context = multiprocessing.get_context("spawn")
    done, stop = context.Value("q", 0), context.Event()
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker, initargs=(done, stop)), done, stop


def _run_here(
    work: Callable[[Task, Step], Result], tasks: Sequence[Task], on_progress: Callable[[int], None]
) -> Iterator[tuple[Task, Result]]:
    done = 0

    def step(steps: int) -> None:
        nonlocal done
        done += steps
        on_progress(done)

    for task in tasks:
        yield task, work(task, step)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Workers inherit the blocked Ctrl-C: it reaches the whole process group, and the parent decides what it means."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_done: Any = None
_stop: Any = None
_is_working = False
_is_ending = False


def is_stopping() -> bool:
    """Return whether this process is a worker whose task should end: `step` raises from now on."""
    return _is_ending or (_stop is not None and _stop.is_set())


def _start_worker(done: Any, stop: Any) -> None:
    global _done, _stop
    _done, _stop = done, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_after_step)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for_end([parent.sentinel])
        os._exit(1)


def _end_after_step(*_: object) -> None:
    """SIGTERM, from a scheduler or from an executor that lost a worker: let the task leave nothing half-done."""
    global _is_ending
    _is_ending = True
    if not _is_working:
        os._exit(EXIT_CODE)


def _run_in_worker(work: Callable[[Task, Step], Result], task: Task) -> Result:
    global _is_working
    _is_working = True
    try:
        return work(task, _step_in_worker)
    finally:
        _is_working = False
        if _is_ending:
            os._exit(EXIT_CODE)


def _step_in_worker(steps: int) -> None:
    with _done.get_lock():
        _done.value += steps
    if is_stopping():
        raise Stopped
