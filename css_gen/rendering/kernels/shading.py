"""The colour of a point: diffuse light, gloss and reflections, as linear radiance.

Rubber is CLEVR's: diffuse under a weak, rough coat (Fresnel, index 1.2) and a velvet one (index 1.4), of which only
what it takes from the diffuse light is kept. Metal is CLEVR's two coats of the object's colour: most of it nearly a
mirror, the rest blurred. A coat is GGX; a lamp in it is taken at its centre, its angle added to the roughness.
"""

from math import sqrt
from typing import Any

from css_gen.rendering.kernels.compiling import compiled, inlined
from css_gen.rendering.kernels.floor_maps import look_up
from css_gen.rendering.kernels.geometry import BLUE, GREEN, METAL, MISS, RED, enter, normal_at
from css_gen.rendering.kernels.lighting import direction_to, glow_on, light_on_floor, open_light, visible_share
from css_gen.rendering.kernels.tables import LIGHT_BLUE, LIGHT_GREEN, LIGHT_RED, MAP_HALF_WIDTH, Tables

_PI = 3.141592653589793

RUBBER_STRAIGHT = 0.0083
RUBBER_ROUGHNESS = 0.35
RUBBER_TINT = 0.8
VELVET_STRAIGHT = 0.0278

FLOOR_IN_VIEW = 0.45
"""Share of the floor's light that reaches the side of an object: half its view, less what other objects hide."""

METAL_KEEPS = 0.93
"""Share of the light that metal's coats send on in all."""

METAL_MIRROR_SHARE = 0.6
METAL_MIRROR_ROUGHNESS = 0.01
METAL_BLUR_ROUGHNESS = 0.2
METAL_BLUR_RAYS = 8


@inlined
def fresnel(cosine: float, straight: float) -> float:
    """Compute the reflectance at an angle of incidence (its cosine); `straight` at normal incidence (Schlick 1994)."""
    rest = 1.0 - cosine
    square = rest * rest
    return straight + (1.0 - straight) * square * square * rest


@inlined
def gloss(nl: float, nv: float, nh_square: float, roughness: float, lamp: float) -> float:
    """Compute GGX times the receiver's cosine for a lamp that spans `lamp` (the tangent of its half angle).

    The lamp's width is taken as roughness more, and masking in Schlick's form: no square root is needed.
    """
    wide = min(roughness + 0.5 * lamp, 1.0)
    square = wide * wide
    spread = nh_square * (square - 1.0) + 1.0
    half = 0.5 * roughness
    masking = (nl * (1.0 - half) + half) * (nv * (1.0 - half) + half)
    return square * nl / (4.0 * _PI * spread * spread * masking)


@inlined
def floor_hit(
    tables: Tables, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
) -> tuple[float, float, float, float]:
    """Compute the distance to the floor or its backdrop along a ray from above, and the unit normal there."""
    distance = -oz / dz if dz < 0.0 else MISS
    profile = tables.backdrop
    if profile.shape[0] < 2:
        return distance, 0.0, 0.0, 1.0
    ux = tables.backdrop_towards[0]
    uy = tables.backdrop_towards[1]
    away = ox * ux + oy * uy
    step = dx * ux + dy * uy
    if distance < MISS and away + distance * step <= profile[0, 0]:
        return distance, 0.0, 0.0, 1.0
    for row in range(profile.shape[0] - 1):
        du = profile[row + 1, 0] - profile[row, 0]
        dh = profile[row + 1, 1] - profile[row, 1]
        slope = step * dh - dz * du
        if slope <= 0.0:
            continue
        distance = ((profile[row, 0] - away) * dh - (profile[row, 1] - oz) * du) / slope
        position = away + distance * step
        height = oz + distance * dz
        if position <= profile[row + 1, 0] and height <= profile[row + 1, 1] and distance > 0.0:
            scale = 1.0 / sqrt(du * du + dh * dh)
            return distance, -dh * scale * ux, -dh * scale * uy, du * scale
    return MISS, 0.0, 0.0, 1.0


@compiled
def reflected(
    tables: Tables, skip: int, x: float, y: float, z: float, dx: float, dy: float, dz: float
) -> tuple[float, float, float]:
    """Compute the radiance that a reflected ray meets: an object (without shadows), floor, backdrop or darkness."""
    nearest, hit, hit_face = MISS, -1, 0
    for index in range(tables.solids.shape[0]):
        if index != skip:
            distance, face = enter(tables.solids, index, x, y, z, dx, dy, dz)
            if distance < nearest:
                nearest, hit, hit_face = distance, index, face
    if hit < 0:
        distance, nx, ny, nz = floor_hit(tables, x, y, z, dx, dy, dz)
        if distance >= MISS:
            return 0.0, 0.0, 0.0
        px = x + distance * dx
        py = y + distance * dy
        if abs(px) < MAP_HALF_WIDTH and abs(py) < MAP_HALF_WIDTH:
            red, green, blue = look_up(tables.floor_map, px, py)
            return red / _PI, green / _PI, blue / _PI
        red, green, blue = light_on_floor(tables, px, py, z + distance * dz, nx, ny, nz)
        scale = tables.floor / _PI
        return red * scale, green * scale, blue * scale
    px = x + nearest * dx
    py = y + nearest * dy
    pz = z + nearest * dz
    nx, ny, nz = normal_at(tables.solids, hit, hit_face, px, py, pz, 0.0)
    red, green, blue = open_light(tables, px, py, pz, nx, ny, nz)
    floor_red, floor_green, floor_blue = look_up(tables.around_map, px + nx, py + ny)
    below = 0.5 * (1.0 - nz)
    return (
        (red + below * floor_red) * tables.solids[hit, RED] / _PI,
        (green + below * floor_green) * tables.solids[hit, GREEN] / _PI,
        (blue + below * floor_blue) * tables.solids[hit, BLUE] / _PI,
    )


@compiled
def shade_object(
    tables: Tables, index: int, x: float, y: float, z: float, nx: float, ny: float, nz: float,
    vx: float, vy: float, vz: float, blur: float,
    suspects: Any, margins: Any, counts: Any, blocked: Any,
) -> tuple[float, float, float]:  # fmt: skip
    """Compute the radiance of a point on an object with unit normal n towards a viewer in unit direction v.

    Args:
        blur: how far the normal turns across half a pixel, in radians; it blurs a lamp's image in metal.
        suspects, margins, counts: the objects that can shade each object, as `list_suspects` writes them.
    """
    solids, lights = tables.solids, tables.lights
    metal = solids[index, METAL] > 0.0
    coated = metal or tables.gloss
    nv = max(nx * vx + ny * vy + nz * vz, 1e-3)
    red, green, blue = 0.0, 0.0, 0.0
    glossy_red, glossy_green, glossy_blue = 0.0, 0.0, 0.0
    for light in range(4):
        lx, ly, lz, strength, lamp = direction_to(lights, light, x, y, z)
        nl = lx * nx + ly * ny + lz * nz
        if nl <= 0.0 or strength <= 0.0:
            continue
        if counts[index, light] > 0:
            strength *= visible_share(
                solids, lights, tables.samples, light, x, y, z,
                suspects[index], margins[index], counts[index], blocked,
            )  # fmt: skip
        if not metal:
            red += nl * strength * lights[light, LIGHT_RED]
            green += nl * strength * lights[light, LIGHT_GREEN]
            blue += nl * strength * lights[light, LIGHT_BLUE]
        if not coated:
            continue
        # The half vector of two unit vectors has the squared length 2 + 2 l.v.
        nh_square = (nl + nv) * (nl + nv) / (2.0 + 2.0 * (lx * vx + ly * vy + lz * vz))
        if metal:
            share = METAL_MIRROR_SHARE * gloss(nl, nv, nh_square, METAL_MIRROR_ROUGHNESS + blur, lamp)
            share += (1.0 - METAL_MIRROR_SHARE) * gloss(nl, nv, nh_square, METAL_BLUR_ROUGHNESS + blur, lamp)
        else:
            share = gloss(nl, nv, nh_square, RUBBER_ROUGHNESS, lamp)
        glossy_red += share * strength * lights[light, LIGHT_RED]
        glossy_green += share * strength * lights[light, LIGHT_GREEN]
        glossy_blue += share * strength * lights[light, LIGHT_BLUE]
    rx = 2.0 * nv * nx - vx
    ry = 2.0 * nv * ny - vy
    rz = 2.0 * nv * nz - vz
    if metal:
        seen_red, seen_green, seen_blue = reflected(tables, index, x, y, z, rx, ry, rz)
        glossy_red += METAL_MIRROR_SHARE * seen_red
        glossy_green += METAL_MIRROR_SHARE * seen_green
        glossy_blue += METAL_MIRROR_SHARE * seen_blue
        each = (1.0 - METAL_MIRROR_SHARE) / METAL_BLUR_RAYS
        for ray in range(METAL_BLUR_RAYS):
            bx, by, bz = _around(rx, ry, rz, ray)
            if bx * nx + by * ny + bz * nz > 0.0:
                seen_red, seen_green, seen_blue = reflected(tables, index, x, y, z, bx, by, bz)
                glossy_red += each * seen_red
                glossy_green += each * seen_green
                glossy_blue += each * seen_blue
        return (
            METAL_KEEPS * glossy_red * solids[index, RED],
            METAL_KEEPS * glossy_green * solids[index, GREEN],
            METAL_KEEPS * glossy_blue * solids[index, BLUE],
        )
    if tables.bounce:
        # The floor around the point, further out the higher the point is.
        far = 0.3 + 0.7 * z
        floor_red, floor_green, floor_blue = look_up(tables.around_map, x + nx * far, y + ny * far)
        below = FLOOR_IN_VIEW * (1.0 - nz)
        glow = glow_on(tables, nx, ny, nz)
        red += below * floor_red + glow
        green += below * floor_green + glow
        blue += below * floor_blue + glow
        # A rough coat sees the floor in a soft cone about the mirror direction.
        under = min(max(0.5 - rz, 0.0), 1.0) / _PI
        # Close to the floor, that is where the object itself keeps the light off.
        under *= min(0.25 + 1.2 * z, 1.0)
        glossy_red += under * floor_red
        glossy_green += under * floor_green
        glossy_blue += under * floor_blue
    coat = fresnel(nv, RUBBER_STRAIGHT) if coated else 0.0
    body = (1.0 - coat) / _PI
    if coated:
        body *= 1.0 - fresnel(nv, VELVET_STRAIGHT)
    coat *= RUBBER_TINT
    return (
        body * solids[index, RED] * red + coat * glossy_red,
        body * solids[index, GREEN] * green + coat * glossy_green,
        body * solids[index, BLUE] * blue + coat * glossy_blue,
    )


@inlined
def _around(rx: float, ry: float, rz: float, ray: int) -> tuple[float, float, float]:
    """Return one of METAL_BLUR_RAYS unit directions that spread about a mirror direction as the blurred coat does."""
    # Two rings; the offsets are tangents for GGX of roughness 0.2, doubled from half vector to reflected ray.
    ring = 0.18 if ray % 2 == 0 else 0.45
    turn_x = (1.0, 0.70710678, 0.0, -0.70710678, -1.0, -0.70710678, 0.0, 0.70710678)[ray]
    turn_y = (0.0, 0.70710678, 1.0, 0.70710678, 0.0, -0.70710678, -1.0, -0.70710678)[ray]
    if abs(rz) < 0.9:
        tx, ty, tz = -ry, rx, 0.0
    else:
        tx, ty, tz = 0.0, -rz, ry
    scale = 1.0 / sqrt(tx * tx + ty * ty + tz * tz)
    tx *= scale
    ty *= scale
    tz *= scale
    ux = ry * tz - rz * ty
    uy = rz * tx - rx * tz
    uz = rx * ty - ry * tx
    bx = rx + ring * (turn_x * tx + turn_y * ux)
    by = ry + ring * (turn_x * ty + turn_y * uy)
    bz = rz + ring * (turn_x * tz + turn_y * uz)
    scale = 1.0 / sqrt(bx * bx + by * by + bz * bz)
    return bx * scale, by * scale, bz * scale
