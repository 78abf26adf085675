"""The columns of `--with geometry`: their types, what they hold, and a row of them from a geometry and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from css_gen.rendering.geometry import Camera, Geometry, Lamp, ObjectGeometry, Sun
from css_gen.scenes.scene import Scene


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        shape: of its nested lists; -1 is the number of objects. Empty for a single value.
        kind: the type of its values.
        about: a sentence that describes it, with the unit.
    """

    shape: tuple[int, ...]
    kind: pa.DataType
    about: str

    @property
    def type(self) -> pa.DataType:
        nested = self.kind
        for _ in self.shape:
            nested = pa.list_(nested)
        return nested


_EACH = -1
_FLOAT, _INTEGER, _TEXT = pa.float64(), pa.int64(), pa.string()
_BOX = "left, top, right and bottom in pixels, right and bottom excluded"

COLUMNS = {
    "object_position": Column((_EACH, 3), _FLOAT, "Centre of each object in world units, z up, floor at 0."),
    "object_rotation": Column((_EACH,), _FLOAT, "Rotation of each object about the vertical axis in radians."),
    "object_half_extent": Column((_EACH,), _FLOAT, "Radius or half edge of each object in world units."),
    "object_material": Column((_EACH,), _TEXT, "Material of each object, rubber or metal."),
    "object_box_image_3d": Column(
        (_EACH, 4), _INTEGER, f"Box of the pixels of image_3d that show each object: {_BOX}; zeros if it is hidden."
    ),
    "object_box_image_2d": Column((_EACH, 4), _INTEGER, f"Box of each object in image_2d: {_BOX}."),
    "camera_position": Column((3,), _FLOAT, "Position of the camera of image_3d in world units."),
    "camera_rotation": Column((3, 3), _FLOAT, "Right, down and forward of the camera, as rows (OpenCV's convention)."),
    "camera_intrinsics": Column((3, 3), _FLOAT, "Focal lengths and principal point of the camera in pixels."),
    "lamp_position": Column((3, 3), _FLOAT, "Positions of key, fill and back lamp, which shine to the origin."),
    "lamp_size": Column((3,), _FLOAT, "Edge of each lamp's square in world units."),
    "lamp_radiance": Column((3, 3), _FLOAT, "Red, green and blue radiance of each lamp."),
    "sun_direction": Column((3,), _FLOAT, "Unit vector towards the sun."),
    "sun_irradiance": Column((), _FLOAT, "Irradiance of a surface that faces the sun."),
}
"""Columns of objects have one entry an object, in the order of the column scene."""


def to_row(geometry: Geometry) -> dict[str, Any]:
    """Return the values of a row's columns as numbers, strings and lists."""
    objects, camera, lamps, sun = geometry.objects, geometry.camera, geometry.lamps, geometry.sun
    return {
        "object_position": [item.position.tolist() for item in objects],
        "object_rotation": [item.rotation for item in objects],
        "object_half_extent": [item.half_extent for item in objects],
        "object_material": [item.material for item in objects],
        "object_box_image_3d": [list(item.box_image_3d) for item in objects],
        "object_box_image_2d": [list(item.box_image_2d) for item in objects],
        "camera_position": camera.position.tolist(),
        "camera_rotation": camera.rotation.tolist(),
        "camera_intrinsics": camera.intrinsics.tolist(),
        "lamp_position": [lamp.position.tolist() for lamp in lamps],
        "lamp_size": [lamp.size for lamp in lamps],
        "lamp_radiance": [lamp.radiance.tolist() for lamp in lamps],
        "sun_direction": sun.direction.tolist(),
        "sun_irradiance": sun.irradiance,
    }


def from_row(scene: Scene, row: Mapping[str, Any]) -> Geometry:
    """Return the geometry that `to_row` wrote, of an image of the scene."""
    of_objects = (row[name] for name in COLUMNS if name.startswith("object_"))
    lamps = zip(row["lamp_position"], row["lamp_size"], row["lamp_radiance"], strict=True)
    return Geometry(
        objects=tuple(
            ObjectGeometry(
                cell=item.cell, position=np.array(position), rotation=rotation, half_extent=half_extent,
                material=material, box_image_3d=(*box_3d,), box_image_2d=(*box_2d,),
            )
            for item, position, rotation, half_extent, material, box_3d, box_2d in zip(scene, *of_objects, strict=True)
        ),
        camera=Camera(
            np.array(row["camera_position"]), np.array(row["camera_rotation"]), np.array(row["camera_intrinsics"])
        ),
        lamps=tuple(Lamp(np.array(position), size, np.array(radiance)) for position, size, radiance in lamps),
        sun=Sun(np.array(row["sun_direction"]), row["sun_irradiance"]),
    )  # fmt: skip
