"""Compute how much light arrives at a point: lamps and sun with soft shadows, and the backdrop's glow.

The strength of a lamp is taken at its centre (it is small compared with its distance); how much of it is hidden is
taken at LIGHT_SAMPLES points.
"""

from math import sqrt
from typing import Any

from css_gen.rendering.kernels.compiling import compiled, inlined
from css_gen.rendering.kernels.geometry import CUBE, HALF, KIND, LIGHT_SAMPLES, SPHERE, X, Y, block
from css_gen.rendering.kernels.tables import (  # fmt: skip
    IS_SUN,
    LIGHT_BLUE,
    LIGHT_GREEN,
    LIGHT_RED,
    NX,
    NY,
    NZ,
    PX,
    PY,
    PZ,
    RADIUS,
    SUN_DISTANCE,
    WIDTH,
    Tables,
)

BACKDROP_FACES_FLOOR = 2.8
"""How much more light the upright backdrop gets from the floor than it sends back to an object (its glow)."""


@inlined
def direction_to(lights: Any, light: int, x: float, y: float, z: float) -> tuple[float, float, float, float, float]:
    """Compute the unit direction from a point to a light's centre, the strength there and the light's width.

    Returns:
        Direction (x, y, z), strength before the receiver's cosine, and the tangent of the half angle of the light.
    """
    if lights[light, IS_SUN] > 0.0:
        scale = 1.0 / SUN_DISTANCE
        dx = lights[light, PX] * scale
        dy = lights[light, PY] * scale
        dz = lights[light, PZ] * scale
        return dx, dy, dz, 1.0, lights[light, WIDTH]
    dx = lights[light, PX] - x
    dy = lights[light, PY] - y
    dz = lights[light, PZ] - z
    inverse = 1.0 / (dx * dx + dy * dy + dz * dz)
    scale = sqrt(inverse)
    dx *= scale
    dy *= scale
    dz *= scale
    facing = -(dx * lights[light, NX] + dy * lights[light, NY] + dz * lights[light, NZ])
    return dx, dy, dz, (facing * inverse if facing > 0.0 else 0.0), lights[light, WIDTH] * scale


@inlined
def reach_of(solids: Any, index: int) -> float:
    """Compute the radius of the ball around a solid's centre that holds it."""
    kind = int(solids[index, KIND])
    return float(solids[index, HALF] * (1.0 if kind == SPHERE else (1.7320509 if kind == CUBE else 1.4142137)))


@compiled
def list_suspects(
    solids: Any, lights: Any, x: float, y: float, z: float, spread: float, skip: int,
    suspects: Any, margins: Any, counts: Any,
) -> None:  # fmt: skip
    """List the objects but `skip` that may cast a lamp's shadow within `spread` of a point, a row for each lamp.

    Args:
        suspects: (4, N) int64, written.
        margins: (4, N) float64, written: the square of how near the line from such a point to the light's centre has
            to pass an object's centre for that. May err to the large side only.
        counts: (4,) int64, written: how many of each row hold.
    """
    for light in range(4):
        counts[light] = 0
        dx = lights[light, PX]
        dy = lights[light, PY]
        dz = lights[light, PZ]
        if lights[light, IS_SUN] == 0.0:
            dx -= x
            dy -= y
            dz -= z
        length = sqrt(dx * dx + dy * dy + dz * dz)
        for index in range(solids.shape[0]):
            if index == skip:
                continue
            cx = solids[index, X] - x
            cy = solids[index, Y] - y
            cz = solids[index, HALF] - z
            along = (cx * dx + cy * dy + cz * dz) / length
            reach = reach_of(solids, index)
            if along < -(reach + spread):
                continue
            square = cx * cx + cy * cy + cz * cz - along * along
            # A light is widest seen from the far side of the spread.
            margin = reach + max(along + spread, 0.0) / max(length - spread, 1.0) * lights[light, RADIUS]
            if square < (margin + spread) * (margin + spread):
                suspects[light, counts[light]] = index
                margins[light, counts[light]] = margin * margin
                counts[light] += 1


@inlined
def visible_share(
    solids: Any, lights: Any, samples: Any, light: int, x: float, y: float, z: float,
    suspects: Any, margins: Any, counts: Any, blocked: Any,
) -> float:  # fmt: skip
    """Soft shadow of a lamp: the share of its samples that a point sees past the suspected objects, [0, 1]."""
    ax, ay, az = x, y, z
    if lights[light, IS_SUN] > 0.0:
        ax, ay, az = 0.0, 0.0, 0.0
    dx = lights[light, PX] - ax
    dy = lights[light, PY] - ay
    dz = lights[light, PZ] - az
    length = dx * dx + dy * dy + dz * dz
    touched = False
    for position in range(counts[light]):
        index = suspects[light, position]
        cx = solids[index, X] - x
        cy = solids[index, Y] - y
        cz = solids[index, HALF] - z
        px = cy * dz - cz * dy
        py = cz * dx - cx * dz
        pz = cx * dy - cy * dx
        if px * px + py * py + pz * pz < margins[light, position] * length:
            if not touched:
                touched = True
                for k in range(LIGHT_SAMPLES):
                    blocked[k] = 0
            block(solids, index, x, y, z, ax, ay, az, samples, light, blocked)
    if not touched:
        return 1.0
    hidden = 0
    for k in range(LIGHT_SAMPLES):
        hidden += blocked[k]
    return 1.0 - hidden / LIGHT_SAMPLES


@inlined
def glow_on(tables: Tables, nx: float, ny: float, nz: float) -> float:
    """Compute the irradiance from the backdrop, a broad source low above the horizon, on a surface."""
    facing = 0.886 * (nx * tables.backdrop_towards[0] + ny * tables.backdrop_towards[1]) + 0.464 * nz
    half = 0.5 + 0.5 * facing
    return float(tables.glow * half * half)


@inlined
def open_light(
    tables: Tables, x: float, y: float, z: float, nx: float, ny: float, nz: float
) -> tuple[float, float, float]:
    """Compute the irradiance from lamps, sun and backdrop on a surface that nothing shades."""
    red, green, blue = 0.0, 0.0, 0.0
    if tables.bounce:
        red = green = blue = glow_on(tables, nx, ny, nz)
    for light in range(4):
        dx, dy, dz, strength, _ = direction_to(tables.lights, light, x, y, z)
        cosine = dx * nx + dy * ny + dz * nz
        if cosine > 0.0:
            red += cosine * strength * tables.lights[light, LIGHT_RED]
            green += cosine * strength * tables.lights[light, LIGHT_GREEN]
            blue += cosine * strength * tables.lights[light, LIGHT_BLUE]
    return red, green, blue


@compiled
def light_on_floor(
    tables: Tables, x: float, y: float, z: float, nx: float, ny: float, nz: float
) -> tuple[float, float, float]:
    """Compute the irradiance on floor or backdrop; they light each other the more, the steeper the backdrop is."""
    red, green, blue = open_light(tables, x, y, z, nx, ny, nz)
    if tables.bounce:
        steep = BACKDROP_FACES_FLOOR * tables.glow * sqrt(max(1.0 - nz * nz, 0.0)) / (1.0 + 0.12 * z)
        red += steep
        green += steep
        blue += steep
    return red, green, blue
