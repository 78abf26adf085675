"""Slow, obvious versions of what the renderers compute, in float64 numpy.

All three solids are convex, and the signed distance to a convex body is convex along a line. So a search by thirds
finds where a ray comes nearest to a solid (or deepest into it), and bisection where it first goes in: no equation is
solved.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi

import numpy as np
from numpy.typing import NDArray

from css_gen.rendering.kernels.geometry import SOLID_COLUMNS
from css_gen.rendering.nuisance import Nuisance
from css_gen.rendering.render3d import KINDS, RADII, REFLECTANCES, Solid, place, unit_turn
from css_gen.rendering.stage import AreaLight, Camera, Stage, Sun
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject

Floats = NDArray[np.float64]

EDGE = 1e-6
"""Step of the numerical gradient that gives normals."""


def full_grid(rng: np.random.Generator) -> Scene:
    """Nine objects, all factors uniform."""
    picked = ([tuple(factor)[rng.integers(len(factor))] for factor in (Size, Colour, Shape)] for _ in Cell)
    return Scene(tuple(SceneObject(cell, *factors) for cell, factors in zip(Cell, picked, strict=True)))


def plain(stage: Stage) -> Stage:
    """A stage with a flat floor, sharp edges, and light straight from lamps and sun alone."""
    return replace(stage, backdrop=(), gloss=False, bounce=False, rounding=0.0)


def solids_of(scene: Scene, nuisance: Nuisance) -> list[Solid]:
    """A scene's objects as rubber solids."""
    solids = []
    for item in scene:
        shape = {Shape.RECTANGLE: "cube", Shape.CIRCLE: "sphere", Shape.TRIANGLE: "cylinder"}[item.shape]
        half_extent = RADII[item.size] * (np.sqrt(0.5) if shape == "cube" else 1.0)
        turn = float(nuisance.turns[item.cell.index])
        solids.append(Solid(shape, half_extent, *place(item, nuisance), turn, REFLECTANCES[item.colour]))
    return solids


def solid_rows(solids: Sequence[Solid]) -> Floats:
    """The table that the kernels take, see `css_gen.rendering.kernels.geometry`."""
    rows = [(KINDS[s.shape], s.half_extent, s.x, s.y, *unit_turn(s.turn), *s.reflectance, s.metal) for s in solids]
    return np.array(rows, np.float64).reshape(-1, SOLID_COLUMNS)


def to_local(solid: Solid, points: Floats) -> Floats:
    """Points (..., 3) as the solid sees them: from its centre, before it was turned."""
    angle = 2 * pi * solid.turn
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return (points - [solid.x, solid.y, solid.half_extent]) @ turn.T


def signed_distance(solid: Solid, points: Floats) -> Floats:
    """How far points (..., 3) are outside a solid; negative inside."""
    local = to_local(solid, points)
    if solid.shape == "sphere":
        return np.linalg.norm(local, axis=-1) - solid.half_extent
    if solid.shape == "cube":
        beyond = np.abs(local) - solid.half_extent
    else:
        beyond = np.stack([np.hypot(local[..., 0], local[..., 1]), np.abs(local[..., 2])], -1) - solid.half_extent
    return np.linalg.norm(np.maximum(beyond, 0), axis=-1) + np.minimum(beyond.max(axis=-1), 0)


def nearest_approach(solid: Solid, origins: Floats, directions: Floats, steps: int = 80) -> tuple[Floats, Floats]:
    """Where rays (N, 3) come nearest to a solid, in units of the direction's length, and how near: (N,), (N,)."""
    lengths = np.linalg.norm(directions, axis=-1)
    near = np.zeros(len(origins))
    far = (signed_distance(solid, origins) + 4 * solid.half_extent) / lengths
    for _ in range(steps):
        third = (far - near) / 3
        left, right = near + third, far - third
        at_left, at_right = _along(solid, origins, directions, np.stack([left, right]))
        nearer_left = at_left < at_right
        far = np.where(nearer_left, right, far)
        near = np.where(nearer_left, near, left)
    return near, _along(solid, origins, directions, near)


def entry(solid: Solid, origins: Floats, directions: Floats) -> tuple[Floats, Floats]:
    """Distance (N,) at which rays from outside first meet a solid, infinite where they do not, and how near it is to
    being otherwise: the signed distance (N,) at the ray's deepest point."""
    inside, depth = nearest_approach(solid, origins, directions)
    outside = np.zeros(len(origins))
    for _ in range(60):
        middle = (outside + inside) / 2
        is_in = _along(solid, origins, directions, middle) < 0
        inside = np.where(is_in, middle, inside)
        outside = np.where(is_in, outside, middle)
    return np.where(depth < 0, outside, np.inf), depth


def _along(solid: Solid, origins: Floats, directions: Floats, distances: Floats) -> Floats:
    return signed_distance(solid, origins + distances[..., None] * directions)


def normals(solid: Solid, points: Floats) -> Floats:
    """Unit normals (N, 3) at points on a solid: the way in which the signed distance grows."""
    steps = EDGE * np.eye(3)
    gradient = np.stack([signed_distance(solid, points + s) - signed_distance(solid, points - s) for s in steps], -1)
    return gradient / np.linalg.norm(gradient, axis=-1, keepdims=True)


def frame(position: Sequence[float], aim: Sequence[float]) -> tuple[Floats, Floats, Floats]:
    """Right, up and back of what looks from a position at an aim."""
    back = np.subtract(position, aim)
    back = back / np.linalg.norm(back)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    return right, np.cross(back, right), back


def camera_rays(camera: Camera, size: int, rows: Floats, columns: Floats) -> tuple[Floats, Floats]:
    """Origins and directions (N, 3) through places on the screen, in pixels; a direction is one unit of depth long."""
    right, up, back = frame(camera.position, camera.aim)
    middle_right, middle_up, half_width = camera.window
    across = middle_right + half_width * (2 * np.asarray(columns) / size - 1)
    upward = middle_up + half_width * (1 - 2 * np.asarray(rows) / size)
    directions = across[:, None] * right + upward[:, None] * up - back
    return np.broadcast_to(np.array(camera.position), directions.shape), directions


@dataclass(frozen=True)
class Seen:
    """What rays see: the number (0 for the floor, else 1 + the solid's), its face, depth, point and normal."""

    number: NDArray[np.int64]
    face: NDArray[np.int64]
    depth: Floats
    point: Floats
    normal: Floats


def look(solids: Sequence[Solid], camera: Camera, size: int, rows: Floats, columns: Floats) -> Seen:
    """What shows at places on the screen, in pixels, on a flat endless floor."""
    origins, directions = camera_rays(camera, size, rows, columns)
    depth = -origins[:, 2] / directions[:, 2]
    number = np.zeros(len(depth), np.int64)
    for index, solid in enumerate(solids):
        distance, _ = entry(solid, origins, directions)
        number = np.where(distance < depth, 1 + index, number)
        depth = np.minimum(depth, distance)
    point = origins + depth[:, None] * directions
    normal = np.tile([0.0, 0.0, 1.0], (len(depth), 1))
    face = np.zeros(len(depth), np.int64)
    for index, solid in enumerate(solids):
        mine = number == 1 + index
        normal[mine] = normals(solid, point[mine])
        face[mine] = face_numbers(solid, point[mine])
    return Seen(number, face, depth, point, normal)


def face_numbers(solid: Solid, points: Floats) -> NDArray[np.int64]:
    """A number for each face of a solid, (N,): any, but equal for points on one face."""
    local = to_local(solid, points) / solid.half_extent
    if solid.shape == "sphere":
        return np.zeros(len(points), np.int64)
    if solid.shape == "cube":
        axis = np.abs(local).argmax(axis=1)
        return 2 * axis + (np.take_along_axis(local, axis[:, None], 1)[:, 0] > 0)
    return (np.abs(local[:, 2]) > np.hypot(local[:, 0], local[:, 1])) * np.where(local[:, 2] > 0, 1, 2)


def rooks() -> list[tuple[float, float]]:
    """The sixteen spots on a square light, in (-1, 1): one in each of sixteen columns and rows."""
    return [((k + 0.5) / 8 - 1, (int(f"{k:04b}"[::-1], 2) + 0.5) / 8 - 1) for k in range(16)]


def lamp_spots(lamp: AreaLight) -> Floats:
    """The sixteen points (16, 3) on a lamp."""
    right, up, _ = frame(lamp.position, lamp.aim)
    return np.array([np.array(lamp.position) + lamp.size / 2 * (u * right + v * up) for u, v in rooks()])


def sun_spots(sun: Sun) -> Floats:
    """Sixteen directions (16, 3) to a sun: the rooks, squeezed into its disc."""
    right, up, back = frame(sun.towards, (0.0, 0.0, 0.0))
    spots = [(u * np.sqrt(1 - v * v / 2), v * np.sqrt(1 - u * u / 2)) for u, v in rooks()]
    return np.array([back + sun.half_angle_tangent * (u * right + v * up) for u, v in spots])


def seen_share(solids: Sequence[Solid], seen: Seen, spots: Floats, *, are_directions: bool) -> Floats:
    """Share (N,) of a light's spots that each point sees past the solids but its own."""
    return 1 - _hidden(solids, seen, spots, are_directions=are_directions).mean(axis=1)


def _hidden(solids: Sequence[Solid], seen: Seen, spots: Floats, *, are_directions: bool) -> NDArray[np.bool_]:
    """Which of M spots, or ways to them, each of N points cannot see past the solids but its own: (N, M)."""
    from_points = np.repeat(seen.point, len(spots), axis=0)
    to_spots = np.tile(spots, (len(seen.point), 1))
    directions = to_spots if are_directions else to_spots - from_points
    own = np.repeat(seen.number, len(spots))
    hidden = np.zeros(len(own), bool)
    for index, solid in enumerate(solids):
        hidden |= (own != 1 + index) & (nearest_approach(solid, from_points, directions, steps=30)[1] < 0)
    return hidden.reshape(-1, len(spots))


def direct_light(solids: Sequence[Solid], stage: Stage, seen: Seen) -> Floats:
    """Irradiance (N, 3) straight from lamps and sun, each as strong as its middle and as much of it as its sixteen
    spots show, at what is seen."""
    total = np.zeros((len(seen.point), 3))
    for lamp in stage.lights:
        strength = _strength(lamp, np.array([lamp.position]), seen)[:, 0]
        strength *= seen_share(solids, seen, lamp_spots(lamp), are_directions=False)
        total += strength[:, None] * np.array(lamp.radiance)
    towards = np.array(stage.sun.towards) / np.linalg.norm(stage.sun.towards)
    strength = np.maximum(seen.normal @ towards, 0) * stage.sun.irradiance
    strength *= seen_share(solids, seen, sun_spots(stage.sun), are_directions=True)
    return total + strength[:, None]


def fine_direct_light(solids: Sequence[Solid], stage: Stage, seen: Seen, steps: int) -> Floats:
    """The same integrated over the whole of each light: steps x steps places on it, each with its own direction,
    distance and view."""
    total = np.zeros((len(seen.point), 3))
    spread = (np.arange(steps) + 0.5) * 2 / steps - 1
    spots = np.stack(np.meshgrid(spread, spread), -1).reshape(-1, 2)
    for lamp in stage.lights:
        right, up, _ = frame(lamp.position, lamp.aim)
        places = np.array(lamp.position) + lamp.size / 2 * spots @ np.array([right, up])
        strength = _strength(lamp, places, seen) * ~_hidden(solids, seen, places, are_directions=False)
        total += strength.mean(axis=1)[:, None] * np.array(lamp.radiance)
    right, up, back = frame(stage.sun.towards, (0.0, 0.0, 0.0))
    disc = spots[np.hypot(*spots.T) < 1]
    ways = back + stage.sun.half_angle_tangent * disc @ np.array([right, up])
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    strength = np.maximum(seen.normal @ ways.T, 0) * ~_hidden(solids, seen, ways, are_directions=True)
    return total + stage.sun.irradiance * strength.mean(axis=1)[:, None]


def _strength(lamp: AreaLight, places: Floats, seen: Seen) -> Floats:
    """What a lamp would add at each point (N, M), for a radiance of one, were all of it at each of M places."""
    towards = places[None] - seen.point[:, None]
    distance = np.linalg.norm(towards, axis=-1)
    towards = towards / distance[..., None]
    shines = np.maximum(towards @ frame(lamp.position, lamp.aim)[2], 0)
    received = np.maximum((towards * seen.normal[:, None]).sum(axis=-1), 0)
    return received * shines * lamp.size**2 / distance**2


def display(radiance: Floats) -> Floats:
    """Linear radiance as display values, 0 to 255, not rounded."""
    linear = np.clip(radiance, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def linear(values: NDArray[np.uint8]) -> Floats:
    """Display values, 0 to 255, as linear radiance."""
    shares = values / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def matte(solids: Sequence[Solid], stage: Stage, seen: Seen) -> Floats:
    """Display values (N, 3) of what is seen, plainly diffuse under direct light."""
    reflectances = np.array([(stage.floor,) * 3, *(solid.reflectance for solid in solids)])
    radiance = reflectances[seen.number] / pi * direct_light(solids, stage, seen)
    return display(radiance)
