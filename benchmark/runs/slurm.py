"""Make tasks jobs of SLURM, as one array, by submitit (extra `slurm`)."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from benchmark.errors import BenchmarkError, UsageError
from css_gen.pool import Step

Task = TypeVar("Task")
Result = TypeVar("Result")

SLURM, LOCAL, DEBUG = "slurm", "local", "debug"
_POLL_SECONDS = {SLURM: 2.0, LOCAL: 0.1, DEBUG: 0.0}
_MINUTES = 24 * 60
_GENERAL = ("timeout_min", "mem_gb", "name", "cpus_per_task", "gpus_per_node")
"""Parameters that submitit knows for every cluster; all others are SLURM's own."""


@dataclass(frozen=True)
class SlurmExecutor:
    """An `Executor`: see `css_gen.pool`. A job that is preempted or reaches its time limit is queued again.

    Attributes:
        folder: of submitit's files and of the jobs' output; all machines need to see it.
        jobs: the most tasks at a time.
        lost: gives the result of a task whose job ended without one, from it and the reason.
        cpus: of each job.
        gpus: of each job.
        parameters: of submitit or of SLURM, such as {"partition": "gpu", "timeout_min": 600}.
        cluster: of submitit: "slurm", and "local" (processes here) or "debug" (in this process) for tests.
    """

    folder: Path
    jobs: int
    lost: Callable[[Any, str], Any]
    cpus: int = 1
    gpus: int = 0
    parameters: Mapping[str, str | int] = field(default_factory=dict)
    cluster: str = SLURM

    def __call__(
        self,
        work: Callable[[Task, Step], Result],
        tasks: Sequence[Task],
        /,
        *,
        on_progress: Callable[[int], None],  # noqa: ARG002 - jobs do not say how far they are
        on_note: Callable[[str], None] | None = None,
    ) -> Iterator[tuple[Task, Result]]:
        """As `css_gen.pool.run_tasks`.

        Raises:
            UsageError: submitit is not installed, or does not know a parameter.
            BenchmarkError: SLURM is not here, or refuses the jobs.
        """
        executor = self._executor()
        # submitit's local cluster starts all jobs at once, whatever the array's parallelism.
        at_once = len(tasks) if self.cluster == SLURM else self.jobs
        waiting, running = list(tasks), dict[Any, Task]()
        try:
            while waiting or running:
                room = at_once - len(running)
                batch, waiting = waiting[:room], waiting[room:]
                if batch:
                    running |= zip(self._submit(executor, work, batch), batch, strict=True)
                    if on_note:
                        on_note(f"{self.cluster}: submitted {len(batch)} jobs, whose output is in {self.folder}")
                ended = [job for job in running if job.done()]
                for job in ended:
                    task = running.pop(job)
                    yield task, self._result(job, task)
                if not ended:
                    time.sleep(_POLL_SECONDS[self.cluster])
        finally:
            for job in running:
                job.cancel(check=False)

    def _executor(self) -> Any:
        submitit = _library()
        try:
            executor = submitit.AutoExecutor(self.folder, cluster=self.cluster)
        except RuntimeError as error:
            raise BenchmarkError(f"--executor slurm: {error}; run this where sbatch is, on a login node") from None
        own = {key if key in _GENERAL else f"slurm_{key}": value for key, value in self.parameters.items()}
        gpus = {"gpus_per_node": self.gpus} if self.gpus else {}
        defaults = {"name": "tirg-bench", "timeout_min": _MINUTES, "cpus_per_task": self.cpus}
        try:
            executor.update_parameters(**defaults | gpus | {"slurm_array_parallelism": self.jobs} | own)
        except (NameError, TypeError, ValueError, AssertionError) as error:
            raise UsageError(f"--slurm: {str(error).partition(chr(10))[0]}") from None
        return executor

    def _submit(self, executor: Any, work: Callable[[Task, Step], Result], batch: Sequence[Task]) -> list[Any]:
        submitit = _library()
        try:
            jobs: list[Any] = executor.map_array(_Job(work), batch)
        except submitit.core.utils.FailedJobError as error:
            raise BenchmarkError(f"--executor slurm: sbatch refuses the jobs ({_why(error)})") from None
        return jobs

    def _result(self, job: Any, task: Task) -> Any:
        submitit = _library()
        try:
            return job.result()
        except submitit.core.utils.UncompletedJobError as error:
            return self.lost(task, f"job {job.job_id} ended without a result ({_why(error)}); see {job.paths.stderr}")


class _Job:
    """A task as a function that submitit queues again with the same task when it is preempted."""

    def __init__(self, work: Callable[[Task, Step], Result]) -> None:
        self.work = work

    def __call__(self, task: Any) -> Any:
        return self.work(task, lambda _: None)

    def checkpoint(self, task: Any) -> Any:
        return _library().helpers.DelayedSubmission(self, task)


def _why(error: Exception) -> str:
    """The last line of the traceback or of the log that submitit shows between rows of dashes; else its own last."""
    before, *shown = re.split(r"^-{5,}$", str(error), flags=re.MULTILINE)
    lines = (shown[0] if shown and shown[0].strip() else before).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__


def _library() -> Any:
    try:
        import submitit
    except ImportError:
        raise UsageError("--executor slurm: submitit is not installed; run: pip install 'css-bench[slurm]'") from None
    return submitit
