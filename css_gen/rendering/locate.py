"""Compute the geometry of an image from its scene and nuisance; the boxes of the 3D image from its mask."""

from math import ceil, floor, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from css_gen.rendering import stage as stages
from css_gen.rendering.geometry import Box, Camera, Geometry, Lamp, ObjectGeometry, Sun
from css_gen.rendering.kernels.tables import lay_frame
from css_gen.rendering.nuisance import Nuisance
from css_gen.rendering.render2d import HALF_EXTENTS, position_2d
from css_gen.rendering.render3d import solid_of, standing_half_extent
from css_gen.rendering.stage import VIEWS, jittered
from css_gen.scenes.scene import Scene, SceneObject


def locate(scene: Scene, nuisance: Nuisance, mask: NDArray[np.uint8], *, view: str = "grid") -> Geometry:
    """Return the geometry of both images of a scene.

    Only additions, multiplications, divisions and square roots are used, which give the same bits on every CPU.

    Args:
        mask: uint8 (size, size), as `render_3d` returns it.
        view: one of VIEWS, as `render_3d` was given it.
    """
    stage, size = jittered(VIEWS[view], nuisance), len(mask)
    objects = []
    for item in scene:
        solid = solid_of(item, nuisance)
        half_extent = standing_half_extent(solid, stage)
        objects.append(
            ObjectGeometry(
                cell=item.cell,
                position=np.array([solid.x, solid.y, half_extent]),
                rotation=2 * pi * solid.turn,
                half_extent=half_extent,
                material=nuisance.materials[item.cell.index],
                box_image_3d=_visible_box(mask == 1 + item.cell.index),
                box_image_2d=_flat_box(item, nuisance, size),
            )
        )
    lamps = tuple(Lamp(np.array(lamp.position), lamp.size, np.array(lamp.radiance)) for lamp in stage.lights)
    towards = np.array(stage.sun.towards)
    x, y, z = towards.tolist()
    sun = Sun(towards / sqrt(x * x + y * y + z * z), stage.sun.irradiance)
    return Geometry(tuple(objects), _camera(stage.camera, size), lamps, sun)


def _camera(camera: stages.Camera, size: int) -> Camera:
    frame = np.empty(12)
    lay_frame(camera.position, camera.aim, frame)
    right, up, back = frame[3:].reshape(3, 3)
    centre_right, centre_up, half_width = camera.window
    focal = size / (2 * half_width)
    middle = size / 2
    intrinsics = [[focal, 0, middle - focal * centre_right], [0, focal, middle + focal * centre_up], [0, 0, 1]]
    # Zeros are added so that none of them is a negative zero, which would be other bytes.
    return Camera(np.array(camera.position), np.stack([right, -up, -back]) + 0.0, np.array(intrinsics))


def _visible_box(shown: NDArray[np.bool_]) -> Box:
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    if not len(rows):
        return (0, 0, 0, 0)
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _flat_box(item: SceneObject, nuisance: Nuisance, size: int) -> Box:
    across, down = (share * size for share in position_2d(item, nuisance))
    half = HALF_EXTENTS[item.size] * size
    return floor(across - half), floor(down - half), ceil(across + half), ceil(down + half)
