"""A folder of image files to search."""

import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.datasets.folder_images import BrokenImage, decode, safe_path
from benchmark.datasets.splits import Pixels, Rows
from benchmark.errors import UsageError
from benchmark.search.gallery import readable
from benchmark.search.query_image import PICTURE, printable

SUFFIXES = (".jpg", ".jpeg", ".png")


class FolderGallery:
    """All JPEG and PNG files in a folder and the folders in it, in the order of their names; hidden ones left out.

    Args:
        resampling: how the network's images were made smaller.

    Raises:
        UsageError: there is no such folder, or no image file in it.
    """

    keys: Sequence[str] = ()

    def __init__(self, folder: Path, *, image_size: int, resampling: Image.Resampling) -> None:
        if not folder.is_dir():
            raise UsageError(f"--gallery {printable(folder)}: there is no such folder")
        self.title = printable(folder)
        self.broken: dict[str, str] = {}
        self.folder, self._image_size, self._resampling = folder, image_size, resampling
        self._files = sorted(
            name
            for parent, folders, files in os.walk(folder)
            for name in (os.path.relpath(Path(parent) / file, folder) for file in files)
            if name.lower().endswith(SUFFIXES) and not any(part.startswith(".") for part in Path(name).parts)
        )
        if not self._files:
            raise UsageError(f"--gallery {self.title}: there is no {', '.join(SUFFIXES)} file in it")
        self._stamps = [_stamp(folder / name) for name in self._files]

    def __len__(self) -> int:
        return len(self._files)

    def has_the_files_of(self, other: "FolderGallery") -> bool:
        """Whether both are of one folder whose files have not changed in between, by their sizes and times."""
        return (self.folder.resolve(), self._files, self._stamps) == (
            other.folder.resolve(), other._files, other._stamps,
        )  # fmt: skip

    def chunks(self, images: int) -> Iterator[tuple[Rows, Pixels]]:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for start in range(0, len(self), images):
                rows = range(start, min(start + images, len(self)))
                found = dict(zip(rows, pool.map(self._decoded, rows), strict=True))
                whole = {row: pixels for row, pixels in found.items() if not isinstance(pixels, str)}
                self.broken |= {self.name(row): why for row, why in found.items() if isinstance(why, str)}
                if whole:
                    yield np.array(list(whole), dtype=np.int64), np.stack(list(whole.values()))

    def name(self, row: int) -> str:
        return printable(self._files[row])

    def rows_of(self, keys: Collection[str]) -> Rows:  # noqa: ARG002  scenes are not known
        return np.empty(0, dtype=np.int64)

    def picture(self, row: int) -> Pixels:
        with readable(self.folder):
            return decode(safe_path(self.folder, self._files[row]), PICTURE)

    def _decoded(self, row: int) -> Pixels | str:
        try:
            path = safe_path(self.folder, self._files[row])
            return decode(path, self._image_size, resampling=self._resampling)
        except BrokenImage as error:
            return str(error)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Size and time of a file; None if it is a broken link."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
