"""Estimate the size of a dataset from a few of its own images, and compare it with the free space on the disk."""

import shutil
from pathlib import Path

from css_gen.scenes.randomness import SplitId
from css_gen.scenes.sampling import REFERENCES_PER_MODIFICATION, reference
from css_gen.scenes.scene import Scene
from css_gen.storage.configuration import CSS, Configuration, split_images
from css_gen.storage.folder import our_files
from css_gen.storage.plan import held_out
from css_gen.storage.png import encode_png
from css_gen.storage.shard_writer import render_pixels
from css_gen.tracks.plan import images_of_a_block, track_reference

_SAMPLES = 12
_BYTES_OF_A_ROW = 200
"""Of its scene, key and query, compressed; rounded up from a dataset of 20,000 images."""

_BYTES_OF_GEOMETRY = 400
"""Of an image's geometry columns, compressed; rounded up from a dataset of 400 images."""


def require_large_enough(configuration: Configuration, *, by_split: bool = False) -> None:
    """Check that both splits have room for a modification with its references and targets.

    Args:
        by_split: whether the user gave --train and --test, and not --n.

    Raises:
        ValueError: one has not; the message names the smallest --n, or --train and --test, that will do.
    """
    share, track, references = configuration.test_fraction, configuration.track, REFERENCES_PER_MODIFICATION
    targets = {split: references if track == CSS else images_of_a_block(track, split) for split in SplitId}
    least = {split: references + count for split, count in targets.items()}
    if all(configuration.split_images(split) >= least[split] for split in SplitId):
        return
    needed = f"each split needs {references} references and as many targets"
    if track != CSS:
        short = [split for split in SplitId if configuration.split_images(split) < least[split]]
        needed = " and ".join(
            f"the {split.name.lower()} split of {track} needs {references} references and {_images(targets[split])}"
            for split in short
        )
    if by_split:
        train, test = (configuration.split_images(split) for split in (SplitId.TRAIN, SplitId.TEST))
        raise ValueError(
            f"--train must be at least {least[SplitId.TRAIN]} and --test at least {least[SplitId.TEST]}, got {train} "
            f"and {test}: {needed}"
        )
    # Half an image less than needed is rounded up to it; the loop sees to which side exactly.
    smallest = int(max((least[SplitId.TEST] - 0.5) / share, (least[SplitId.TRAIN] - 0.5) / (1 - share))) - 1
    while any(split_images(smallest, share, split) < least[split] for split in SplitId):
        smallest += 1
    raise ValueError(
        f"--n must be at least {smallest} with --test-fraction {share:g}, got {configuration.images}: {needed}"
    )


def _images(count: int) -> str:
    return f"{count} image{'s' if count > 1 else ''} of a query"


def estimated_bytes(configuration: Configuration) -> int:
    """Estimate the size of a dataset on disk to within a few percent, from some of its references."""
    total = 0
    for index in range(_SAMPLES):
        scene = _reference(configuration, index)
        total += sum(len(encode_png(pixels)) for pixels in render_pixels(configuration, SplitId.TRAIN, index, scene))
    row = _BYTES_OF_A_ROW + ("geometry" in configuration.extras) * _BYTES_OF_GEOMETRY
    return configuration.images * (total // _SAMPLES + row)


def _reference(configuration: Configuration, index: int) -> Scene:
    seed, combinations = configuration.seed, held_out(configuration)
    if configuration.track == CSS:
        return reference(index, seed=seed, split=SplitId.TRAIN, held_out=combinations)
    split = list(SplitId)[index % len(SplitId)]  # a track's splits may differ
    return track_reference(configuration.track, index, seed=seed, split=split, held_out=combinations)


def refuse_too_large(root: Path, needed: int) -> str | None:
    """Return an error message if the disk is too small, else None. A dataset in `root` already counts as free space."""
    lacks = lacking_room(root, needed)
    return lacks and f"{lacks}; use fewer images or a smaller --size, another --out, or --yes to try"


def lacking_room(root: Path, needed: int) -> str | None:
    """Return how much is needed and free if a disk is too small, else None; see `refuse_too_large`."""
    there = root if root.exists() else next(parent for parent in root.absolute().parents if parent.exists())
    free = shutil.disk_usage(there).free
    if root.is_dir():
        free += sum((root / name).stat().st_size for name in our_files(root))
    if needed <= free:
        return None
    return f"the dataset needs about {human_bytes(needed)} and {there} has {human_bytes(free)} free"


def human_bytes(count: int) -> str:
    """Return a size in decimal units, as disks are sold."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.3g} EB"
