"""Read a dataset lazily: opening it reads only the manifest, and an image only its own bytes once its place is known.

See `css_gen.open_dataset` for an example.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from css_gen.errors import DatasetError
from css_gen.rendering.geometry import Geometry
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.scene import Scene
from css_gen.storage import geometry_columns
from css_gen.storage.manifest import Manifest, SplitCounts, read_manifest
from css_gen.storage.plan import queries_name
from css_gen.storage.random_access import RandomAccess
from css_gen.storage.reader import decode_png, modification_reader, open_parquet, reading, require_columns
from css_gen.storage.schema import DEPTH_STEPS
from css_gen.tracks import Program

__all__ = ["Dataset", "DatasetError", "QueryRow", "Split", "decode_png", "open"]

_OPEN_FILES = 64


@dataclass(frozen=True)
class QueryRow:
    """One query of a split. Ids are row numbers: of the queries, and of the split's images.

    Attributes:
        modification_id: equal for queries that share a modification.
        kind: the modification's kind, as `modification.kind`.
        modification: a `css_gen.scenes.modification.Modification`, and a `css_gen.tracks.Program` where the dataset is
            of a track.
        novel: whether the modification adds, removes or changes an object of a combination that train never shows.
        distractors: on a track, the wrong answers that are in the test split's gallery for this query, each as
            (what is wrong with it, image id).
    """

    query_id: int
    source_id: int
    target_id: int
    modification_id: int
    text: str
    modification: Any
    kind: str
    novel: bool
    distractors: tuple[tuple[str, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values; the modification is a string of JSON, as in the file."""
        values = {**vars(self), "modification": self.modification.to_json()}
        if not isinstance(self.modification, Program):
            del values["distractors"]
        return values


class Dataset:
    """A rendered dataset, as `css_gen.open_dataset` returns it.

    Attributes:
        root: its folder.
        manifest: what it is and which files it has.
    """

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.root = root
        self.manifest = manifest

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the decoded content: equal for equal datasets, whichever machine rendered them."""
        return self.manifest.fingerprint

    @property
    def track(self) -> str:
        """What the queries ask: "css", or the name of a track of `css_gen.tracks`."""
        return self.manifest.configuration.track

    @property
    def split_names(self) -> tuple[str, ...]:
        return tuple(self.manifest.splits)

    def split(self, name: str) -> "Split":
        """Return the split "train" or "test".

        Raises:
            DatasetError: there is no such split.
        """
        if name not in self.manifest.splits:
            raise DatasetError(f"{self.root} has no split {name!r}; expected one of {', '.join(self.manifest.splits)}")
        return Split(self.root, name, self.manifest)


class Split:
    """One split of a dataset. `len(split)` is its number of images; an image's id is its row number, from 0."""

    def __init__(self, root: Path, name: str, manifest: Manifest) -> None:
        self.root = root
        self.name = name
        self.manifest = manifest
        self.counts: SplitCounts = manifest.splits[name]
        self._shards = sorted(file for file in manifest.files if file.startswith(f"{name}/images-"))
        self._rows = RandomAccess(root, [(shard, manifest.files[shard].rows) for shard in self._shards])
        self._files: dict[str, pq.ParquetFile] = {}

    def __reduce__(self) -> tuple[type[Self], tuple[Path, str, Manifest]]:
        return type(self), (self.root, self.name, self.manifest)

    def __len__(self) -> int:
        return self.counts.images

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the split's decoded content: equal for equal splits, whatever the other split is."""
        return self.manifest.split_fingerprint(self.name)

    @cached_property
    def keys(self) -> list[str]:
        """Every image's scene key: equal keys are equal labels."""
        return self._whole_column("key")

    @cached_property
    def is_reference(self) -> list[bool]:
        """Whether each image is one that queries start from."""
        return self._whole_column("is_reference")

    @cached_property
    def queries(self) -> list[QueryRow]:
        """All queries, in the order of their ids."""
        return list(self.iter_queries())

    def iter_queries(self) -> Iterator[QueryRow]:
        """Yield the queries one by one, in constant memory."""
        name = queries_name(SplitId[self.name.upper()])
        from_json = modification_reader(self.manifest.configuration.track)
        with reading(self.root, name):
            for batch in self._open(name).iter_batches():
                for row in batch.to_pylist():
                    ids, why = row.pop("distractor_ids", ()), row.pop("distractor_why", ())
                    distractors = tuple(zip(why, ids, strict=True))
                    modification = from_json(row["modification"])
                    yield QueryRow(**row | {"modification": modification, "distractors": distractors})

    def scene(self, image_id: int) -> Scene:
        """Return the scene of an image.

        Raises:
            IndexError: there is no such image. (Also raised by the methods below.)
        """
        return Scene.from_json(self._rows.value(self._checked(image_id), "scene"))

    def image_3d(self, image_id: int) -> NDArray[np.uint8]:
        """Return the ray-traced image, uint8 (H, W, 3) sRGB."""
        return decode_png(self.png(image_id, "image_3d"))

    def image_2d(self, image_id: int) -> NDArray[np.uint8]:
        """Return the flat image, uint8 (H, W, 3) sRGB."""
        return decode_png(self.png(image_id, "image_2d"))

    def mask(self, image_id: int) -> NDArray[np.uint8]:
        """Return which object each pixel of the ray-traced image shows, uint8 (H, W).

        It is 0 for the floor, and for an object 1 to 9 by its cell: 1 + `cell.index`.

        Raises:
            DatasetError: the dataset was rendered without `--with masks`.
        """
        return decode_png(self.png(image_id, "mask"))

    def depth(self, image_id: int) -> NDArray[np.float32]:
        """Return how far away each pixel of the ray-traced image is, float32 (H, W).

        Distances are along the viewing axis in world units, to the nearest thousandth, and infinite from 65.535 on.

        Raises:
            DatasetError: the dataset was rendered without `--with depth`.
        """
        steps = decode_png(self.png(image_id, "depth"))
        farthest = np.iinfo(np.uint16).max
        return np.where(steps == farthest, np.float32(np.inf), steps.astype(np.float32) / np.float32(DEPTH_STEPS))

    def geometry(self, image_id: int) -> Geometry:
        """Return where the objects of an image are, in world units and in pixels, their materials, camera and lamps.

        Raises:
            DatasetError: the dataset was rendered without `--with geometry`.
        """
        scene = self.scene(image_id)
        return geometry_columns.from_row(
            scene, {name: self._rows.value(image_id, name) for name in geometry_columns.COLUMNS}
        )

    def png_3d(self, image_id: int) -> bytes:
        """Return the ray-traced image as it is stored."""
        return self.png(image_id, "image_3d")

    def png(self, image_id: int, column: str) -> bytes:
        """Return an image as it is stored: column image_3d, image_2d or, where the dataset has them, mask or depth.

        Raises:
            DatasetError: the dataset has no such column.
        """
        return self._rows.png(self._checked(image_id), column)

    def iter_images(self, columns: Sequence[str] = ("image_3d", "image_2d")) -> Iterator[tuple[NDArray[Any], ...]]:
        """Yield every image in the order of ids, decoded, as a tuple in the order of `columns`."""
        for pngs in self.iter_pngs(columns):
            yield tuple(decode_png(png) for png in pngs)

    def iter_pngs(self, columns: Sequence[str] = ("image_3d", "image_2d")) -> Iterator[tuple[bytes, ...]]:
        """Yield every image as `iter_images` does, but as it is stored."""
        for shard in self._shards:
            file = self._open(shard)
            require_columns(file, columns, self.root / shard)
            for group in range(file.num_row_groups):
                with reading(self.root, shard):
                    table: Any = file.read_row_group(group, columns=list(columns))
                stored = [table[name].combine_chunks().field("bytes").to_pylist() for name in columns]
                yield from zip(*stored, strict=True)

    def _whole_column(self, name: str) -> list[Any]:
        values: list[Any] = []
        for shard in self._shards:
            with reading(self.root, shard):
                values += self._open(shard).read([name])[name].to_pylist()
        return values

    def _checked(self, image_id: int) -> int:
        if not 0 <= image_id < len(self):
            raise IndexError(f"{self.name} has images 0 to {len(self) - 1}, not {image_id}")
        return image_id

    def _open(self, name: str) -> pq.ParquetFile:
        if name not in self._files:
            while len(self._files) >= _OPEN_FILES:
                del self._files[next(iter(self._files))]
            with reading(self.root, name):
                self._files[name] = open_parquet(self.root / name)
        return self._files[name]


def open(path: str | PathLike[str]) -> Dataset:
    """Open the dataset in a folder: see `css_gen.open_dataset`."""
    root = Path(path)
    manifest = read_manifest(root)
    if not manifest.is_unedited:
        raise DatasetError(
            f"{root / 'manifest.json'} was edited: its checksum of itself is wrong; "
            f"`css-gen verify {root}` lists what is broken and --repair writes it again"
        )
    return Dataset(root, manifest)
