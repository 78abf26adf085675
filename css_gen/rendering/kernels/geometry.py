"""Intersect rays with the three solids: entry point, face, normal, and how much of a light an object hides.

A solid rests on the ground z = 0 at (x, y), rotated about the vertical: a cube of half edge `h`, a sphere of radius
`h`, a cylinder of radius and half height `h`. Everything runs compiled, in strict floating point and without
transcendental functions, so that every CPU gets the same bits.

A row of the solids' table is one object:

    KIND  HALF  X  Y  COSINE  SINE  RED  GREEN  BLUE  METAL        (float64; colours are linear reflectances)
"""

from math import sqrt
from typing import Any

import numpy as np

from css_gen.rendering.kernels.compiling import compiled, inlined

CUBE, SPHERE, CYLINDER = 0, 1, 2
KIND, HALF, X, Y, COSINE, SINE, RED, GREEN, BLUE, METAL = range(10)
SOLID_COLUMNS = 10

FACES = 8
"""Numbers a solid's faces may use: a cube has 6, a cylinder 3 (side, top, bottom), a sphere 1."""

LIGHT_SAMPLES = 16

MISS = 1e30
_TINY = np.float32(1e-9)
_ZERO = np.float32(0)
_ONE = np.float32(1)


@compiled
def enter(
    solids: Any, index: int, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
) -> tuple[float, int]:
    """Find where a ray from outside first meets a solid.

    Returns:
        Distance in units of the direction's length (MISS if it does not), and the face.
    """
    kind = int(solids[index, KIND])
    half = solids[index, HALF]
    cx = ox - solids[index, X]
    cy = oy - solids[index, Y]
    cz = oz - half
    if kind == SPHERE:
        a = dx * dx + dy * dy + dz * dz
        b = cx * dx + cy * dy + cz * dz
        # The closest point of the ray to the centre, rather than b*b - a*c, which cancels for a far camera.
        along = -b / a
        px = cx + along * dx
        py = cy + along * dy
        pz = cz + along * dz
        room = half * half - (px * px + py * py + pz * pz)
        if room < 0.0:
            return MISS, 0
        distance = along - sqrt(room / a)
        return (distance, 0) if distance > 0.0 else (MISS, 0)
    cosine = solids[index, COSINE]
    sine = solids[index, SINE]
    lx = cosine * cx + sine * cy
    ly = cosine * cy - sine * cx
    ex = cosine * dx + sine * dy
    ey = cosine * dy - sine * dx
    if kind == CUBE:
        near, far, face = -MISS, MISS, 0
        for axis in range(3):
            origin = lx if axis == 0 else (ly if axis == 1 else cz)
            step = ex if axis == 0 else (ey if axis == 1 else dz)
            if step == 0.0:
                if origin < -half or origin > half:
                    return MISS, 0
                continue
            first = (-half - origin) / step
            last = (half - origin) / step
            side = 2 * axis
            if first > last:
                first, last = last, first
                side += 1
            if first > near:
                near = first
                face = side
            if last < far:
                far = last
        return (near, face) if far >= near and near > 0.0 else (MISS, 0)
    near, far, face = -MISS, MISS, 0
    if dz != 0.0:
        near = (-half - cz) / dz
        far = (half - cz) / dz
        face = 2
        if near > far:
            near, far = far, near
            face = 1
    elif cz < -half or cz > half:
        return MISS, 0
    a = ex * ex + ey * ey
    if a > 0.0:
        along = -(lx * ex + ly * ey) / a
        px = lx + along * ex
        py = ly + along * ey
        room = half * half - (px * px + py * py)
        if room < 0.0:
            return MISS, 0
        reach = sqrt(room / a)
        if along - reach > near:
            near = along - reach
            face = 0
        if along + reach < far:
            far = along + reach
    elif lx * lx + ly * ly > half * half:
        return MISS, 0
    return (near, face) if far >= near and near > 0.0 else (MISS, 0)


@inlined
def normal_at(
    solids: Any, index: int, face: int, x: float, y: float, z: float, rounding: float
) -> tuple[float, float, float]:
    """Compute the unit outward normal of a face of a solid at a point on it or near it (coverage samples are averaged).

    Args:
        rounding: width of the rounded edges, as a share of the half extent; 0 for sharp ones.
    """
    kind = int(solids[index, KIND])
    half = solids[index, HALF]
    cx = x - solids[index, X]
    cy = y - solids[index, Y]
    cz = z - half
    if kind == SPHERE:
        nx, ny, nz = cx, cy, cz
    elif kind == CYLINDER:
        radius = sqrt(cx * cx + cy * cy) + 1e-12
        if face == 0:
            nx, ny, nz = cx / radius, cy / radius, _lean(cz, half, rounding)
        else:
            lean = _lean(radius, half, rounding) / radius
            nx, ny, nz = lean * cx, lean * cy, (1.0 if face == 1 else -1.0)
    else:
        cosine = solids[index, COSINE]
        sine = solids[index, SINE]
        lx = cosine * cx + sine * cy
        ly = cosine * cy - sine * cx
        sign = 1.0 if face % 2 == 1 else -1.0
        lx = sign if face < 2 else _lean(lx, half, rounding)
        ly = sign if 2 <= face < 4 else _lean(ly, half, rounding)
        nx = cosine * lx - sine * ly
        ny = sine * lx + cosine * ly
        nz = sign if face >= 4 else _lean(cz, half, rounding)
    scale = 1.0 / sqrt(nx * nx + ny * ny + nz * nz + 1e-30)
    return nx * scale, ny * scale, nz * scale


@compiled
def curvature_at(solids: Any, index: int, face: int, x: float, y: float, z: float, rounding: float) -> float:
    """Compute how fast the shaded normal turns, in radians per unit of length; it blurs a pixel's reflection."""
    kind = int(solids[index, KIND])
    half = solids[index, HALF]
    if kind == SPHERE:
        return float(1.0 / half)
    nx, ny, nz = normal_at(solids, index, face, x, y, z, 0.0)
    mx, my, mz = normal_at(solids, index, face, x, y, z, rounding)
    if nx * mx + ny * my + nz * mz < 0.9999:
        return float(0.785 / (rounding * half))
    return float(1.0 / half) if kind == CYLINDER and face == 0 else 0.0


@inlined
def _lean(position: float, half: float, rounding: float) -> float:
    """Compute how far a normal leans towards an edge, with its sign: 0 on the flat, 1 (45 degrees) on the edge."""
    beyond = abs(position) - (1.0 - rounding) * half
    if beyond <= 0.0 or rounding <= 0.0:
        return 0.0
    lean = min(beyond / (rounding * half), 1.0)
    return float(lean if position > 0.0 else -lean)


@compiled
def block(
    solids: Any, index: int, x: float, y: float, z: float, ax: float, ay: float, az: float,
    samples: Any, light: int, blocked: Any,
) -> None:  # fmt: skip
    """Mark the samples of a light that a solid hides from a point (x, y, z) outside it.

    Args:
        ax, ay, az: what to take from a light's samples for the direction towards them: the point itself, or the
            origin where the samples are directions already (a sun).
        samples: (L, 3, LIGHT_SAMPLES) float32, points on each light.
        blocked: (LIGHT_SAMPLES,) int32, set to 1 where hidden, else left alone.
    """
    kind = int(solids[index, KIND])
    half = np.float32(solids[index, HALF])
    x0 = np.float32(ax)
    y0 = np.float32(ay)
    z0 = np.float32(az)
    cx = np.float32(x - solids[index, X])
    cy = np.float32(y - solids[index, Y])
    cz = np.float32(z - solids[index, HALF])
    if kind == SPHERE:
        outside = cx * cx + cy * cy + cz * cz - half * half
        for k in range(LIGHT_SAMPLES):
            dx = samples[light, 0, k] - x0
            dy = samples[light, 1, k] - y0
            dz = samples[light, 2, k] - z0
            b = -(cx * dx + cy * dy + cz * dz)
            hit = (b > _ZERO) & (b * b > (dx * dx + dy * dy + dz * dz) * outside)
            blocked[k] |= np.int32(hit)
        return
    cosine = np.float32(solids[index, COSINE])
    sine = np.float32(solids[index, SINE])
    lx = cosine * cx + sine * cy
    ly = cosine * cy - sine * cx
    if kind == CUBE:
        for k in range(LIGHT_SAMPLES):
            dx = samples[light, 0, k] - x0
            dy = samples[light, 1, k] - y0
            ix = _ONE / (cosine * dx + sine * dy + _TINY)
            iy = _ONE / (cosine * dy - sine * dx + _TINY)
            iz = _ONE / (samples[light, 2, k] - z0 + _TINY)
            ax = (-half - lx) * ix
            bx = (half - lx) * ix
            ay = (-half - ly) * iy
            by = (half - ly) * iy
            az = (-half - cz) * iz
            bz = (half - cz) * iz
            near = max(max(min(ax, bx), min(ay, by)), min(az, bz))
            far = min(min(max(ax, bx), max(ay, by)), max(az, bz))
            blocked[k] |= np.int32((far > near) & (far > _ZERO))
        return
    for k in range(LIGHT_SAMPLES):
        dx = samples[light, 0, k] - x0
        dy = samples[light, 1, k] - y0
        iz = _ONE / (samples[light, 2, k] - z0 + _TINY)
        az = (-half - cz) * iz
        bz = (half - cz) * iz
        ia = _ONE / (dx * dx + dy * dy + _TINY)
        along = -(cx * dx + cy * dy) * ia
        px = cx + along * dx
        py = cy + along * dy
        room = half * half - (px * px + py * py)
        reach = np.sqrt(max(room, _ZERO) * ia)
        near = max(along - reach, min(az, bz))
        far = min(along + reach, max(az, bz))
        blocked[k] |= np.int32((room > _ZERO) & (far > near) & (far > _ZERO))
