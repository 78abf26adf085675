"""The tasks by name. To add one, call `register` in a file of this folder; an installed package names its `Task` in the
entry point group `tirg_bench.tasks`."""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from benchmark.errors import BenchmarkError, UsageError
from benchmark.tasks.base import Task
from models.parts import unknown

ENTRY_POINTS = "tirg_bench.tasks"

_tasks: dict[str, Task] = {}


def register(task: Task) -> Task:
    """Make a task available under its name. It may be registered again, as by its file and then by its entry point.

    Raises:
        BenchmarkError: another task has one of its names, or a spelling of one.
    """
    if _tasks.get(task.name) is task:
        return task
    names = [task.name, *task.spellings]
    for other in _tasks.values():
        taken = {_plain(name) for name in (other.name, *other.spellings)}
        if clash := next((name for name in names if _plain(name) in taken), None):
            raise BenchmarkError(
                f"task {task.name}: the name {clash!r} belongs to the task {other.name}; choose another"
            )
        if _plain(task.folder) == _plain(other.folder) and task.folder != other.folder:
            raise BenchmarkError(f"task {task.name}: write its folder as {other.name} does, {other.folder!r}")
    _tasks[task.name] = task
    return task


def names() -> tuple[str, ...]:
    """Of all tasks, in the order in which they are listed: by folder, then by name."""
    return tuple(task.name for task in sorted(_all().values(), key=lambda task: (task.folder, task.name)))


def get(name: str) -> Task:
    """The task of that name, in any accepted spelling.

    >>> get("MIT_States").name
    'mit-states'

    Raises:
        UsageError: there is none; the message offers the nearest.
    """
    found = find(name)
    if found is None:
        raise UsageError(unknown("dataset", name, names()))
    return found


def find(name: str) -> Task | None:
    """The task of that name, in any accepted spelling; None if there is none, as for a record of somebody else's."""
    tasks = _all()
    if name in tasks:
        return tasks[name]
    return next((task for task in tasks.values() if _plain(name) in map(_plain, (task.name, *task.spellings))), None)


def folders() -> tuple[str, ...]:
    """The names that `--data NAME=PATH` takes."""
    return tuple(dict.fromkeys(_all()[name].folder for name in names()))


def folder_of(name: str) -> str:
    """The folder that a name means: a folder's own, or a task's, in any accepted spelling.

    Raises:
        UsageError: there is none; the message offers the nearest.
    """
    for folder in folders():
        if _plain(folder) == _plain(name):
            return folder
    task = find(name)
    if task is None:
        raise UsageError(unknown("dataset", name, {*folders(), *names()}))
    return task.folder


def by_folder(places: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Paths by the names of their folders, from the accepted names that they were given under; the last one counts.

    Raises:
        UsageError: a name is unknown.
    """
    found: dict[str, Path] = {}
    for name, path in places:
        try:
            found[folder_of(name)] = path
        except UsageError as error:
            raise UsageError(f"--data: {error}") from None
    return found


def on_folder(folder: str) -> tuple[Task, ...]:
    """The tasks whose data is in that folder."""
    return tuple(_all()[name] for name in names() if _all()[name].folder == folder)


def _plain(name: str) -> str:
    return name.strip().casefold().replace("-", "").replace("_", "")


def _all() -> dict[str, Task]:
    _load_entry_points()
    return _tasks


@cache
def _load_entry_points() -> None:
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            task = entry.load()
        except Exception as error:
            raise BenchmarkError(f"entry point {entry.name} of {ENTRY_POINTS}: cannot be loaded ({error})") from error
        if not isinstance(task, Task):
            raise BenchmarkError(f"entry point {entry.name} of {ENTRY_POINTS}: expected a Task, found {entry.value}")
        register(task)
