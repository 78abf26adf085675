"""Find the data of a task, and make it if it is absent."""

from collections.abc import Mapping
from pathlib import Path

from benchmark.tasks.registry import get, names
from css_gen.progress import Reporter

DATA = Path("data")


def locate(name: str, places: Mapping[str, Path]) -> Path:
    """The folder of a task's data: the one given for it, else in `data/` under its folder's name.

    A folder in `data/` under another accepted name of the task is taken if that is the one there is.

    Args:
        name: of the task.
        places: folders that were given, by the names of `registry.folders`.
    """
    task = get(name)
    if task.folder in places:
        return places[task.folder]
    usual = DATA / task.folder
    others = (DATA / other for other in (task.name, *task.spellings))
    return usual if usual.exists() else next((place for place in others if place.exists()), usual)


def present_or_made(places: Mapping[str, Path]) -> tuple[str, ...]:
    """The tasks whose folder exists or was given, and those whose data can be made, but for tracks: these are many, and
    rendered when they are named."""
    return tuple(
        name
        for name in names()
        if (get(name).make and not get(name).track) or get(name).folder in places or locate(name, places).exists()
    )


def make_if_absent(name: str, places: Mapping[str, Path], reporter: Reporter) -> None:
    """Make data that is absent from its usual place, or incomplete there. A folder that was given is taken as it is.

    Raises:
        BenchmarkError: it cannot be made there.
    """
    make, root = get(name).make, locate(name, places)
    if make and get(name).folder not in places and not (root / "manifest.json").exists():
        make(root, reporter)
