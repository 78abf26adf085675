"""Write a dataset in another layout. Each file in this folder is a layout: NAME.py defines `export_NAME`.

An exporter fills an empty folder, and `export_to` gives the folder its name when it is complete.
"""

import importlib
import pkgutil
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from css_gen.errors import DatasetError, UsageError

if TYPE_CHECKING:  # `css-gen --help` asks for the names, and has to be quick
    from css_gen.dataset import Dataset
    from css_gen.progress import Reporter

Exporter: TypeAlias = Callable[["Dataset", Path, Callable[[int], None]], None]


def names() -> tuple[str, ...]:
    """Return the names of all layouts, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def exporter(layout: str) -> Exporter:
    """Return the function that writes a layout.

    Raises:
        UsageError: there is no such layout.
    """
    if layout not in names():
        raise UsageError(f"no layout is called {layout!r}; expected one of {', '.join(names())}")
    found: Exporter = getattr(importlib.import_module(f"{__name__}.{layout}"), f"export_{layout}")
    return found


def export_to(dataset: "Dataset", out: Path, layout: str, *, reporter: "Reporter | None" = None) -> None:
    """Write a dataset in a layout into a folder that is new or empty.

    Raises:
        UsageError: there is no such layout.
        DatasetError: the folder is not empty, or the dataset is broken.
        OSError: the disk is full, or the folder cannot be made.
    """
    from css_gen.progress import Silent

    write = exporter(layout)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DatasetError(f"{out} exists and is not an empty folder; choose a new folder with --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    try:
        images = sum(counts.images for counts in dataset.manifest.splits.values())
        with (reporter or Silent()).track("exporting", images, "images") as on_progress:
            write(dataset, partial, on_progress)
        partial.chmod(0o755)
        partial.replace(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
