"""A dataset in other layouts: an exporter fills an empty folder, `export_to` gives it its name when it is complete."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from css_gen.dataset import Dataset
from css_gen.errors import DatasetError
from css_gen.export.png import export_png
from css_gen.export.tirg import export_tirg
from css_gen.export.webdataset import export_webdataset
from css_gen.progress import Reporter, Silent

Exporter = Callable[[Dataset, Path, Callable[[int], None]], None]

EXPORTERS: dict[str, Exporter] = {"png": export_png, "tirg": export_tirg, "webdataset": export_webdataset}


def export_to(dataset: Dataset, out: Path, exporter: Exporter, *, reporter: Reporter | None = None) -> None:
    """Write a dataset with an exporter into a folder that is new or empty.

    Raises:
        DatasetError: the folder is neither, or the dataset is broken.
        OSError: the disk is full, or the folder cannot be made.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DatasetError(f"{out} exists and is not an empty folder; choose a new folder with --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    try:
        images = sum(counts.images for counts in dataset.manifest.splits.values())
        with (reporter or Silent()).track("exporting", images, "images") as on_progress:
            exporter(dataset, partial, on_progress)
        partial.chmod(0o755)
        partial.replace(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
