"""Times Mitsuba 3's path tracer on scenes that `scenes.py` described.

    python mitsuba_path.py scenes.json result.json --samples 64 [--pictures FOLDER]

Objects are Mitsuba's own shapes in rough plastic, the floor is a rectangle; lamps, sun and camera stand where ours do.
The LLVM variant where a libLLVM is found (DRJIT_LIBLLVM_PATH names one), else the scalar one, each on all cores. On a
CPU with AVX-512, LLVM 15 cannot compile its kernels and ends the process: install a newer one (`libllvm19`). A
picture's time is that of the render call; its kernel was compiled by a first, untimed one of the same scene.
"""

import argparse
import ctypes.util
import json
import os
import time
from math import cos, degrees, pi, sin, sqrt
from pathlib import Path
from typing import Any

import mitsuba as mi
import numpy as np

SUN_DISTANCE = 1_000.0
NEAR_SHARE = 0.68
"""Where the near plane lies between camera and aim: a lamp hangs before it, and would hide what is behind."""


def choose_variant() -> str:
    """The fastest variant that works here."""
    if "DRJIT_LIBLLVM_PATH" not in os.environ:
        found = (ctypes.util.find_library(f"LLVM-{version}") for version in range(22, 14, -1))
        if name := next((name for name in found if name), None):
            os.environ["DRJIT_LIBLLVM_PATH"] = name
    try:
        mi.set_variant("llvm_ad_rgb")
        np.array(mi.Float(1.0) + 1)
    except (ImportError, RuntimeError):
        mi.set_variant("scalar_rgb")
    return str(mi.variant())


def build(plain: dict[str, Any], samples: int) -> Any:
    transform = mi.ScalarTransform4f
    camera, sun = plain["camera"], plain["sun"]
    distance = sqrt(sum((a - b) ** 2 for a, b in zip(camera["position"], camera["aim"], strict=True)))
    parts: dict[str, Any] = {
        "integrator": {"type": "path", "max_depth": 8},
        "sensor": {
            "type": "perspective",
            "fov": degrees(camera["field_of_view"]),
            "principal_point_offset_x": camera["shift"][0],
            "principal_point_offset_y": -camera["shift"][1],
            "near_clip": NEAR_SHARE * distance,
            "far_clip": 1e5,
            "to_world": transform().look_at(camera["position"], camera["aim"], (0, 0, 1)),
            "sampler": {"type": "independent", "sample_count": samples},
            "film": {"type": "hdrfilm", "width": plain["size"], "height": plain["size"], "rfilter": {"type": "box"}},
        },
        "floor": {
            "type": "rectangle",
            "to_world": transform().scale(100),
            "bsdf": {"type": "diffuse", "reflectance": _colour([plain["floor"]] * 3)},
        },
        # A disc far away: it shines on what faces it with pi sin(a)^2 times its radiance.
        "sun": {
            "type": "disk",
            "to_world": transform().look_at([SUN_DISTANCE * value for value in sun["towards"]], (0, 0, 0), (0, 0, 1))
            @ transform().scale(SUN_DISTANCE * sin(sun["half_angle"]) / cos(sun["half_angle"])),
            "emitter": _glow([sun["irradiance"] / (pi * sin(sun["half_angle"]) ** 2)] * 3),
        },
    }
    for number, lamp in enumerate(plain["lamps"]):
        parts[f"lamp{number}"] = {
            "type": "rectangle",
            "to_world": transform().look_at(lamp["position"], lamp["aim"], (0, 0, 1))
            @ transform().scale(lamp["size"] / 2),
            "emitter": _glow(lamp["radiance"]),
        }
    for number, item in enumerate(plain["objects"]):
        parts |= {f"object{number}{name}": part for name, part in _shapes(item).items()}
    return mi.load_dict({"type": "scene", **parts})


def _shapes(item: dict[str, Any]) -> dict[str, Any]:
    half, x, y = item["half_extent"], item["x"], item["y"]
    plastic = {"type": "roughplastic", "diffuse_reflectance": _colour(item["reflectance"]), "alpha": 0.3}
    matter = {"bsdf": {"type": "twosided", "plastic": plastic}}
    if item["shape"] == "sphere":
        return {"": {"type": "sphere", "center": (x, y, half), "radius": half, **matter}}
    if item["shape"] == "cube":
        placed = mi.ScalarTransform4f().translate((x, y, half)).rotate((0, 0, 1), 360 * item["turn"]).scale(half)
        return {"": {"type": "cube", "to_world": placed, **matter}}
    lid = mi.ScalarTransform4f().translate((x, y, 2 * half)).scale(half)
    return {
        "side": {"type": "cylinder", "p0": (x, y, 0), "p1": (x, y, 2 * half), "radius": half, **matter},
        "lid": {"type": "disk", "to_world": lid, **matter},
    }


def _colour(values: list[float]) -> dict[str, Any]:
    return {"type": "rgb", "value": list(values)}


def _glow(radiance: list[float]) -> dict[str, Any]:
    return {"type": "area", "radiance": _colour(radiance)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("scenes", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--samples", type=int, required=True)
    parser.add_argument("--pictures", type=Path, help="where to keep the pictures")
    options = parser.parse_args()
    variant = choose_variant()
    seconds = []
    for number, plain in enumerate(json.loads(options.scenes.read_text())):
        scene = build(plain, options.samples)
        np.array(mi.render(scene, seed=1))
        started = time.perf_counter()
        image = np.array(mi.render(scene, seed=0))
        seconds.append(time.perf_counter() - started)
        if options.pictures:
            mi.util.write_bitmap(str(options.pictures / f"mitsuba-{number}.png"), image, write_async=False)
    options.result.write_text(json.dumps({"version": mi.__version__, "variant": variant, "seconds": seconds}))


if __name__ == "__main__":
    main()
