"""Nuisances, which differ between two images of one scene: offsets, rotations, materials, camera and light jitter.

Drawn per *cell*, not per object, from the image's own stream: adding an object to a scene does not move the others'
draws, and the flat and the solid image of one scene share their offsets.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MATERIALS = ("rubber", "metal")
CELLS = 9
LIGHTS = 4


@dataclass(frozen=True)
class Jitter:
    """Which nuisances vary. A switched-off one stays at its neutral value and does not change the others' draws."""

    position: bool = True
    rotation: bool = True
    camera: bool = True
    lights: bool = True
    materials: tuple[str, ...] = ("rubber",)

    def __post_init__(self) -> None:
        unknown = [name for name in self.materials if name not in MATERIALS]
        if unknown or not self.materials:
            raise ValueError(f"materials must be some of {', '.join(MATERIALS)}, got {self.materials!r}")


@dataclass(frozen=True)
class Nuisance:
    """One draw. All arrays are float64.

    Attributes:
        offsets: (9, 2) in [-1, 1], right and away, as a share of the room an object has in its cell.
        turns: (9,) rotation about the vertical axis, in turns, [0, 1).
        materials: one name a cell.
        camera: (3,) in [-1, 1]: right, up, back, as a share of the preset's jitter.
        lights: (4, 3) in [-1, 1]: position of key, fill and back light and the direction of the sun, likewise.
    """

    offsets: NDArray[np.float64] = field(default_factory=lambda: np.zeros((CELLS, 2)))
    turns: NDArray[np.float64] = field(default_factory=lambda: np.zeros(CELLS))
    materials: tuple[str, ...] = ("rubber",) * CELLS
    camera: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    lights: NDArray[np.float64] = field(default_factory=lambda: np.zeros((LIGHTS, 3)))


def sample_nuisance(jitter: Jitter, *, rng: np.random.Generator) -> Nuisance:
    """Draw everything, then neutralise what is switched off, so that a switch changes only its own nuisance."""
    offsets = rng.uniform(-1, 1, (CELLS, 2))
    turns = rng.uniform(0, 1, CELLS)
    camera = rng.uniform(-1, 1, 3)
    lights = rng.uniform(-1, 1, (LIGHTS, 3))
    picks = rng.integers(0, len(jitter.materials), CELLS)
    neutral = Nuisance()
    return Nuisance(
        offsets=offsets if jitter.position else neutral.offsets,
        turns=turns if jitter.rotation else neutral.turns,
        materials=tuple(jitter.materials[pick] for pick in picks),
        camera=camera if jitter.camera else neutral.camera,
        lights=lights if jitter.lights else neutral.lights,
    )
