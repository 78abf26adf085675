"""Times Blender Cycles on scenes that `scenes.py` described. Needs Python with `bpy` and nothing of ours.

    python blender.py scenes.json result.json --samples 512 [--pictures FOLDER]

Objects are Blender's own primitives with rounded edges, the floor is a plane; lamps, sun and camera stand as ours do.
As in CLEVR: no denoising, a fixed number of samples, eight bounces. A picture's time is that of Blender's render call
alone, on all cores: neither the start of Blender nor the setting up of the scene counts.
"""

import argparse
import json
import time
from math import pi
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bpy
from mathutils import Vector


def build(plain: dict[str, Any]) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("dark")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0
    for lamp in plain["lamps"]:
        light = bpy.data.lights.new("lamp", "AREA")
        brightest = max(lamp["radiance"])
        light.size = lamp["size"]
        light.energy = pi * lamp["size"] ** 2 * brightest
        light.color = [value / brightest for value in lamp["radiance"]]
        placed = _put("lamp", light, lamp["position"], lamp["aim"])
        placed.visible_camera = False
    sun = bpy.data.lights.new("sun", "SUN")
    sun.energy = plain["sun"]["irradiance"]
    sun.angle = 2 * plain["sun"]["half_angle"]
    _put("sun", sun, plain["sun"]["towards"], (0, 0, 0))
    camera = bpy.data.cameras.new("camera")
    camera.angle = plain["camera"]["field_of_view"]
    camera.shift_x, camera.shift_y = plain["camera"]["shift"]
    scene.camera = _put("camera", camera, plain["camera"]["position"], plain["camera"]["aim"])
    bpy.ops.mesh.primitive_plane_add(size=200)
    bpy.context.object.data.materials.append(_material([plain["floor"]] * 3, coated=False))
    for item in plain["objects"]:
        _add(item)


def configure(size: int, samples: int) -> None:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = samples
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.use_denoising = False
    scene.cycles.max_bounces = 8
    scene.cycles.blur_glossy = 2.0
    scene.render.threads_mode = "AUTO"
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    scene.view_settings.view_transform = "Standard"


def _put(name: str, data: Any, position: list[float], aim: Any) -> Any:
    placed = bpy.data.objects.new(name, data)
    placed.location = position
    placed.rotation_euler = (Vector(aim) - Vector(position)).to_track_quat("-Z", "Y").to_euler()
    bpy.context.scene.collection.objects.link(placed)
    return placed


def _add(item: dict[str, Any]) -> None:
    half = item["half_extent"]
    location = (item["x"], item["y"], half)
    turned = {"location": location, "rotation": (0, 0, 2 * pi * item["turn"])}
    if item["shape"] == "sphere":
        bpy.ops.mesh.primitive_uv_sphere_add(segments=64, ring_count=32, radius=half, location=location)
    elif item["shape"] == "cube":
        bpy.ops.mesh.primitive_cube_add(size=2 * half, **turned)
    else:
        bpy.ops.mesh.primitive_cylinder_add(vertices=64, radius=half, depth=2 * half, **turned)
    added = bpy.context.object
    if item["shape"] == "sphere":
        bpy.ops.object.shade_smooth()
    else:
        edges = added.modifiers.new("edges", "BEVEL")
        edges.width = 0.05 * half
        edges.segments = 3
        bpy.ops.object.shade_smooth_by_angle()
    added.data.materials.append(_material(item["reflectance"], coated=True))


def _material(reflectance: list[float], *, coated: bool) -> Any:
    material = bpy.data.materials.new("material")
    material.use_nodes = True
    inputs = material.node_tree.nodes["Principled BSDF"].inputs
    inputs["Base Color"].default_value = (*reflectance, 1)
    inputs["Roughness"].default_value = 0.5
    inputs["Specular IOR Level"].default_value = 0.5 if coated else 0.0
    return material


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("scenes", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--samples", type=int, required=True)
    parser.add_argument("--pictures", type=Path, help="where to keep the pictures")
    options = parser.parse_args()
    seconds = []
    with TemporaryDirectory() as scratch:
        for number, plain in enumerate(json.loads(options.scenes.read_text())):
            build(plain)
            configure(plain["size"], options.samples)
            bpy.context.scene.render.filepath = str((options.pictures or Path(scratch)) / f"cycles-{number}.png")
            started = time.perf_counter()
            bpy.ops.render.render(write_still=True)
            seconds.append(time.perf_counter() - started)
    options.result.write_text(json.dumps({"version": bpy.app.version_string, "seconds": seconds}))


if __name__ == "__main__":
    main()
