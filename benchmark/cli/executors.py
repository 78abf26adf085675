"""The options that say where runs are made: in processes of this machine, on Ray, or as jobs of SLURM."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

if TYPE_CHECKING:
    from benchmark.runs.grid import Finished
    from benchmark.runs.single_run import Bench
    from css_gen.pool import Executor

Command = TypeVar("Command", bound=Callable[..., Any])
LOCAL, RAY, SLURM = "local", "ray", "slurm"


class Assignment(click.ParamType[Any]):
    """A parameter with its value, as "partition=gpu"."""

    name = "assignment"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        return "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str | int]:
        if isinstance(value, tuple):
            return value
        key, equals, given = (part.strip() for part in str(value).partition("="))
        if not (equals and key.isidentifier() and given):
            self.fail(f"{value!r}: expected KEY=VALUE, such as partition=gpu", param, ctx)
        return key, int(given) if given.isdecimal() else given


_OPTIONS = (
    click.option(
        "--executor", type=click.Choice([LOCAL, RAY, SLURM]), default=LOCAL, show_default=True,
        help="Where to make the runs: processes of this machine, Ray, or jobs of SLURM (extras ray and slurm). "
        "--jobs says how many at a time.",
    ),
    click.option(
        "--address", metavar="ADDRESS",
        help="Ray cluster to use, such as auto or HOST:PORT.  [default: start Ray on this machine]",
    ),
    click.option(
        "--gpu-share", type=click.FloatRange(min=0, max=1, min_open=True), metavar="F",
        help="With Ray or SLURM: run on GPUs, this share of one for each run; 0.25 puts four on a GPU (Ray).",
    ),
    click.option(
        "--slurm", "slurm", type=Assignment(), multiple=True,
        help="A parameter of the jobs, such as partition=gpu or timeout_min=600 (a day if not given).",
    ),
)  # fmt: skip


class Place(NamedTuple):
    """Where runs are made."""

    executor: str
    address: str | None
    gpu_share: float | None
    slurm: dict[str, str | int]

    @property
    def is_here(self) -> bool:
        return self.executor == LOCAL

    def make(self, bench: "Bench") -> "Executor | None":
        """The executor of runs with the settings of `bench`; None for processes of this machine."""
        from benchmark.runs.slurm import SlurmExecutor
        from css_gen.ray_executor import RayExecutor

        jobs, threads = bench.runtime.jobs, bench.runtime.threads
        share = (self.gpu_share or 1.0) if bench.device != "cpu" else 0.0
        if self.executor == RAY:
            return RayExecutor(self.address, jobs, cpus=threads, gpus=share, lost=_lost)
        if self.executor == SLURM:
            folder = bench.runs / "slurm"
            return SlurmExecutor(folder, jobs, _lost, cpus=threads, gpus=int(share > 0), parameters=self.slurm)
        return None


def place_options(command: Command) -> Command:
    """Decorator: the options that `place` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def place(
    *, executor: str, address: str | None, gpu_share: float | None, slurm: tuple[tuple[str, str | int], ...],
    device: str | None,
) -> Place:  # fmt: skip
    """Where the options say that runs are made.

    Raises:
        click.UsageError: options that exclude each other.
    """
    if address and executor != RAY:
        raise click.UsageError("--address is of a Ray cluster: add --executor ray")
    if slurm and executor != SLURM:
        raise click.UsageError("--slurm is a parameter of SLURM's jobs: add --executor slurm")
    if gpu_share and (executor == LOCAL or device == "cpu"):
        raise click.UsageError("--gpu-share is of --executor ray or slurm on GPUs: leave it out, or --device cpu")
    if gpu_share and gpu_share < 1 and executor == SLURM:
        raise click.UsageError("--gpu-share: SLURM gives whole GPUs; use 1")
    if executor != LOCAL and device and device.startswith("cuda:"):
        raise click.UsageError(f"--device {device}: the executor chooses the GPU of each run; use cuda")
    return Place(executor, address, gpu_share, dict(slurm))


def _lost(titled: tuple[str, Any], why: str) -> "Finished":
    """The outcome of a run whose process was lost; it resumes from its checkpoint when the command is run again."""
    from benchmark.runs.grid import Finished

    return Finished(titled[1], None, f"{why}; run the same command again to resume")
