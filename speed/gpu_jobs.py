"""The jobs of GPU_QUEUE.md: each is a list of commands of this Python, in order."""

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import Final

MINUTES_LEFT: Final = "MINUTES_LEFT"
"""In a command, stands for the minutes that are left when it starts."""

Command = list[str]

_VALIDATION: Final = (
    "--set",
    "evaluation.split=validation",
    "--set",
    "evaluation.held_out=0.1",
    "--set",
    "evaluation.held_out_combinations=2",
)
"""Runs that are scored on the validation part never reach a leaderboard."""


def board(options: Namespace) -> list[Command]:
    """Train and score every composer on every CSS task, seed by seed: as many runs as fit."""
    tasks = [part for task in ("css", "css-2d3d", "css-pooled") for part in ("--dataset", task)]
    every = ("--preset", "standard-mined", "--all", *tasks, "--seeds", "3", "--minutes", MINUTES_LEFT)
    return [_render(options, 128), _train(options, 128, *every)]


def profile(options: Namespace) -> list[Command]:
    """Measure where the time of a step goes, and steps a second: compiled, with AdamW, at 96 px, and of `paper`."""

    def measure(preset: str, *others: str) -> Command:
        data = ("--data", _dataset(options, 128), "--steps", str(options.steps), "--results", "speed/results")
        given = ("--device", options.device, *data, "--preset", preset)
        return ["speed/profile_step.py", *given, *others, *_assignments(options.changes)]

    def rate(name: str) -> tuple[str, ...]:
        return "--rate-only", "--name", f"rate-{name}-{options.device}"

    return [
        _render(options, 128),
        measure("standard"),
        measure("standard", *rate("compiled"), "--compile"),
        measure("standard", *rate("adamw"), "--set", "training.optimiser=adamw"),
        measure("standard", *rate("96px"), "--set", "data.image_size=96"),
        measure("paper", *rate("paper")),
    ]


def speed(options: Namespace) -> list[Command]:
    """Time `standard` beside google/tirg's step, and scoring beside a matrix product, in one run."""
    rows = ("--queries", str(options.scored), "--images", str(options.scored)) if options.scored else ()
    time = ("--seconds", str(options.seconds_each))
    given = ("--device", options.device, "--data", _dataset(options, 128), "--standard", *time, *rows)
    out = f"speed/results/train-{options.device}.json"
    return [_render(options, 128), ["speed/train.py", *given, "--out", out]]


def tune(options: Namespace) -> list[Command]:
    """Score TIRG on the validation part, once for each `--attempt KEY=VALUE,...`."""
    tirg = ("--preset", "standard-mined", "--composer", "tirg", "--dataset", "css", *_VALIDATION)
    attempts = (_assignments(attempt.split(",")) for attempt in options.attempts)
    return [_render(options, 128), *(_train(options, 128, *tirg, *changes) for changes in attempts)]


def paper(options: Namespace) -> list[Command]:
    """Train TIRG by google/tirg's recipe."""
    return [_render(options, 224), _train(options, 224, "--preset", "paper", "--composer", "tirg", "--dataset", "css")]


JOBS: Final[Mapping[str, Callable[[Namespace], list[Command]]]] = {
    job.__name__: job for job in (board, profile, speed, tune, paper)
}


def _render(options: Namespace, size: int) -> Command:
    images = str(options.images)
    return ["-m", "css_gen.cli", "render", "--n", images, "--size", str(size), "--out", _dataset(options, size)]


def _dataset(options: Namespace, size: int) -> str:
    return str(options.work / f"css-{options.images}-{size}")


def _train(options: Namespace, size: int, *others: str) -> Command:
    given = ("--device", options.device, "--data", f"css={_dataset(options, size)}", "--checkpoint-seconds", "600")
    return ["-m", "benchmark.cli", "run", *given, *others, *_assignments(options.changes)]


def _assignments(changes: Sequence[str]) -> Command:
    return [part for change in changes for part in ("--set", change)]
