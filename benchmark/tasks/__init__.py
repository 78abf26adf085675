"""The datasets by name: where each lies, and how to open it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmark.datasets.splits import Dataset
from benchmark.errors import UsageError
from benchmark.recipe.spelling import unknown
from benchmark.tasks.css import Css, render_css
from benchmark.tasks.css_original import CssOriginal
from benchmark.tasks.fashion200k import Fashion200k
from benchmark.tasks.mit_states import MitStates
from css_gen.progress import Reporter


class Opener(Protocol):
    def __call__(self, root: Path, /, *, image_size: int, reporter: Reporter, skip_broken: bool) -> Dataset:
        """Open a dataset. Raises BenchmarkError if the folder does not hold it, or holds what is broken."""
        ...


@dataclass(frozen=True)
class DatasetInfo:
    """What the command line says about a protocol.

    Attributes:
        name: of the protocol, as in records and leaderboards.
        title: one line.
        folder_name: of the data in `data/`, and the NAME of `--data NAME=PATH`; protocols may share it.
        open: gives the dataset from its folder.
        make: makes the data in a folder, or goes on making it; None for data that only its owners distribute.
    """

    name: str
    title: str
    folder_name: str
    open: Opener
    make: Callable[[Path, Reporter], None] | None = None


def _css(root: Path, /, *, image_size: int, reporter: Reporter, skip_broken: bool) -> Dataset:  # noqa: ARG001
    return Css("css", root, source_view="3d", image_size=image_size, reporter=reporter)


def _css_2d3d(root: Path, /, *, image_size: int, reporter: Reporter, skip_broken: bool) -> Dataset:  # noqa: ARG001
    return Css("css-2d3d", root, source_view="2d", image_size=image_size, reporter=reporter)


_DATASETS = {
    info.name: info
    for info in (
        DatasetInfo("css", "CSS, from a 3D image to a 3D image", "css", _css, render_css),
        DatasetInfo("css-2d3d", "CSS, from a flat drawing to a 3D image", "css", _css_2d3d, render_css),
        DatasetInfo("fashion200k", "Fashion200k, replace a word of a garment's caption", "fashion200k", Fashion200k),
        DatasetInfo("mit-states", "MIT-States, the same thing in another state", "mitstates", MitStates),
        DatasetInfo("css-original", "CSS as google/tirg released it, 3D to 3D", "css-original", CssOriginal),
    )
}


def names() -> tuple[str, ...]:
    return tuple(_DATASETS)


def info(name: str) -> DatasetInfo:
    """Raises UsageError, offering the nearest name, if there is no such dataset."""
    if name not in _DATASETS:
        raise UsageError(unknown("dataset", name, _DATASETS))
    return _DATASETS[name]


def folder_names() -> tuple[str, ...]:
    """The names that `--data` knows."""
    return tuple(dict.fromkeys(each.folder_name for each in _DATASETS.values()))


def require_known(places: Iterable[str]) -> None:
    """Raises UsageError, offering the nearest, for the name of a folder that no dataset has."""
    for name in places:
        if name not in folder_names():
            raise UsageError(f"--data: {unknown('dataset', name, folder_names())}")


def present_or_made(places: dict[str, Path]) -> tuple[str, ...]:
    """The datasets whose folder is there or given, and those that can be made."""
    return tuple(
        name
        for name, each in _DATASETS.items()
        if each.make or each.folder_name in places or locate(name, places).exists()
    )


def make_if_absent(name: str, places: dict[str, Path], reporter: Reporter) -> None:
    """Make a dataset that is not in its usual place, or only in part. A folder that was given is taken as it is.

    Raises:
        BenchmarkError: it cannot be made there.
    """
    make, root = info(name).make, locate(name, places)
    if make and info(name).folder_name not in places and not (root / "manifest.json").exists():
        make(root, reporter)


def locate(name: str, places: dict[str, Path]) -> Path:
    """The folder of a dataset: the one given for it, else `data/<its folder name>`."""
    folder_name = info(name).folder_name
    return places.get(folder_name, Path("data") / folder_name)
