"""Scenes in words, cell by cell."""

import pytest

from benchmark.explanation.differences import CellRow, differing_cells, in_words
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject

CUBE = SceneObject(Cell.TOP_LEFT, Size.LARGE, Colour.RED, Shape.RECTANGLE)
BALL = SceneObject(Cell.BOTTOM_RIGHT, Size.SMALL, Colour.BLUE, Shape.CIRCLE)
RED_BALL = SceneObject(Cell.BOTTOM_RIGHT, Size.SMALL, Colour.RED, Shape.CIRCLE)


def test_only_cells_that_differ_are_told_in_the_order_of_the_grid() -> None:
    scenes = [Scene((BALL, CUBE)), Scene((RED_BALL, CUBE)), Scene((BALL,))]
    assert differing_cells(scenes, names="2d") == [
        CellRow(Cell.TOP_LEFT, ("large red rectangle", "large red rectangle", "-")),
        CellRow(Cell.BOTTOM_RIGHT, ("small blue circle", "small red circle", "small blue circle")),
    ]
    assert differing_cells([Scene((BALL,)), Scene((BALL,))], names="2d") == []


def test_scenes_are_told_with_the_names_of_their_texts() -> None:
    scene = Scene((BALL, CUBE))
    assert in_words(scene, names="2d") == scene.key
    assert in_words(scene, names="3d") == "top-left large red cube; bottom-right small blue sphere"
    assert in_words(Scene(), names="3d") == "nothing"
    with pytest.raises(ValueError, match="names must be 2d or 3d"):
        in_words(scene, names="4d")
