"""Seeds for the random numbers of a training step: one for each purpose, a pure function of (run seed, step)."""

from enum import IntEnum

import numpy as np

_STEP = 1
"""First number of the spawn key. Samplers and scoring use other numbers with the same seed."""


class Purpose(IntEnum):
    """What a step draws random numbers for. A new purpose takes a new number, so that the others stay as they are."""

    LAYERS = 0
    """Dropout, and whatever else a network draws from torch's global generator."""
    AUGMENTATION = 1
    """Shift and brightness of the images."""
    LOSS = 2
    """The negatives that a loss draws."""


def stream_seed(seed: int, step: int, purpose: Purpose) -> int:
    """The seed of one stream of one step: from 0 to 2**63 - 1, independent of all others.

    Args:
        seed: the run's.
        step: from 0.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(_STEP, step, purpose))
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)
