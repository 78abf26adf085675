"""Say why an answer is right or wrong: its kind, and the cells in which it is not what the text asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.explanation.answer_kinds import kind_of_answer
from benchmark.explanation.differences import CellRow, differing_cells
from benchmark.explanation.track_kinds import OTHER, UNCHANGED, Kind
from benchmark.tasks.base import SceneProgram
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.modification import Modification
from css_gen.scenes.scene import Scene, SceneObject

RIGHT = "right answer"
RIGHT_MEANING = "The scene is what the text makes of the query's scene."


@dataclass(frozen=True)
class Verdict:
    """What to say of an answer.

    Attributes:
        is_right: whether its scene satisfies the text.
        kind: in a few words.
        meaning: in a sentence.
        cells: where the query's scene, the nearest scene that satisfies the text, and the answer's scene do not all
            show the same; `CellRow.shown` is in this order.
    """

    is_right: bool
    kind: str
    meaning: str
    cells: tuple[CellRow, ...]


class Judge:
    """Judges the answers to one query.

    Args:
        source: the query's scene.
        program: of the query's text.
        labels: what is wrong with a scene, by its key, where the dataset knows that (the hard tracks).
        names: of shapes: "2d" or "3d".
    """

    def __init__(
        self, source: Scene, program: SceneProgram, *, labels: dict[str, Kind] | None = None, names: str
    ) -> None:
        self._source, self._program, self._labels, self._names = source, program, labels or {}, names
        self._wanted = {key: _parts(key) for key in sorted(program.targets(source))}

    @property
    def wanted(self) -> tuple[str, ...]:
        """The keys of all scenes that satisfy the text."""
        return tuple(self._wanted)

    def verdict(self, key: str) -> Verdict | None:
        """Judge the answer whose scene has this key; None where the text does not apply or changes nothing."""
        if not self._wanted:
            return None
        if key in self._wanted:
            cells = self._cells(key, key)
            return Verdict(True, RIGHT, RIGHT_MEANING, cells)
        shown = _parts(key)
        nearest = min(self._wanted, key=lambda wanted: len({part.split()[0] for part in self._wanted[wanted] ^ shown}))
        kind = self._kind(nearest, key)
        return Verdict(False, str(kind), kind.meaning, self._cells(nearest, key)) if kind else None

    def _kind(self, wanted: str, shown: str) -> Kind | None:
        if wanted == self._source.key:
            return None
        if isinstance(self._program, Modification):
            return kind_of_answer(self._source, self._program, scene_of(wanted), scene_of(shown))
        return self._labels.get(shown) or (UNCHANGED if shown == self._source.key else OTHER)

    def _cells(self, wanted: str, shown: str) -> tuple[CellRow, ...]:
        scenes: Sequence[Scene] = (self._source, scene_of(wanted), scene_of(shown))
        return tuple(differing_cells(scenes, names=self._names))


def scene_of(key: str) -> Scene:
    """Return the scene of a key: `scene_of(scene.key) == scene`.

    Raises:
        ValueError: it is not a scene's key.
    """
    try:
        items = [part.split(" ") for part in _parts(key)]
        return Scene(tuple(SceneObject(Cell(c), Size(s), Colour(o), Shape(h)) for c, s, o, h in items))
    except ValueError as error:
        raise ValueError(f"cannot read the scene {key[:80]!r}: {error}") from None


def _parts(key: str) -> frozenset[str]:
    """Return the objects of a scene's key."""
    return frozenset(key.split("; ") if key else ())
