"""Ray-trace a scene: put its objects on a stage and hand the tables to the kernels of `raytrace`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray

from css_gen.rendering.kernels import geometry, tables
from css_gen.rendering.kernels.painting import SRGB
from css_gen.rendering.kernels.raytrace import trace
from css_gen.rendering.kernels.tables import MAP_CELLS, Tables, lay_frame, lay_lamp, lay_sun
from css_gen.rendering.nuisance import Nuisance
from css_gen.rendering.stage import AWAY, COLUMN_PITCH, RIGHT, ROOM, ROW_PITCH, VIEWS, Camera, Stage, jittered
from css_gen.scenes.factors import Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject

RADII = {Size.SMALL: 0.35, Size.LARGE: 0.7}
"""Radius of spheres, cylinders and of the circle around a cube's base, in world units."""

KINDS = {"cube": geometry.CUBE, "sphere": geometry.SPHERE, "cylinder": geometry.CYLINDER}

_BYTES = {
    Colour.GRAY: (87, 87, 87), Colour.RED: (173, 35, 35), Colour.BLUE: (42, 75, 215), Colour.GREEN: (29, 105, 20),
    Colour.BROWN: (129, 74, 25), Colour.PURPLE: (129, 38, 192), Colour.CYAN: (41, 208, 208),
    Colour.YELLOW: (255, 238, 51),
}  # fmt: skip

REFLECTANCES = {colour: (red / 255, green / 255, blue / 255) for colour, (red, green, blue) in _BYTES.items()}
"""CLEVR's colours. As in CLEVR they are reflectances, on a linear scale, not display values."""


@dataclass(frozen=True)
class Solid:
    """One object on the floor.

    Attributes:
        shape: cube, sphere or cylinder.
        half_extent: the radius, or half the edge of a cube; also half the height.
        turn: rotation about the vertical, in turns.
        reflectance: red, green and blue, linear.
    """

    shape: str
    half_extent: float
    x: float
    y: float
    turn: float
    reflectance: tuple[float, float, float]
    metal: bool = False


@dataclass(frozen=True)
class Rendering:
    """image uint8 (size, size, 3) sRGB; mask uint8 (size, size), 0 for the floor, else 1 + the object's number; depth
    float32 (size, size), along the viewing axis."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    depth: NDArray[np.float32]


def render_solids(solids: Sequence[Solid], stage: Stage, *, size: int, with_depth: bool = True) -> Rendering:
    """Ray-trace solids on a stage, (size, size) pixels; without depth it is a little faster, and `depth` is empty."""
    image = np.empty((size, size, 3), np.uint8)
    mask = np.empty((size, size), np.uint8)
    depth = np.empty((size, size) if with_depth else (0, 0), np.float32)
    trace(_tables(solids, stage), _camera_row(stage.camera), size, SRGB, image, mask, depth)
    return Rendering(image, mask, depth)


def render_3d(scene: Scene, nuisance: Nuisance, *, size: int, view: str = "grid", with_depth: bool = True) -> Rendering:
    """Ray-trace one scene, (size, size) pixels; `view` is one of VIEWS. The mask's numbers are 1 + cell index."""
    solids = [solid_of(item, nuisance) for item in scene]
    rendering = render_solids(solids, jittered(VIEWS[view], nuisance), size=size, with_depth=with_depth)
    cells = np.array([0, *(1 + item.cell.index for item in scene)], np.uint8)
    return replace(rendering, mask=cells[rendering.mask])


def place(item: SceneObject, nuisance: Nuisance) -> tuple[float, float]:
    """Return where on the floor an object is: the middle of its cell plus its offset."""
    across, away = nuisance.offsets[item.cell.index]
    right = (item.cell.column - 1) * COLUMN_PITCH + ROOM[0] * float(across)
    back = (1 - item.cell.row) * ROW_PITCH + ROOM[1] * float(away)
    return right * RIGHT[0] + back * AWAY[0], right * RIGHT[1] + back * AWAY[1]


def solid_of(item: SceneObject, nuisance: Nuisance) -> Solid:
    """Return an object of a scene as it is put on the floor."""
    x, y = place(item, nuisance)
    radius = RADII[item.size]
    return Solid(
        shape=item.shape.solid_name,
        half_extent=radius / sqrt(2) if item.shape == Shape.RECTANGLE else radius,
        x=x,
        y=y,
        turn=float(nuisance.turns[item.cell.index]),
        reflectance=REFLECTANCES[item.colour],
        metal=nuisance.materials[item.cell.index] == "metal",
    )


def standing_half_extent(solid: Solid, stage: Stage) -> float:
    """Return the half extent that is rendered: cubes and cylinders lose the stage's trim."""
    return solid.half_extent * (1 if solid.shape == "sphere" else 1 - stage.trim)


def _tables(solids: Sequence[Solid], stage: Stage) -> Tables:
    rows = np.zeros((len(solids), geometry.SOLID_COLUMNS))
    for row, solid in zip(rows, solids, strict=True):
        turn = unit_turn(solid.turn)
        half_extent = standing_half_extent(solid, stage)
        row[:] = (KINDS[solid.shape], half_extent, solid.x, solid.y, *turn, *solid.reflectance, solid.metal)
    lights = np.zeros((4, tables.LIGHT_COLUMNS))
    samples = np.zeros((4, 3, geometry.LIGHT_SAMPLES), np.float32)
    for number, lamp in enumerate(stage.lights):
        lay_lamp(number, lamp.position, lamp.aim, lamp.size, lamp.radiance, lights, samples)
    sun = stage.sun
    lay_sun(3, sun.towards, sun.irradiance, sun.half_angle_tangent, lights, samples)
    return Tables(
        solids=rows,
        lights=lights,
        samples=samples,
        floor=stage.floor,
        glow=stage.backdrop_glow,
        rounding=stage.rounding,
        gloss=stage.gloss,
        bounce=stage.bounce,
        backdrop=_profile(stage.backdrop),
        backdrop_towards=np.array(stage.backdrop_towards),
        floor_map=np.empty((MAP_CELLS, MAP_CELLS, 3)),
        around_map=np.empty((MAP_CELLS, MAP_CELLS, 3)),
        bounce_map=np.empty((MAP_CELLS, MAP_CELLS, 3)),
    )


@cache
def _profile(backdrop: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    return np.array(backdrop, np.float64).reshape(-1, 2)


def unit_turn(turn: float) -> tuple[float, float]:
    """Return the cosine and sine of an angle in turns by plain arithmetic: libraries differ in the last bit by CPU."""
    quarter = round(4 * turn)
    angle = (turn - quarter / 4) * 2 * pi
    square = angle * angle
    cosine, sine = 1.0, 1.0
    for factor in range(16, 0, -2):
        cosine = 1 - cosine * square / (factor * (factor - 1))
        sine = 1 - sine * square / (factor * (factor + 1))
    sine *= angle
    return ((cosine, sine), (-sine, cosine), (-cosine, -sine), (sine, -cosine))[quarter % 4]


def _camera_row(camera: Camera) -> NDArray[np.float64]:
    """Return the camera's position, right, up, back and window, as `trace` takes them."""
    row = np.empty(15)
    lay_frame(camera.position, camera.aim, row)
    row[12:] = camera.window
    return row
