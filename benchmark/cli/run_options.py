"""The options of commands that train, and the settings of runs that they give."""

from collections.abc import Callable, Collection
from dataclasses import replace as replaced
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from benchmark.cli.options import (
    BATCH_SIZE,
    COMPILE,
    DEVICE,
    FOLDER,
    GRAPH,
    LARGEST_SEED,
    LEADERBOARDS,
    PLACES,
    SEEDS,
    SKIP_BROKEN,
    THREADS,
    VALIDATE_EVERY,
    by_name,
    make_runtime,
)
from benchmark.errors import UsageError

if TYPE_CHECKING:
    from benchmark.runs.single_run import Bench

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--dataset", "dataset_names", multiple=True, metavar="NAME",
        help="A dataset; may be given several times.  [default: all available]",
    ),
    click.option("--preset", metavar="NAME", help="The recipe.  [default: standard on a GPU, else quick]"),
    click.option("--seed", "seed", type=click.IntRange(min=0, max=LARGEST_SEED), help="One seed.  [default: 0]"),
    click.option("--seeds", type=SEEDS, help="How many seeds, counted from 0, or a list: 3 is 0,1,2."),
    click.option(
        "--set", "assignments", multiple=True, metavar="KEY=VALUE",
        help="Change a key of the recipe, such as training.steps=500; `tirg-bench list` shows all keys.",
    ),
    PLACES,
    SKIP_BROKEN,
    click.option(
        "--pretrained", metavar="torchvision|timm|TAG|FILE|TAG=FILE", help="Start the image encoder from these weights."
    ),
    DEVICE,
    THREADS,
    BATCH_SIZE,
    VALIDATE_EVERY,
    COMPILE,
    GRAPH,
    LEADERBOARDS,
    click.option(
        "--runs", type=FOLDER, default=Path("runs"), show_default=True, help="Checkpoints, models and curves."
    ),
    click.option(
        "--checkpoint-seconds", type=click.FloatRange(min=0), default=20, show_default=True,
        help="Seconds between two checkpoints of a run.",
    ),
    click.option(
        "--replace", is_flag=True,
        help="Repeat runs whose record is damaged or was made by another version of the code.",
    ),
)  # fmt: skip


JOBS = click.option(
    "--jobs", type=click.IntRange(min=1, max=4096), default=1, show_default=True, metavar="N",
    help="Runs at a time on a CPU, each with its share of the threads. The tables say so, because a "
    "run's own time grows.",
)  # fmt: skip


DEVICES = click.option(
    "--devices", type=click.IntRange(min=1, max=64), default=1, show_default=True, metavar="N",
    help="Processes that share each batch of a training, each on a GPU, or with --threads threads on a CPU. The result "
    "is that of one process up to rounding.",
)  # fmt: skip


class Setup(NamedTuple):
    """What the options ask for: the tasks and seeds to run, and the settings of the runs."""

    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    bench: "Bench"


def run_options(command: Command) -> Command:
    """Decorator: the options that `set_up` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def set_up(
    *, dataset_names: tuple[str, ...], preset: str | None, seed: int | None, seeds: tuple[int, ...] | None,
    assignments: tuple[str, ...], places: tuple[tuple[str, Path], ...], skip_broken: bool, pretrained: str | None,
    device: str | None, threads: int | None, batch_size: int, validate_every: int | None, compiled: bool, graph: bool,
    out: Path, runs: Path, checkpoint_seconds: float, replace: bool, usual: Collection[str] | None = None,
    on_other_gpus: bool = False,
) -> Setup:  # fmt: skip
    """The settings that the options ask for; nothing is read or written yet.

    Args:
        usual: the tasks that are run if none is named, where their data is there or can be made; None for all.
        on_other_gpus: whether the runs are made on GPUs that this machine need not have.

    Raises:
        click.UsageError: both --seed and --seeds are given.
        UsageError: a dataset, a preset, a key or a value is unknown, or there is no data.
    """
    from benchmark import tasks as datasets
    from benchmark.recipe import presets
    from benchmark.recipe.runtime import split_assignments

    if seed is not None and seeds is not None:
        raise click.UsageError("--seed and --seeds exclude each other")
    given = by_name(places)
    if preset is not None:
        presets.preset(preset)
    assignments, spelled = split_assignments(assignments)
    available = [task for task in datasets.present_or_made(given) if usual is None or task in usual]
    wanted = tuple(datasets.get(each).name for each in dataset_names) or tuple(available)
    if not wanted:
        raise UsageError(f"none of the datasets {', '.join(usual or ())} is there; README says where to put them")

    from benchmark.device import choose_device
    from benchmark.runs.recipes import recipe_on
    from benchmark.runs.single_run import Bench
    from benchmark.runs.termination import PatientTerminal

    device = "cuda" if on_other_gpus else choose_device(device)
    name = preset or presets.default_preset(device)
    runtime = make_runtime(
        device=device, threads=threads, batch_size=batch_size, validate_every=validate_every, compiled=compiled,
        checkpoint_seconds=checkpoint_seconds, graph=graph,
    )  # fmt: skip
    reporter = PatientTerminal()
    for key in spelled:
        reporter.message(f"--set for {key}: it does not change a result, so it is the option --{key.replace('_', '-')}")
    recipes = {task: recipe_on(task, name, pretrained=pretrained, assignments=assignments) for task in wanted}
    bench = Bench(
        base=next(iter(recipes.values())),
        recipes=recipes,
        runtime=runtime.model_copy(update=spelled),
        reporter=reporter,
        places=given,
        skip_broken=skip_broken,
        replace=replace,
        leaderboards=out,
        runs=runs,
    )
    return Setup(wanted, seeds or (seed or 0,), bench)


def require_possible(jobs: int, bench: "Bench") -> None:
    """Raise UsageError if several runs at a time are asked for on a GPU."""
    if jobs > 1 and bench.device != "cpu":
        raise UsageError(f"--jobs {jobs}: runs on a GPU are made one at a time; leave --jobs out, or use --device cpu")


def with_devices(bench: "Bench", devices: int, threads: int | None, tasks: Collection[str]) -> "Bench":
    """Return the settings for trainings that `devices` processes share.

    Args:
        devices: number of processes; 1 leaves the settings as they are.
        threads: what --threads says; None if it was left out, to share the threads of one process.
        tasks: names of the tasks to run.

    Raises:
        UsageError: there are not as many GPUs, or a batch cannot be shared by as many processes.
    """
    import torch

    if devices == 1:
        return bench
    if bench.device.startswith("cuda:"):
        raise UsageError(f"--device {bench.device}: --devices {devices} uses the first {devices} GPUs; use cuda")
    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if bench.device != "cpu" and seen < devices:
        raise UsageError(f"--devices {devices}: torch sees {seen} GPU{'' if seen == 1 else 's'} here")
    if bench.runtime.compile:
        raise UsageError(f"--devices {devices}: a network that processes share is not compiled; leave --compile out")
    for task in tasks:
        sources = bench.recipe(task).training.sources
        if sources % devices:
            near = max(devices, sources - sources % devices)
            raise UsageError(
                f"--devices {devices}: a batch on {task} has {sources} source images, which {devices} processes cannot "
                f"share equally; choose another number, or --set training.sources={near}"
            )
    share = threads or max(1, bench.runtime.threads // devices)
    return replaced(bench, runtime=bench.runtime.model_copy(update={"devices": devices, "threads": share}))


def with_jobs(bench: "Bench", jobs: int, threads: int | None) -> "Bench":
    """The settings for that many runs at a time; `threads` is what --threads says."""
    share = threads or max(1, bench.runtime.threads // jobs)
    return replaced(bench, runtime=bench.runtime.model_copy(update={"jobs": jobs, "threads": share}))
