"""Read a dataset that css-gen rendered: queries, labels, relevant labels, and decoded images of its splits."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

import css_gen.dataset
from benchmark.datasets.combinations import Combinations
from benchmark.datasets.equivalent_texts import equivalents_of
from benchmark.datasets.folder_images import BrokenImage
from benchmark.datasets.image_cache import ImageSource, cached
from benchmark.datasets.relevance import Relevance
from benchmark.datasets.rendered_track import contrasts_of, shortcut_of, slices_of
from benchmark.datasets.splits import Mask, Pixels, Queries, Rows, Split, Words
from benchmark.errors import BenchmarkError
from css_gen import tracks
from css_gen.errors import DatasetError
from css_gen.progress import Reporter
from css_gen.scenes.factors import CELLS, COMBINATIONS, Shape
from css_gen.scenes.modification import Modification
from css_gen.scenes.reachable import count_reachable
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.storage.configuration import CSS
from css_gen.tracks import Track


class Css:
    """A CSS protocol: queries start from 3D or from 2D images, the gallery is all 3D images of the split.

    Args:
        root: a folder that css-gen rendered.
        source_view: "3d", or "2d" for 2D-to-3D retrieval.
        image_size: width and height that images are reduced to.
        spatial: whether composers get the map (B, C, H, W) or the pooled vector (B, C).
        track: of css-gen's, "css" for css itself.
        reporter: told about the decoding, which happens once per image size.

    Raises:
        BenchmarkError: the folder is missing, damaged, of another version or of another track. Also raised on first use
            of a split.
    """

    skipped: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        name: str,
        root: Path,
        *,
        source_view: str,
        image_size: int,
        reporter: Reporter,
        spatial: bool = True,
        track: str = CSS,
    ) -> None:
        self.name, self.spatial = name, spatial
        self._source_view, self._image_size, self._reporter = source_view, image_size, reporter
        try:
            self._dataset = css_gen.dataset.open(root)
        except DatasetError as error:
            raise BenchmarkError(str(error)) from None
        if self._dataset.track != track:
            raise BenchmarkError(
                f"{root}: holds the track {self._dataset.track}, and {name} is on {track}; give the folder of that, or "
                f"render it: css-gen render --track {track}"
            )
        self._track = None if track == CSS else tracks.get(track)

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
            keys, labels = np.unique(np.array(split.keys), return_inverse=True)
            scenes = [split.scene(image) for image in range(len(split))]
            label_of = {key: label for label, key in enumerate(keys.tolist())}
            relevant = _relevant(split, scenes, label_of)
            queries = _queries(split, scenes, relevant, self._track)
            text_candidates = None if self._track else _text_candidates(split, scenes)
            contrasts = contrasts_of(self._track, split.queries) if self._track else {}
            shortcut = shortcut_of(self._track, split.queries, scenes) if self._track else None
        except (DatasetError, OSError, ValueError, KeyError) as error:
            raise BenchmarkError(
                f"{self._dataset.root}: the {name} split cannot be read ({error}); "
                f"`css-gen verify {self._dataset.root}` says what is broken, and --repair renders it again"
            ) from None
        gallery = self._pixels(split, "3d", len(split))
        sources = gallery
        if self._source_view == "2d":
            sources = self._pixels(split, "2d", split.counts.references)
        return Split(
            sources=sources,
            gallery=gallery,
            labels=labels.astype(np.int64),
            queries=queries,
            relevant=relevant,
            text_candidates=text_candidates,
            combinations=_combinations(scenes, queries),
            contrasts=contrasts,
            shortcut=shortcut,
            equivalents=None if self._track else equivalents_of(split.queries, scenes, label_of),
            shapes=None if self._track else _shapes(scenes),
        )

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


def _relevant(split: css_gen.dataset.Split, scenes: Sequence[Scene], label_of: Mapping[str, int]) -> Relevance:
    """The labels of all the split's scenes that satisfy each query.

    Args:
        scenes: of every image.
        label_of: the label of each scene of the split, by the scene's key.
    """
    return Relevance.of_sets(
        [label_of[key] for key in row.modification.targets(scenes[row.source_id]) if key in label_of]
        for row in split.queries
    )


def _text_candidates(split: css_gen.dataset.Split, scenes: Sequence[Scene]) -> Rows:
    rows = split.queries
    return count_reachable([row.modification for row in rows], scenes, without=[row.source_id for row in rows])


def _queries(
    split: css_gen.dataset.Split, scenes: Sequence[Scene], relevant: Relevance, track: Track | None
) -> Queries:
    rows = split.queries
    programs = slices_of(track, rows, scenes) if track else _slices_of_css(rows, scenes)
    sources = np.array([row.source_id for row in rows], dtype=np.int64)
    return Queries(
        ids=tuple(str(row.query_id) for row in rows),
        sources=sources,
        targets=np.array([row.target_id for row in rows], dtype=np.int64),
        source_images=sources,
        texts=tuple(row.text for row in rows),
        attributes={
            **programs,
            "answers": np.where(relevant.counts > 1, "2+", "1"),
            "combination": np.array(["novel" if row.novel else "seen" for row in rows]),
            "objects": np.array([str(len(scenes[row.source_id])) for row in rows]),
        },
        groups=np.array([row.modification_id for row in rows], dtype=np.int64) if track else None,
    )


def _slices_of_css(rows: Sequence[css_gen.dataset.QueryRow], scenes: Sequence[Scene]) -> dict[str, Words]:
    return {
        "selection": np.array([selection(row.modification) for row in rows]),
        "changed": np.array([changed(scenes[row.source_id], scenes[row.target_id]) for row in rows]),
        "kind": np.array([row.kind for row in rows]),
    }


def _combinations(scenes: Sequence[Scene], queries: Queries) -> Combinations:
    """Which of COMBINATIONS each image shows, and which ones the objects have that each query's source and target do
    not share."""
    pairs = zip(queries.source_images.tolist(), queries.targets.tolist(), strict=True)
    return Combinations(
        shown=_shown(scenes),
        asked=_shown([{*scenes[source]} ^ {*scenes[target]} for source, target in pairs]),
        sources=queries.source_images,
        targets=queries.targets,
    )


def _shown(groups: Sequence[Iterable[SceneObject]]) -> Mask:
    column = {combination: place for place, combination in enumerate(COMBINATIONS)}
    found = np.zeros((len(groups), len(column)), dtype=bool)
    for row, objects in enumerate(groups):
        found[row, [column[item.shape, item.colour] for item in objects]] = True
    return found


def _shapes(scenes: Sequence[Scene]) -> Rows:
    number = {shape: 1 + place for place, shape in enumerate(Shape)}
    found = np.zeros((len(scenes), len(CELLS)), dtype=np.int64)
    for row, scene in enumerate(scenes):
        for item in scene:
            found[row, item.cell.index] = number[item.shape]
    return found


def selection(modification: Modification) -> str:
    """By what the words say which object is meant: "cell", "content", both, or nothing, which means every object.

    For an `add` it is the new object that they describe.
    """
    wanted = modification.selector
    content = any(factor is not None for factor in (wanted.size, wanted.colour, wanted.shape))
    if wanted.cell is None:
        return "content" if content else "everything"
    return "cell and content" if content else "cell"


def changed(source: Scene, target: Scene) -> str:
    """How many objects of the source the target no longer has as they were: 0 for an `add`; three or more are "3+"."""
    count = len({*source} - {*target})
    return str(count) if count < 3 else "3+"
