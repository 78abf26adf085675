"""Seeds for the random numbers of a training: one for each part's initial weights, a pure function of (run seed, part),
and one for each step, a pure function of (run seed, step)."""

import numpy as np

_STEP = 1
_INITIAL = 4
"""First numbers of the spawn keys here; `samplers` has 0 and 2."""


def stream_seed(seed: int, step: int) -> int:
    """The seed of all that one step draws: from 0 to 2**63 - 1, independent of those of other steps and runs.

    Args:
        seed: the run's.
        step: from 0.
    """
    return _seed(seed, _STEP, step)


def initial_seed(seed: int, part: int) -> int:
    """The seed of the initial weights of a network's part, from 0 to 2**63 - 1, independent of all others.

    Args:
        seed: the run's.
        part: its number, see `models.network.PARTS`.
    """
    return _seed(seed, _INITIAL, part)


def _seed(seed: int, *key: int) -> int:
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0] >> 1)
