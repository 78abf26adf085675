"""Certify by enumeration that neither modality alone determines the answers of a split, and score the shortcut."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np

from css_gen.scenes.factors import Cell
from css_gen.scenes.matching import OBJECTS, members, object_set
from css_gen.scenes.scene import Scene
from css_gen.tracks.base import Program, Track


@dataclass(frozen=True)
class Question:
    """A query as the certificate sees it; images are numbers of the gallery.

    Attributes:
        distractors: the wrong answers that were put into the gallery for it.
    """

    program: Program
    source: int
    target: int
    distractors: tuple[int, ...] = ()


@dataclass(frozen=True)
class Certificate:
    """Figures of a split, in percent of its queries.

    Attributes:
        text_alone: queries that the text alone determines: it can make no scene of the gallery, of any source at all,
            but the answers.
        source_alone: queries that the source alone determines: no other query on this scene, and no distractor, has
            another answer.
        shortcut_recall: Recall@1 that is expected of the track's shortcut if it ranks the images that it takes for
            right first, in random order; 0 where there are none.
        chance: Recall@1 that is expected of a random ranking.
        centre: queries whose target differs from the other images of its block, target and distractors, in the fewest
            cells; where some images tie, a fair share of the query. What reading neither source nor text could give.
        centre_chance: the same of an image of the block that is drawn at random.
    """

    text_alone: float
    source_alone: float
    shortcut_recall: float
    chance: float
    centre: float
    centre_chance: float


def certify(
    track: Track,
    questions: Sequence[Question],
    gallery: Sequence[Scene],
    *,
    report: Callable[[int], object] | None = None,
) -> Certificate:
    """Examine all queries of a split. The source image is left out of the gallery of its own query.

    Args:
        gallery: the scene of every image.
        report: called with the number of queries done so far.

    Raises:
        ValueError: there are no queries.
    """
    if not questions:
        raise ValueError("there are no queries")
    different = _Different(gallery)
    answers = [each.program.targets(gallery[each.source]) & different.images.keys() for each in questions]
    by_source: dict[str, set[str]] = defaultdict(set)
    for each, right in zip(questions, answers, strict=True):
        by_source[gallery[each.source].key].update(right)
    rows = []
    centres: dict[tuple[int, ...], float] = {}
    for done, (each, right) in enumerate(zip(questions, answers, strict=True), start=1):
        source = gallery[each.source]
        wrong = {gallery[image].key for image in each.distractors} | by_source[source.key]
        by_text = not any(map(each.program.can_make, different.wrong(each, right)))
        taken = track.shortcut.targets(each.program, source) & different.images.keys()
        hits, candidates = (different.count(keys, without=source) for keys in (taken & right, taken))
        chance = different.count(right, without=source) / (len(gallery) - 1)
        block = (each.target, *each.distractors)
        if block not in centres:
            centres[block] = _is_centre([gallery[image] for image in block])
        shortcut = hits / candidates if candidates else 0
        rows.append((by_text, wrong <= right, shortcut, chance, centres[block], 1 / len(block)))
        if report:
            report(done)
    return Certificate(*(100 * sum(column) / len(rows) for column in zip(*rows, strict=True)))


def _is_centre(block: Sequence[Scene]) -> float:
    """Return 1 / n if the first scene is among n that differ from the others in the fewest cells, else 0."""
    contents = [[{item.cell: item for item in scene}.get(cell) for cell in Cell] for scene in block]
    differing = [
        sum(here != there for other in contents for here, there in zip(each, other, strict=True)) for each in contents
    ]
    return (differing[0] == min(differing)) / differing.count(min(differing))


class _Different:
    """The different scenes of a gallery, and how many images show each."""

    def __init__(self, gallery: Sequence[Scene]) -> None:
        self.gallery = gallery
        self.images = Counter(scene.key for scene in gallery)
        self._scenes = list({scene.key: scene for scene in gallery}.values())
        self._keys = [scene.key for scene in self._scenes]
        self._row = {key: row for row, key in enumerate(self._keys)}
        self._nearest: tuple[str | None, np.ndarray] = None, np.arange(len(self._scenes))
        self._has = np.zeros((OBJECTS, len(self._scenes)), np.int8)
        for row, scene in enumerate(self._scenes):
            self._has[list(members(object_set(scene))), row] = 1

    def count(self, keys: Set[str], *, without: Scene) -> int:
        """Return how many images show one of these scenes, one image of the scene `without` left out."""
        return sum(self.images[key] for key in keys) - (without.key in keys)

    def wrong(self, question: Question, right: frozenset[str]) -> Iterator[Scene]:
        """Yield all wrong scenes: the distractors, then the others, those that share most objects with an answer first.

        So one that the text can make, if there is any, is among the first.
        """
        yield from (self.gallery[image] for image in question.distractors)
        source = self.gallery[question.source].key
        passed_over = right | ({source} if self.images[source] == 1 else set())
        for row in self._rows_near(min(right, default=None)):
            if self._keys[row] not in passed_over:
                yield self._scenes[row]

    def _rows_near(self, key: str | None) -> np.ndarray:
        """Return all rows by the number of objects that they share with this scene; the last answer is kept."""
        if self._nearest[0] != key and key is not None:
            objects = list(members(object_set(self._scenes[self._row[key]])))
            shared = self._has[objects].sum(axis=0, dtype=np.int8)
            self._nearest = key, np.argsort(-shared, kind="stable")
        return self._nearest[1]
