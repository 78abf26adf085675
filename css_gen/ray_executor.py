"""Run tasks on a Ray cluster, or on a Ray that is started on this machine for as long as they run (extra `ray`).

Ray tries a task again when its worker or its machine is lost, so tasks have to be idempotent. At most twice as many
tasks as fit on the cluster are submitted at a time, so the memory of the driver does not depend on their number.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from css_gen.errors import DatasetError, UsageError
from css_gen.pool import Step
from css_gen.storage.manifest import generator_version

Task = TypeVar("Task")
Result = TypeVar("Result")

_QUEUED_PER_SLOT = 2
_RETRIES = 3
_REFRESH_SECONDS = 2.0
_STORE_BYTES = 100_000_000
"""Of shared memory: results are small. Ray's default is 30% of the machine's memory."""


@dataclass(frozen=True)
class RayExecutor:
    """An `Executor`: see `css_gen.pool`.

    Attributes:
        address: of a running cluster, as `ray.init` takes it ("auto", "HOST:PORT"); None starts Ray on this machine.
        jobs: the most tasks at a time; None for as many as fit.
        cpus: that each task occupies.
        gpus: that each task occupies; 0.25 puts four tasks on one GPU.
        lost: gives the result of a task whose worker was lost again and again, from it and the reason; None raises.
    """

    address: str | None = None
    jobs: int | None = None
    cpus: int = 1
    gpus: float = 0.0
    lost: Callable[[Any, str], Any] | None = None

    def __call__(
        self,
        work: Callable[[Task, Step], Result],
        tasks: Sequence[Task],
        /,
        *,
        on_progress: Callable[[int], None],
        on_note: Callable[[str], None] | None = None,
    ) -> Iterator[tuple[Task, Result]]:
        """As `css_gen.pool.run_tasks`; progress comes by whole tasks.

        Raises:
            UsageError: Ray is not installed, no cluster has that address, or no machine of it has what a task needs.
            DatasetError: a worker was lost again and again at one task.
            Exception: the error of a task.
        """
        ray = _library()
        with _connected(ray, self.address, self.jobs):
            self._require_room(ray)
            if on_note:
                on_note(f"Ray: {_count(len(ray.nodes()), 'machine')}, {_count(self._slots(ray), 'task')} at a time")
            yield from self._results(ray, work, tasks, on_progress)

    def _results(
        self,
        ray: Any,
        work: Callable[[Task, Step], Result],
        tasks: Sequence[Task],
        on_progress: Callable[[int], None],
    ) -> Iterator[tuple[Task, Result]]:
        remote = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=_RETRIES)(_run)
        here = (generator_version(), os.getcwd())  # noqa: PTH109 - a name that is not UTF-8 stays as it is
        waiting, running, done = iter(tasks), dict[Any, Task](), 0
        try:
            while True:
                room = self._room(ray) - len(running)
                for task in waiting if room > 0 else ():
                    running[remote.remote(here, work, task)] = task
                    room -= 1
                    if room <= 0:
                        break
                if not running:
                    break
                ended, _ = ray.wait(list(running), timeout=_REFRESH_SECONDS)
                for reference in ended:
                    task = running.pop(reference)
                    result, steps = self._result(ray, reference, task)
                    done += steps
                    on_progress(done)
                    yield task, result
        finally:
            for reference in running:
                with suppress(Exception):
                    ray.cancel(reference)

    def _result(self, ray: Any, reference: Any, task: Task) -> Any:
        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            name = getattr(task, "name", task)
            why = f"Ray lost the worker of {name} {_RETRIES + 1} times ({type(error).__name__})"
            if self.lost:
                return self.lost(task, why), 0
            raise DatasetError(f"{why}, perhaps because memory ran out; run the same command again to resume") from None

    def _slots(self, ray: Any) -> int:
        """How many tasks fit on the cluster as it is now."""
        there = ray.cluster_resources()
        fit = int(there.get("CPU", 0) // self.cpus)
        if self.gpus:
            fit = min(fit, int(there.get("GPU", 0) / self.gpus))
        return max(1, min(fit, self.jobs or fit))

    def _room(self, ray: Any) -> int:
        """How many tasks to have submitted: one more for each place, so that no place waits; `jobs` is the most."""
        return self.jobs if self.jobs and self.address else _QUEUED_PER_SLOT * self._slots(ray)

    def _require_room(self, ray: Any) -> None:
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if any(each.get("CPU", 0) >= self.cpus and each.get("GPU", 0) >= self.gpus for each in machines):
            return
        gpus = f" and {self.gpus:g} GPUs" if self.gpus else ""
        raise UsageError(
            f"--executor ray: a task needs {self.cpus} CPUs{gpus}, and no machine of the cluster has them; "
            "ask for fewer threads or a smaller share of a GPU"
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _library() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        import ray
    except ImportError:
        raise UsageError(
            "--executor ray: Ray is not installed; install it with: pip install 'css-bench[ray]'"
        ) from None
    return ray


@contextmanager
def _connected(ray: Any, address: str | None, jobs: int | None) -> Iterator[None]:
    """Connect to a cluster, or start one; a process that is connected already stays so."""
    if ray.is_initialized():
        yield
        return
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    try:
        if address is None:
            ray.init("local", num_cpus=jobs, include_dashboard=False, object_store_memory=_STORE_BYTES, **quiet)
        else:
            ray.init(address, **quiet)
    except (ConnectionError, ValueError, ray.exceptions.AuthenticationError) as error:
        raise UsageError(
            f"--address {address}: {error}; start a cluster with `ray start --head`, and set RAY_AUTH_MODE=token if it "
            "asks for a token"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _run(driver: tuple[str, str], work: Callable[[Task, Step], Result], task: Task) -> tuple[Result, int]:
    """Do a task in a worker; return its result and its number of steps."""
    version, folder = driver
    if generator_version() != version:
        raise DatasetError(f"a machine of the cluster has css-bench {generator_version()}, expected {version}")
    if Path(folder).is_dir():
        os.chdir(folder)  # relative paths mean what they mean to the command
    steps = 0

    def step(count: int) -> None:
        nonlocal steps
        steps += count

    return work(task, step), steps
