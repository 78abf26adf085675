"""The positions of an image's objects, camera and lamps, in world units and in pixels.

World coordinates are right-handed, z up, with the floor at z = 0 and the middle of the grid at the origin. Pixel
coordinates go right and down from the image's top left corner, so that the first pixel's centre is at (0.5, 0.5).
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from css_gen.scenes.factors import Cell

Floats: TypeAlias = NDArray[np.float64]
Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right and bottom in whole pixels, right and bottom excluded: `image[top:bottom, left:right]`."""


@dataclass(frozen=True)
class ObjectGeometry:
    """The pose, the material and the boxes of one object of a scene.

    Attributes:
        cell: which object of the scene it is.
        position: (3,) float64, its centre in world units.
        rotation: radians about the vertical axis, from 0 to 2 pi, counter-clockwise seen from above.
        half_extent: half its height, which is also half its width, in world units: a radius, or half a cube's edge.
        material: "rubber" or "metal".
        box_image_3d: the pixels of image_3d that show it; (0, 0, 0, 0) if other objects hide all of it.
        box_image_2d: the pixels of image_2d that it touches, whether or not others cover it.
    """

    cell: Cell
    position: Floats
    rotation: float
    half_extent: float
    material: str
    box_image_3d: Box
    box_image_2d: Box


@dataclass(frozen=True)
class Camera:
    """The pinhole camera of image_3d, in OpenCV's convention: x right, y down, z along the viewing axis.

    Attributes:
        position: (3,) float64, world units.
        rotation: (3, 3) float64, from world to camera directions: its rows are the camera's right, down and forward.
        intrinsics: (3, 3) float64, focal lengths and principal point in pixels.
    """

    position: Floats
    rotation: Floats
    intrinsics: Floats

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Return where points are in the image.

        Args:
            points: (N, 3) world units, in front of the camera.

        Returns:
            (N, 2) pixels, right and down; (N,) distances along the viewing axis, as `Split.depth` has them.
        """
        seen = (np.asarray(points, np.float64) - self.position) @ self.rotation.T
        homogeneous = seen @ self.intrinsics.T
        return homogeneous[:, :2] / homogeneous[:, 2:], seen[:, 2]


@dataclass(frozen=True)
class Lamp:
    """A square lamp that shines towards the origin.

    Attributes:
        position: (3,) float64, its centre in world units.
        size: the length of its edge in world units.
        radiance: (3,) float64, red, green and blue.
    """

    position: Floats
    size: float
    radiance: Floats


@dataclass(frozen=True)
class Sun:
    """Light from far away.

    Attributes:
        direction: (3,) float64, unit vector towards the sun.
        irradiance: on a surface that faces it.
    """

    direction: Floats
    irradiance: float


@dataclass(frozen=True)
class Geometry:
    """The geometry of one image. Objects are in the order of the scene; the lamps are key, fill and back."""

    objects: tuple[ObjectGeometry, ...]
    camera: Camera
    lamps: tuple[Lamp, ...]
    sun: Sun
