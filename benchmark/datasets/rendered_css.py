"""Read a dataset that css-gen rendered: queries, labels and decoded images of its splits."""

import io
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

import css_gen.dataset
from benchmark.datasets.folder_images import BrokenImage
from benchmark.datasets.image_cache import ImageSource, cached
from benchmark.datasets.splits import Pixels, Queries, Split
from benchmark.errors import BenchmarkError
from css_gen.errors import DatasetError
from css_gen.progress import Reporter


class Css:
    """A CSS protocol: queries start from 3D or from 2D images, the gallery is all 3D images of the split.

    Args:
        root: a folder that css-gen rendered.
        source_view: "3d", or "2d" for 2D-to-3D retrieval.
        image_size: width and height that images are reduced to.
        reporter: told about the decoding, which happens once per image size.

    Raises:
        BenchmarkError: the folder is missing, damaged or of another version. Also raised on first use of a split.
    """

    spatial = True
    skipped: Mapping[str, str] = MappingProxyType({})

    def __init__(self, name: str, root: Path, *, source_view: str, image_size: int, reporter: Reporter) -> None:
        self.name = name
        self._source_view, self._image_size, self._reporter = source_view, image_size, reporter
        try:
            self._dataset = css_gen.dataset.open(root)
        except DatasetError as error:
            raise BenchmarkError(str(error)) from None

    @property
    def fingerprint(self) -> str:
        return self._dataset.fingerprint

    @property
    def rendering(self) -> dict[str, Any]:
        return self._dataset.manifest.configuration.to_json()

    @cached_property
    def train(self) -> Split:
        return self._split("train")

    @cached_property
    def test(self) -> Split:
        return self._split("test")

    def _split(self, name: str) -> Split:
        split = self._dataset.split(name)
        try:
            queries = _queries(split)
            labels = np.unique(np.array(split.keys), return_inverse=True)[1].astype(np.int64)
        except (DatasetError, OSError, ValueError, KeyError) as error:
            raise BenchmarkError(
                f"{self._dataset.root}: the {name} split cannot be read ({error}); "
                f"`css-gen verify {self._dataset.root}` says what is broken, and --repair renders it again"
            ) from None
        gallery = self._pixels(split, "3d", len(split))
        sources = gallery
        if self._source_view == "2d":
            sources = self._pixels(split, "2d", split.counts.references)
        return Split(sources=sources, gallery=gallery, labels=labels, queries=queries)

    def _pixels(self, split: css_gen.dataset.Split, view: str, count: int) -> Pixels:
        """The first `count` images of a split in one view: uint8 (count, size, size, 3), mapped into memory."""

        def encoded(row: int) -> Iterator[bytes]:
            return (png for (png,) in islice(split.iter_pngs([f"image_{view}"]), row, count))

        source = ImageSource(split.root, [f"{view} image {row}" for row in range(count)], encoded, reduced)
        try:
            found = cached(
                source, f"{split.name}-{view}", self._image_size, self._reporter, key=split.manifest.fingerprint[:16]
            )
            for name, reason in found.broken.items():
                raise BrokenImage(f"{name} {reason}")
        except (DatasetError, BrokenImage, pa.ArrowException) as error:
            raise BenchmarkError(
                f"{split.root}: an image of the {split.name} split cannot be read ({error}); `css-gen verify "
                f"{split.root}` says what is broken, and `css-gen verify --repair {split.root}` renders it again"
            ) from None
        return found.pixels


def reduced(png: bytes, size: int) -> Pixels:
    """Decode an image and average it down to (size, size, 3), uint8.

    Raises:
        BrokenImage: it is damaged.
    """
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            image.load()
            small = image.convert("RGB").resize((size, size), Image.Resampling.BOX)
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, Image.DecompressionBombError) as error:
        raise BrokenImage(f"is truncated or damaged ({error})") from None
    return np.asarray(small)


def _queries(split: css_gen.dataset.Split) -> Queries:
    rows = split.queries
    sources = np.array([row.source_id for row in rows], dtype=np.int64)
    objects = {source: str(len(split.scene(source).objects)) for source in np.unique(sources).tolist()}
    return Queries(
        ids=tuple(str(row.query_id) for row in rows),
        sources=sources,
        targets=np.array([row.target_id for row in rows], dtype=np.int64),
        source_images=sources,
        texts=tuple(row.text for row in rows),
        attributes={
            "kind": np.array([row.kind for row in rows]),
            "combination": np.array(["novel" if row.novel else "seen" for row in rows]),
            "objects": np.array([objects[source] for source in sources.tolist()]),
        },
    )
