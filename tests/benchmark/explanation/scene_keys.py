"""Scenes from their keys."""

from itertools import product

from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject

OBJECTS = [SceneObject(*factors) for factors in product(Cell, Size, Colour, Shape)]
_OF_WORDS = {str(item): item for item in OBJECTS}


def scene_of(key: str) -> Scene:
    return Scene(tuple(_OF_WORDS[words] for words in key.split("; ") if words))
