"""A CSS scene as a dictionary for Mitsuba 3, built from the scene and its nuisance without our renderer's tables.

Shapes, sizes and the stage's figures come from `render3d` and `stage`; camera, transforms, intersection
and light transport are Mitsuba's own.
"""

from math import atan, degrees, pi, sqrt
from typing import Any

import drjit
import mitsuba as mi

from css_gen.rendering.nuisance import Nuisance
from css_gen.rendering.render3d import RADII, REFLECTANCES, place
from css_gen.rendering.stage import Camera, Stage
from css_gen.scenes.factors import Shape
from css_gen.scenes.scene import Scene, SceneObject

mi.set_variant("scalar_rgb")
drjit.set_thread_count(1)

FLOOR = "floor"
FLOOR_HALF_WIDTH = 400.0

SUN_DISTANCE = 10_000.0
"""Far enough that the disc which stands for the sun looks the same from everywhere on the grid, to 0.1%."""


def camera(camera: Camera, *, size: int, sampler: dict[str, Any], near: float = 0.1) -> dict[str, Any]:
    """The sensor, without a filter: a pixel is the mean of the samples inside it.

    Args:
        near: what is nearer than this is not seen.
    """
    right, up, half = camera.window
    return {
        "type": "perspective",
        "fov": degrees(2 * atan(half)),
        "fov_axis": "x",
        "principal_point_offset_x": right / (2 * half),
        "principal_point_offset_y": -up / (2 * half),
        "near_clip": near,
        "far_clip": 1e5,
        "to_world": mi.ScalarTransform4f().look_at(camera.position, camera.aim, (0, 0, 1)),
        "sampler": sampler,
        "film": {
            "type": "hdrfilm",
            "width": size,
            "height": size,
            "pixel_format": "rgb",
            "component_format": "float32",
            "rfilter": {"type": "box"},
        },
    }


def floor(stage: Stage) -> dict[str, Any]:
    """The flat floor; the stage must have no backdrop."""
    assert not stage.backdrop
    return {
        FLOOR: {
            "type": "rectangle",
            "to_world": mi.ScalarTransform4f().scale(FLOOR_HALF_WIDTH),
            "bsdf": _matte((stage.floor,) * 3),
        }
    }


def objects(scene: Scene, nuisance: Nuisance, stage: Stage) -> dict[str, Any]:
    """The scene's objects, matte; `cell_of` tells from a part's name which one it belongs to."""
    parts: dict[str, Any] = {}
    for item in scene:
        for name, part in _parts(item, nuisance, stage).items():
            parts[f"{item.cell.value.replace('-', '_')}_{name}"] = part | {"bsdf": _matte(REFLECTANCES[item.colour])}
    return parts


def cell_of(scene: Scene, name: str) -> int:
    """The cell index of the object that a part belongs to; -1 for the floor."""
    for item in scene:
        if name.startswith(item.cell.value.replace("-", "_")):
            return item.cell.index
    assert name == FLOOR
    return -1


def lights(stage: Stage) -> list[dict[str, Any]]:
    """Key, fill and back light and the sun, to be rendered one at a time: each would shade the others."""
    lamps = [
        {
            "type": "rectangle",
            "to_world": mi.ScalarTransform4f().look_at(lamp.position, lamp.aim, (0, 0, 1))
            @ mi.ScalarTransform4f().scale(lamp.size / 2),
            "emitter": {"type": "area", "radiance": {"type": "rgb", "value": list(lamp.radiance)}},
        }
        for lamp in stage.lights
    ]
    length = sqrt(sum(value * value for value in stage.sun.towards))
    position = [SUN_DISTANCE * value / length for value in stage.sun.towards]
    tangent = stage.sun.half_angle_tangent
    # A disc that spans the half angle a shines on a surface that faces it with pi sin(a)^2 times its radiance.
    radiance = stage.sun.irradiance * (1 + tangent**2) / (pi * tangent**2)
    sun = {
        "type": "disk",
        "to_world": mi.ScalarTransform4f().look_at(position, (0, 0, 0), (0, 0, 1))
        @ mi.ScalarTransform4f().scale(SUN_DISTANCE * tangent),
        "emitter": {"type": "area", "radiance": {"type": "rgb", "value": [radiance] * 3}},
    }
    return [*lamps, sun]


def load(parts: dict[str, Any]) -> Any:
    """The scene of all these parts. Not optimised: that would merge equal cubes into one shape."""
    return mi.load_dict({"type": "scene", **parts}, optimize=False)


def _parts(item: SceneObject, nuisance: Nuisance, stage: Stage) -> dict[str, dict[str, Any]]:
    x, y = place(item, nuisance)
    turn = 360 * float(nuisance.turns[item.cell.index])
    radius = RADII[item.size]
    if item.shape == Shape.CIRCLE:
        return {"ball": {"type": "sphere", "center": (x, y, radius), "radius": radius}}
    kept = 1 - stage.trim
    if item.shape == Shape.RECTANGLE:
        half = kept * radius / sqrt(2)
        placed = mi.ScalarTransform4f().translate((x, y, half)).rotate((0, 0, 1), turn)
        return {"block": {"type": "cube", "to_world": placed @ mi.ScalarTransform4f().scale(half)}}
    radius *= kept
    lid = mi.ScalarTransform4f().translate((x, y, 2 * radius)).scale(radius)
    # Nobody sees a cylinder's base, and no light passes under it.
    return {
        "side": {"type": "cylinder", "p0": (x, y, 0), "p1": (x, y, 2 * radius), "radius": radius},
        "lid": {"type": "disk", "to_world": lid},
    }


def _matte(reflectance: tuple[float, float, float]) -> dict[str, Any]:
    colour = {"type": "rgb", "value": list(reflectance)}
    return {"type": "twosided", "material": {"type": "diffuse", "reflectance": colour}}
