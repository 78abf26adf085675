"""The seed of the random numbers of a training step: a pure function of (run seed, step)."""

import numpy as np

_STEP = 1
"""First number of the spawn key. Samplers and scoring use other numbers with the same seed."""


def stream_seed(seed: int, step: int) -> int:
    """The seed of all that one step draws: from 0 to 2**63 - 1, independent of those of other steps and runs.

    Args:
        seed: the run's.
        step: from 0.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(_STEP, step))
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)
