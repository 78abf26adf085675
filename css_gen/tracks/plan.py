"""All scenes and queries of a track's split, each a pure function of (track, seed, split, index).

Images are numbered from 0: the references, then the blocks of the queries. A block is a target and its distractors; in
the training split it is the target alone.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache
from typing import NamedTuple

from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.matching import coprime
from css_gen.scenes.randomness import SplitId, Stream, stream
from css_gen.scenes.sampling import reference
from css_gen.scenes.scene import Scene
from css_gen.tracks import registry
from css_gen.tracks.base import Draw, Pool, Program

_IMAGES_A_REFERENCE = 19.012
"""As in css."""


@dataclass(frozen=True)
class TrackQuery:
    """A source image and a program ask for a target image.

    Attributes:
        index: its number in the split.
        source, target: numbers of images.
        modification_id: equal for queries that share a target.
        novel: whether an object that source and target do not share has a combination that only test shows. An object
            that one edit of a chain makes and a later one takes back does not count.
        distractors: (why, number of an image) of each.
    """

    index: int
    source: int
    target: int
    modification_id: int
    modification: Program
    source_scene: Scene
    target_scene: Scene
    novel: bool
    distractors: tuple[tuple[str, int], ...]


class BlockSizes(NamedTuple):
    """How a split is divided: images = references + blocks * images of a block."""

    references: int
    blocks: int


def block_sizes(images: int, block: int) -> BlockSizes:
    """Divide a split into references and blocks; there are about as many references as in css.

    Raises:
        ValueError: there are too few images for three references and a block.
    """
    remainder = images % block
    nearest = remainder + block * round((images / _IMAGES_A_REFERENCE - remainder) / block)
    references = max(nearest, remainder + block * -(-max(0, 3 - remainder) // block))
    if references + block > images:
        raise ValueError(f"a split of this track needs at least {3 + block} images, got {images}")
    return BlockSizes(references, (images - references) // block)


def images_of_a_block(track: str, split: SplitId) -> int:
    """Return how many images a target and its distractors are."""
    return 1 if split is SplitId.TRAIN else 1 + registry.get(track).distractors


def track_reference(track: str, index: int, *, seed: int, split: SplitId, held_out: HeldOut) -> Scene:
    """Return reference number `index` of a split: the track's own, or css's."""
    if draw := registry.get(track).reference:
        return draw(index, seed, split, held_out)
    return reference(index, seed=seed, split=split, held_out=held_out)


@dataclass(frozen=True)
class TrackPlan:
    """All scenes and queries of a split of a track.

    Raises:
        ValueError: there is no such track, or there are too few images for a split.
    """

    track: str
    images: int
    _: KW_ONLY
    seed: int
    split: SplitId
    held_out: HeldOut

    def __post_init__(self) -> None:
        block_sizes(self.images, self.block)

    @property
    def block(self) -> int:
        """Images of a block."""
        return images_of_a_block(self.track, self.split)

    @property
    def programs(self) -> int:
        """Queries of a block."""
        return 1 if self.split is SplitId.TRAIN else registry.get(self.track).programs

    @property
    def references(self) -> int:
        return block_sizes(self.images, self.block).references

    @property
    def query_count(self) -> int:
        """How many queries the split has."""
        return self.programs * block_sizes(self.images, self.block).blocks

    @property
    def reference_scenes(self) -> Sequence[Scene]:
        """All references, drawn when first asked for and then kept for the life of the process."""
        return _pool(self.track, self.references, self.seed, self.split, self.held_out).scenes

    def scene(self, image_index: int) -> Scene:
        """Return the scene of image number `image_index`.

        Raises:
            IndexError: there is no such image.
        """
        if not 0 <= image_index < self.images:
            raise IndexError(f"image {image_index} of a split of {self.images}")
        if image_index < self.references:
            return self.reference_scenes[image_index]
        block, place = divmod(image_index - self.references, self.block)
        drawn = self._drawn(block).draw
        return drawn.distractors[place - 1].scene if place else drawn.target

    def materials(self, image_index: int) -> tuple[str, ...]:
        """Return what the objects of an image are made of; nothing where the configuration says it.

        Raises:
            IndexError: there is no such image.
        """
        if not 0 <= image_index < self.images:
            raise IndexError(f"image {image_index} of a split of {self.images}")
        if not (of_reference := registry.get(self.track).materials):
            return ()
        if image_index < self.references:
            return of_reference(image_index, self.split)
        return of_reference(self._drawn((image_index - self.references) // self.block).source, self.split)

    def place_of(self, query: int) -> tuple[int, int]:
        """Return the target and the modification_id of a query without drawing it."""
        block = query // self.programs
        return self.references + block * self.block, block

    def queries(self, start: int, stop: int) -> list[TrackQuery]:
        """Return queries number `start` to `stop`, the stop excluded.

        Raises:
            IndexError: there are no such queries.
        """
        if not 0 <= start <= stop <= self.query_count:
            raise IndexError(f"queries {start} to {stop} of a split of {self.query_count}")
        return [self._query(index) for index in range(start, stop)]

    def _query(self, index: int) -> TrackQuery:
        block, place = divmod(index, self.programs)
        source, draw = self._drawn(block)
        scene, (target, _) = self.reference_scenes[source], self.place_of(index)
        changed = {*scene} ^ {*draw.target}
        distractors = draw.distractors if self.block > 1 else ()
        return TrackQuery(
            index=index,
            source=source,
            target=target,
            modification_id=block,
            modification=draw.programs[place],
            source_scene=scene,
            target_scene=draw.target,
            novel=any((item.shape, item.colour) in self.held_out.test_only for item in changed),
            distractors=tuple((each.why, target + 1 + place) for place, each in enumerate(distractors)),
        )

    def _drawn(self, block: int) -> "_Drawn":
        return _drawn(self.track, block, self.references, self.seed, self.split, self.held_out)


class _Drawn(NamedTuple):
    source: int
    draw: Draw


@lru_cache(maxsize=2)
def _pool(track: str, references: int, seed: int, split: SplitId, held_out: HeldOut) -> Pool:
    scenes = tuple(
        track_reference(track, index, seed=seed, split=split, held_out=held_out) for index in range(references)
    )
    return Pool(split, scenes, held_out.allowed(split), held_out)


@lru_cache(maxsize=16)
def _drawn(track: str, block: int, references: int, seed: int, split: SplitId, held_out: HeldOut) -> _Drawn:
    """Ask the block's source; where it allows nothing, all other references in steps of a drawn length.

    All of them are asked with the same random numbers. So a kind of program that a track draws before it looks at the
    source is asked for as often as it is drawn, however few sources allow it; and these are asked equally often.
    """
    pool = _pool(track, references, seed, split, held_out)
    visit, first = divmod(block, references)
    (walk,) = stream(seed, split, Stream.MODIFICATION, block).spawn(1)
    length = coprime(references, walk)
    rng = stream(seed, split, Stream.MODIFICATION, block)
    start = rng.bit_generator.state
    for step in range(references):
        source = (first + step * length) % references
        rng.bit_generator.state = start
        if draw := registry.get(track).draw(pool, source, visit, rng=rng):
            return _Drawn(source, draw)
    raise ValueError(f"none of the {references} references of this split allows a query of the track {track}; use more")
