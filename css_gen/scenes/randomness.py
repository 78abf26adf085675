"""One random stream per item: what item *i* of a split draws depends on nothing but (seed, split, i)."""

from collections.abc import Sequence
from enum import IntEnum
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Stream(IntEnum):
    """The purpose of a stream. The number is part of the dataset's definition: never renumber."""

    REFERENCE = 0
    MODIFICATION = 1
    NUISANCE = 2
    HELD_OUT = 3


class SplitId(IntEnum):
    """The number of a split in a stream. Part of the dataset's definition: never renumber."""

    TRAIN = 0
    TEST = 1


def stream(seed: int, split: SplitId, purpose: Stream, index: int) -> np.random.Generator:
    """Return the generator of one item. PCG64 is named, so that a new numpy default cannot change a dataset."""
    sequence = np.random.SeedSequence(seed, spawn_key=(int(split), int(purpose), index))
    return np.random.Generator(np.random.PCG64(sequence))


def one_of(items: Sequence[T], rng: np.random.Generator) -> T:
    """Return one item, all equally likely."""
    return items[int(rng.integers(len(items)))]
