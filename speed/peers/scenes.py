"""Images of a dataset as plain data that other renderers can read: camera, lights and objects in world units."""

from math import atan, sqrt
from typing import Any

from css_gen.rendering.nuisance import sample_nuisance
from css_gen.rendering.render3d import RADII, REFLECTANCES, place
from css_gen.rendering.stage import VIEWS, jittered
from css_gen.scenes.factors import Shape
from css_gen.scenes.randomness import SplitId, Stream, stream
from css_gen.storage.configuration import Configuration
from css_gen.storage.plan import split_plan


def plain_scene(configuration: Configuration, image_id: int) -> dict[str, Any]:
    """What image `image_id` of the training split shows, as numbers, strings and lists."""
    scene = split_plan(configuration, SplitId.TRAIN).scene(image_id)
    nuisance = sample_nuisance(
        configuration.jitter, rng=stream(configuration.seed, SplitId.TRAIN, Stream.NUISANCE, image_id)
    )
    stage = jittered(VIEWS[configuration.view], nuisance)
    right, up, half = stage.camera.window
    objects = []
    for item in scene:
        x, y = place(item, nuisance)
        half_extent = RADII[item.size] / (sqrt(2) if item.shape == Shape.RECTANGLE else 1)
        objects.append(
            {
                "shape": item.shape.solid_name,
                "half_extent": half_extent,
                "x": x,
                "y": y,
                "turn": float(nuisance.turns[item.cell.index]),
                "reflectance": REFLECTANCES[item.colour],
            }
        )
    return {
        "size": configuration.size,
        "floor": stage.floor,
        "camera": {
            "position": stage.camera.position,
            "aim": stage.camera.aim,
            "field_of_view": 2 * atan(half),
            "shift": [right / (2 * half), up / (2 * half)],
        },
        "lamps": [
            {"position": lamp.position, "aim": lamp.aim, "size": lamp.size, "radiance": lamp.radiance}
            for lamp in stage.lights
        ],
        "sun": {
            "towards": stage.sun.towards,
            "irradiance": stage.sun.irradiance,
            "half_angle": atan(stage.sun.half_angle_tangent),
        },
        "objects": objects,
    }
