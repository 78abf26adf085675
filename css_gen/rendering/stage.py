"""The stage of a scene: camera, lights and floor. Data only; world units, z up, floor at z = 0.

CLEVR's own stage (camera, lamps, floor with its backdrop) is the starting point; its figures are read from CLEVR's base
scene file. An area light of power P and area A has the radiance P / (pi A); a sun is given by its irradiance.
"""

from dataclasses import dataclass, replace
from math import pi

import numpy as np
from numpy.typing import NDArray

from css_gen.rendering.nuisance import Nuisance

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: its position, what it looks at, and the window of its image plane that is kept.

    Attributes:
        window: centre right, centre up and half width of the square image, in tangents of the angle off the axis.
        jitter: how far the position moves for a full draw of camera nuisance; the aim stays.
    """

    position: Vector
    aim: Vector
    window: Vector
    jitter: float


@dataclass(frozen=True)
class AreaLight:
    """A square lamp that shines to one side, towards the aim."""

    position: Vector
    aim: Vector
    size: float
    radiance: Vector
    jitter: float


@dataclass(frozen=True)
class Sun:
    """Light from far away, out of a cone of the given half angle (its tangent)."""

    towards: Vector
    irradiance: float
    half_angle_tangent: float
    jitter: float


@dataclass(frozen=True)
class Stage:
    """Camera, lights and floor.

    Attributes:
        floor: reflectance of floor and backdrop.
        backdrop_glow: irradiance that a surface gets from the backdrop when it faces it squarely.
        rounding: width of the rounded edges of cubes and cylinders, as a share of their half extent. Rounding turns
            the normals that are shaded; outlines stay sharp.
        trim: share of their half extent that cubes and cylinders lose. CLEVR's own have truly rounded edges, which
            takes a little off their outlines; the figure is what matched Cycles best on six scenes.
        gloss: whether rubber has its coat. Without it, it is plainly diffuse.
        bounce: whether light that has bounced once is added.
        backdrop: (away, height) pairs of the floor's profile along `backdrop_towards`; empty for a flat floor.
    """

    camera: Camera
    lights: tuple[AreaLight, AreaLight, AreaLight]
    sun: Sun
    floor: float
    backdrop_towards: tuple[float, float]
    backdrop: tuple[tuple[float, float], ...]
    backdrop_glow: float
    rounding: float = 0.1
    trim: float = 0.0
    gloss: bool = True
    bounce: bool = True


def _lamp(position: Vector, aim: Vector, size: float, watts: float, colour: Vector) -> AreaLight:
    radiance = watts / (pi * size * size)
    red, green, blue = colour
    return AreaLight(position, aim, size, (radiance * red, radiance * green, radiance * blue), jitter=0.4)


_ORIGIN = (0.0, 0.0, 0.0)

CLEVR = Stage(
    camera=Camera((7.4811, -6.5076, 5.3437), _ORIGIN, (0.0, 0.0, 0.457107), jitter=0.25),
    lights=(
        _lamp((6.4467, -2.9052, 4.2584), _ORIGIN, 0.5, 78.5398, (1.0, 0.93231, 0.81666)),
        _lamp((-4.6711, -4.0136, 3.0112), _ORIGIN, 0.5, 23.5619, (0.76167, 0.81772, 1.0)),
        _lamp((-1.1685, 2.6460, 5.8157), _ORIGIN, 1.0, 39.2699, (1.0, 1.0, 1.0)),
    ),
    sun=Sun((0.4145, -0.1946, 0.8890), 0.45, 0.1, jitter=0.05),
    floor=0.8,
    backdrop_towards=(-0.90321, 0.42920),
    backdrop=(
        (1.335, 0.010), (4.847, 0.044), (6.345, 0.077), (7.689, 0.127), (8.891, 0.198), (9.961, 0.295),
        (10.911, 0.424), (11.753, 0.591), (12.496, 0.804), (13.149, 1.069), (13.724, 1.395), (14.228, 1.791),
        (14.670, 2.265), (15.058, 2.828), (15.400, 3.491), (15.704, 4.263), (15.975, 5.156), (16.221, 6.183),
        (16.448, 7.357), (16.660, 8.691), (16.864, 10.198), (17.263, 13.791), (17.677, 18.259), (18.079, 23.075),
    ),
    backdrop_glow=0.075,
    trim=0.02,
)  # fmt: skip
"""CLEVR's base scene, uncropped: the preset `clevr`."""

RIGHT = (0.65631, 0.75449)
"""The ground direction that CLEVR's camera sees as to the right: the way along a row of the grid."""

AWAY = (-0.75449, 0.65631)
"""The ground direction that leads away from CLEVR's camera: up a column of the grid."""

COLUMN_PITCH = 2.0
ROW_PITCH = 3.9
"""World units from cell to cell. Rows are further apart, or a large object would hide a small one behind it."""

ROOM = (0.25, 0.3)
"""How far an object may be from the middle of its cell, to the right and away, in world units."""

GRID = replace(
    CLEVR, camera=Camera((13.284, -11.556, 9.788), (0.0, 0.0, 0.3), (0.0, -0.015, 0.207), jitter=0.6), trim=0.0
)
"""CLEVR's stage seen along CLEVR's viewing direction, from further away and cropped to the grid: the preset `grid`."""

VIEWS = {"grid": GRID, "clevr": CLEVR}


def jittered(stage: Stage, nuisance: Nuisance) -> Stage:
    """Return the stage with its camera and lights moved as the nuisance says."""
    key, fill, back = (
        replace(light, position=_moved(light.position, draw, light.jitter))
        for light, draw in zip(stage.lights, nuisance.lights[:3], strict=True)
    )
    return replace(
        stage,
        camera=replace(stage.camera, position=_moved(stage.camera.position, nuisance.camera, stage.camera.jitter)),
        lights=(key, fill, back),
        sun=replace(stage.sun, towards=_moved(stage.sun.towards, nuisance.lights[3], stage.sun.jitter)),
    )


def _moved(position: Vector, draw: NDArray[np.float64], reach: float) -> Vector:
    x, y, z = (value + reach * float(share) for value, share in zip(position, draw, strict=True))
    return x, y, z
