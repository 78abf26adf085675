"""The datasets by name: where each lies, and how to open it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmark.config import unknown
from benchmark.datasets.base import Dataset
from benchmark.datasets.css import Css
from benchmark.errors import UsageError
from css_gen.progress import Reporter


@dataclass(frozen=True)
class DatasetInfo:
    """What the command line says about a protocol.

    Attributes:
        name: of the protocol, as in records and leaderboards.
        title: one line.
        folder_name: of the data in `data/`, and the NAME of `--data NAME=PATH`; protocols may share it.
        open: gives the dataset from its folder, the image size, and somewhere to report to.
    """

    name: str
    title: str
    folder_name: str
    open: Callable[[Path, int, Reporter], Dataset]


def _css(root: Path, image_size: int, reporter: Reporter) -> Dataset:
    return Css("css", root, source_view="3d", image_size=image_size, reporter=reporter)


def _css_2d3d(root: Path, image_size: int, reporter: Reporter) -> Dataset:
    return Css("css-2d3d", root, source_view="2d", image_size=image_size, reporter=reporter)


_DATASETS = {
    info.name: info
    for info in (
        DatasetInfo("css", "CSS, from a 3D image to a 3D image", "css", _css),
        DatasetInfo("css-2d3d", "CSS, from a flat drawing to a 3D image", "css", _css_2d3d),
    )
}


def names() -> tuple[str, ...]:
    return tuple(_DATASETS)


def info(name: str) -> DatasetInfo:
    """Raises UsageError, offering the nearest name, if there is no such dataset."""
    if name not in _DATASETS:
        raise UsageError(unknown("dataset", name, _DATASETS))
    return _DATASETS[name]


def locate(name: str, places: dict[str, Path]) -> Path:
    """The folder of a dataset: the one given for it, else `data/<its folder name>`."""
    folder_name = info(name).folder_name
    return places.get(folder_name, Path("data") / folder_name)
