"""The relevant labels of queries of the original CSS: its objects are scenes, its texts are programs on them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmark.datasets.relevance import Relevance
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.modification import Modification, parse
from css_gen.scenes.scene import Scene, SceneObject


def scene_of(objects: Iterable[Mapping[str, Any]]) -> Scene | None:
    """The scene of an image's objects; None if it is not one of ours, such as with two objects in a cell.

    Raises:
        KeyError, TypeError, IndexError: an object lacks one of shape, color, size and pos.
        ValueError: a position is outside of [0, 1].
    """
    placed = [(_cell(item), item) for item in objects]
    try:
        return Scene(tuple(_object(cell, item) for cell, item in placed))
    except ValueError:
        return None


def third(position: float) -> int:
    """The row or the column of the 3x3 grid, 0 to 2, of a position in [0, 1]. Raises ValueError for any other."""
    if not 0 <= position <= 1:
        raise ValueError(f"the position {position} of an object is outside of the image: expected 0 to 1")
    return min(int(3 * position), 2)


def relevant_labels(
    queries: Sequence[Mapping[str, Any]], scenes: Sequence[Scene | None], labels: Sequence[int], kept: Sequence[bool]
) -> tuple[Relevance, int]:
    """The labels of all images that answer each query, and how many queries are left with their drawn target's alone.

    These are the queries whose text or scene cannot be read, or whose target is not what their text makes of the scene.

    Args:
        queries: each with `source` and `target`, which are numbers of images, and `text`.
        scenes: of every image.
        labels: of every image; the target's is always relevant.
        kept: whether each image is in the gallery.
    """
    labels_of: dict[str, set[int]] = defaultdict(set)
    for scene, label, is_kept in zip(scenes, labels, kept, strict=True):
        if scene is not None and is_kept:
            labels_of[scene.key].add(label)
    programs = {text: _program(text) for text in {query["text"] for query in queries}}
    answers, unread = [], 0
    for query in queries:
        program, scene, own = programs[query["text"]], scenes[query["source"]], labels[query["target"]]
        found: set[int] = set()
        if program is not None and scene is not None:
            found = set().union(*(labels_of[key] for key in program.targets(scene) if key in labels_of))
        if own not in found:
            unread += 1
            found = {own}
        answers.append(found)
    return Relevance.of_sets(answers), unread


def _cell(item: Mapping[str, Any]) -> Cell:
    down, across = item["pos"][0], item["pos"][1]
    return list(Cell)[3 * third(down) + third(across)]


def _object(cell: Cell, item: Mapping[str, Any]) -> SceneObject:
    return SceneObject(cell, Size(item["size"]), Colour(item["color"]), Shape(item["shape"]))


def _program(text: str) -> Modification | None:
    try:
        return parse(text)
    except ValueError:
        return None
