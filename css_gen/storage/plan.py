"""Divide a dataset into files, and say which scenes and queries each of them holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from css_gen.scenes.randomness import SplitId
from css_gen.scenes.sampling import HeldOut, SplitPlan
from css_gen.storage.configuration import CSS, Configuration
from css_gen.tracks.plan import TrackPlan

_SHARD_IMAGES = 500
_SHARD_PIXELS = _SHARD_IMAGES * 224 * 224
_FEWEST_SHARDS = 4


@dataclass(frozen=True)
class Shard:
    """The unit of work, resume, checksum and distribution: images `start` to `stop` of a split, the stop excluded."""

    split: SplitId
    index: int
    count: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """The path of its file inside the dataset."""
        return f"{split_name(self.split)}/images-{self.index:05d}-of-{self.count:05d}.parquet"


@dataclass(frozen=True)
class QueryFile:
    """The other unit of work: all queries of a split."""

    split: SplitId

    @property
    def name(self) -> str:
        """The path of its file inside the dataset."""
        return queries_name(self.split)


Unit: TypeAlias = Shard | QueryFile
Plan: TypeAlias = SplitPlan | TrackPlan
"""Of css, or of a track."""


def split_name(split: SplitId) -> str:
    return split.name.lower()


def queries_name(split: SplitId) -> str:
    """Return the path of a split's queries inside the dataset."""
    return f"{split_name(split)}/queries.parquet"


def shard_count(images: int, size: int) -> int:
    """Return how many shards hold a split.

    A shard has 500 images at 224 pixels and fewer where images are larger, so that its time and memory are bounded.
    There are at least four if there are images for them, so that small datasets can be resumed, too.
    """
    most = max(1, min(_SHARD_IMAGES, _SHARD_PIXELS // size**2))
    return max(-(-images // most), min(_FEWEST_SHARDS, images))


def shards(configuration: Configuration, split: SplitId) -> Iterator[Shard]:
    """Yield a split's shards in order; their sizes differ by one image at most."""
    images = configuration.split_images(split)
    count = shard_count(images, configuration.size)
    for index in range(count):
        yield Shard(split, index, count, index * images // count, (index + 1) * images // count)


def units(configuration: Configuration) -> Iterator[Unit]:
    """Yield all files of a dataset. The queries come first: one task per split, and the longest."""
    for split in SplitId:
        yield QueryFile(split)
    for split in SplitId:
        yield from shards(configuration, split)


def split_plan(configuration: Configuration, split: SplitId, combinations: HeldOut | None = None) -> Plan:
    """Return the scenes and queries of a split.

    Args:
        combinations: to hold out; None for those of the configuration's seed.

    Raises:
        ValueError: the split has too few images.
    """
    images, shown = configuration.split_images(split), combinations or held_out(configuration)
    if configuration.track == CSS:
        return SplitPlan(images, seed=configuration.seed, split=split, held_out=shown)
    return TrackPlan(configuration.track, images, seed=configuration.seed, split=split, held_out=shown)


def image_materials(plan: Plan, image: int) -> tuple[str, ...]:
    """Return the materials that a track draws an image's objects from; empty if the configuration's apply."""
    return plan.materials(image) if isinstance(plan, TrackPlan) else ()


def held_out(configuration: Configuration) -> HeldOut:
    """Return the shape-colour combinations that one split alone shows."""
    return HeldOut.sample(seed=configuration.seed)
