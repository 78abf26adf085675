"""Draw the pictures of docs/explanation.md with css-gen's renderers: `python docs/explanation_plot.py [FOLDER]`."""

import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from css_gen.rendering.nuisance import Jitter, Nuisance, sample_nuisance
from css_gen.rendering.render2d import render_2d
from css_gen.rendering.render3d import render_3d
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.modification import parse
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.storage.atomic import write_atomically

SIDE, GAP, BAND, FONT = 224, 16, 40, 20
"""In pixels: a tile, the space between tiles, the line below a tile, the size of the letters."""

GROUND, INK, RIGHT, WRONG = "#ffffff", "#1f2328", "#1a7f37", "#cf222e"
TEXT = "add red object"

Tile = tuple[str, str, NDArray[np.uint8]]
"""What stands below a picture, the colour of its frame, and the picture."""

SOURCE = Scene(
    (
        SceneObject(Cell.TOP_CENTER, Size.LARGE, Colour.CYAN, Shape.TRIANGLE),
        SceneObject(Cell.MIDDLE_LEFT, Size.SMALL, Colour.YELLOW, Shape.RECTANGLE),
        SceneObject(Cell.BOTTOM_CENTER, Size.LARGE, Colour.PURPLE, Shape.CIRCLE),
    )
)


def with_object(cell: Cell, size: Size, colour: Colour, shape: Shape) -> Scene:
    """The source scene and one more object."""
    return Scene((*SOURCE, SceneObject(cell, size, colour, shape)))


GALLERY = (
    with_object(Cell.MIDDLE_RIGHT, Size.LARGE, Colour.RED, Shape.RECTANGLE),
    with_object(Cell.TOP_LEFT, Size.SMALL, Colour.RED, Shape.CIRCLE),
    with_object(Cell.BOTTOM_RIGHT, Size.SMALL, Colour.RED, Shape.TRIANGLE),
    with_object(Cell.MIDDLE_RIGHT, Size.LARGE, Colour.BROWN, Shape.RECTANGLE),
    Scene((*SOURCE.objects[:2], SceneObject(Cell.MIDDLE_RIGHT, Size.LARGE, Colour.RED, Shape.RECTANGLE))),
)
"""Answers to `TEXT`. The first one is the target that was drawn."""


def drawn(seed: int, jitter: Jitter | None = None) -> Nuisance:
    """A draw of the nuisances, as each image of a dataset has one."""
    return sample_nuisance(jitter or Jitter(), rng=np.random.default_rng(seed))


def relevance_tiles() -> list[Tile]:
    """The source, and images of a gallery with what the benchmark says of each."""
    tiles: list[Tile] = [(f'source: "{TEXT}"', INK, render_3d(SOURCE, drawn(0), size=SIDE).image)]
    for number, scene in enumerate(GALLERY):
        is_right = parse(TEXT).is_target(SOURCE, scene)
        label = "relevant: the drawn target" if number == 0 else "relevant" if is_right else "not relevant"
        image = render_3d(scene, drawn(1 + number), size=SIDE).image
        tiles.append((label, RIGHT if is_right else WRONG, image))
    return tiles


def renderer_tiles() -> list[Tile]:
    """One scene in each way that css-gen can show it."""
    metal = replace(drawn(2), materials=("metal",) * 9)
    full = render_3d(SOURCE, drawn(2), size=SIDE)
    mask = np.array([(255, 255, 255), *((40 + 20 * cell, 200 - 15 * cell, 120) for cell in range(9))], np.uint8)
    near, far = np.percentile(full.depth, (0, 99))
    grey = np.uint8(255 * np.clip((far - full.depth) / (far - near), 0, 1))
    return [
        ("2D", INK, render_2d(SOURCE, Nuisance(), size=SIDE)),
        ("3D without jitter", INK, render_3d(SOURCE, Nuisance(), size=SIDE).image),
        ("3D, one draw", INK, full.image),
        ("3D, another draw", INK, render_3d(SOURCE, drawn(5), size=SIDE).image),
        ("--materials metal", INK, render_3d(SOURCE, metal, size=SIDE).image),
        ("--view clevr", INK, render_3d(SOURCE, drawn(2), size=SIDE, view="clevr").image),
        ("--with masks", INK, mask[full.mask]),
        ("--with depth", INK, np.repeat(grey[:, :, None], 3, axis=2)),
    ]


def corner(number: int, columns: int) -> tuple[int, int]:
    """Left and top of a tile on its sheet, in pixels."""
    return GAP + number % columns * (SIDE + GAP), GAP + number // columns * (SIDE + GAP + BAND)


def sheet(tiles: Sequence[Tile], *, columns: int) -> Image.Image:
    """Put tiles into rows, each with its label below."""
    rows = -(-len(tiles) // columns)
    whole = Image.new("RGB", (columns * (SIDE + GAP) + GAP, rows * (SIDE + GAP + BAND)), GROUND)
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(FONT)
    for number, (label, ink, image) in enumerate(tiles):
        left, top = corner(number, columns)
        width = 1 if ink == INK else 3
        pen.rectangle((left - width, top - width, left + SIDE + width - 1, top + SIDE + width - 1), fill=ink)
        whole.paste(Image.fromarray(image), (left, top))
        pen.text((left + SIDE // 2, top + SIDE + BAND // 2), label, fill=ink, font=font, anchor="mm")
    return whole


def pictures() -> dict[str, Image.Image]:
    """Every picture by the name of its file."""
    return {
        "explanation-relevance.png": sheet(relevance_tiles(), columns=3),
        "explanation-renderer.png": sheet(renderer_tiles(), columns=4),
    }


def main() -> None:
    """Write them to a folder, docs/ by default."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name, picture in pictures().items():
        file = io.BytesIO()
        picture.save(file, "PNG", optimize=True)
        write_atomically(folder / name, file.getvalue())


if __name__ == "__main__":
    main()
