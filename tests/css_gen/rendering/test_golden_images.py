"""Fixed scenes as pixels that must never change, on any CPU.

The command that makes them anew, to be looked at then:

    PYTHONPATH=. .venv/bin/python tests/test_golden_images.py
"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from css_gen.rendering.nuisance import Jitter, Nuisance, sample_nuisance
from css_gen.rendering.render2d import render_2d
from css_gen.rendering.render3d import render_3d
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject

FOLDER = Path(__file__).parent / "golden" / "images"
SIZE = 80

FULL = Scene(
    tuple(
        SceneObject(cell, tuple(Size)[number % 2], tuple(Colour)[number % 8], tuple(Shape)[(number + number // 3) % 3])
        for number, cell in enumerate(Cell)
    )
)
FEW = Scene(
    (
        SceneObject(Cell.TOP_LEFT, Size.LARGE, Colour.CYAN, Shape.TRIANGLE),
        SceneObject(Cell.MIDDLE_CENTER, Size.SMALL, Colour.YELLOW, Shape.RECTANGLE),
        SceneObject(Cell.BOTTOM_RIGHT, Size.LARGE, Colour.PURPLE, Shape.CIRCLE),
    )
)
DRAWN = sample_nuisance(Jitter(), rng=np.random.default_rng(7))


def pictures() -> dict[str, NDArray[np.uint8]]:
    """Every golden image by name."""
    metal = replace(DRAWN, materials=("metal", "rubber", "metal") * 3)
    return {
        "full": render_3d(FULL, Nuisance(), size=SIZE).image,
        "full-jittered": render_3d(FULL, DRAWN, size=SIZE).image,
        "full-metal": render_3d(FULL, metal, size=SIZE).image,
        "few-jittered": render_3d(FEW, DRAWN, size=SIZE).image,
        "few-clevr": render_3d(FEW, DRAWN, size=SIZE, view="clevr").image,
        "empty": render_3d(Scene(), Nuisance(), size=SIZE).image,
        "full-2d": render_2d(FULL, DRAWN, size=SIZE),
        "few-2d": render_2d(FEW, Nuisance(), size=SIZE),
    }


def stored(name: str) -> NDArray[np.uint8]:
    with Image.open(FOLDER / f"{name}.png", formats=["PNG"]) as image:
        return np.asarray(image.convert("RGB"))


def test_every_pixel_is_as_it_was() -> None:
    found = pictures()
    assert set(found) == {path.stem for path in FOLDER.glob("*.png")}
    for name, picture in found.items():
        np.testing.assert_array_equal(picture, stored(name), err_msg=name)


@pytest.mark.slow
def test_a_plain_cpu_gives_the_same_pixels(tmp_path: Path) -> None:
    """The kernels compiled for any x86-64, without the vector instructions of the machine that this runs on."""
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    subprocess.run([sys.executable, __file__, str(tmp_path)], env=environment, check=True)
    for path in FOLDER.glob("*.png"):
        with Image.open(tmp_path / path.name) as image:
            np.testing.assert_array_equal(np.asarray(image), stored(path.stem), err_msg=path.stem)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures().items():
        Image.fromarray(picture).save(folder / f"{name}.png", optimize=True)
