"""What solvers of a track's test split score, by looking at its gallery image by image."""

from collections import Counter, defaultdict
from functools import lru_cache
from statistics import fmean

import numpy as np

from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.randomness import SplitId
from css_gen.tracks import get
from css_gen.tracks.plan import TrackPlan


def plan_of(track: str, split: SplitId, images: int = 3_000, seed: int = 0) -> TrackPlan:
    return TrackPlan(track, images, seed=seed, split=split, held_out=HeldOut.sample(seed=seed))


@lru_cache(maxsize=4)
def queries_of(plan: TrackPlan) -> list:
    return plan.queries(0, plan.query_count)


@lru_cache(maxsize=4)
def scenes_of(plan: TrackPlan) -> list:
    return [plan.scene(index) for index in range(plan.images)]


def shortcut_recall(plan: TrackPlan, attribute: str) -> dict[str, float]:
    """Expected R@1 of the track's shortcut, in percent, by the values of an attribute and "all"."""
    track, images = get(plan.track), Counter(scene.key for scene in scenes_of(plan))
    shares = defaultdict(list)
    for query in queries_of(plan):
        program, source = query.modification, query.source_scene
        counts = {key: images[key] - (key == source.key) for key in track.shortcut.targets(program, source)}
        hits = sum(counts.get(key, 0) for key in program.targets(source))
        share = 100 * hits / sum(counts.values()) if sum(counts.values()) else 0.0
        for value in ("all", program.attributes(source)[attribute]):
            shares[value].append(share)
    return {value: fmean(each) for value, each in shares.items()}


def share_that_the_text_decides(plan: TrackPlan, every: int) -> float:
    """The share of queries whose text alone fits no wrong image of the gallery."""
    scenes, queries = scenes_of(plan), queries_of(plan)[::every]
    decided = 0
    for query in queries:
        program, source = query.modification, query.source_scene
        assert program.can_make(query.target_scene)
        wrong = (scene for index, scene in enumerate(scenes) if index != query.source)
        decided += not any(program.can_make(scene) and not program.is_target(source, scene) for scene in wrong)
    return decided / len(queries)


def probe_recall(train: TrackPlan, test: TrackPlan, *, with_source: bool) -> float:
    """R@1, in percent, of a linear map from a text's words to the objects of its answer, fitted to the training split.

    A fifth of the test queries are asked.

    Args:
        with_source: whether the map sees the objects of the source, too.
    """
    words = sorted({word for query in queries_of(train) for word in query.modification.text.split()})

    def seen(query) -> np.ndarray:
        said = query.modification.text.split()
        bag = [1.0, len(said), *(said.count(word) for word in words)]
        return np.array([*bag, *(features(query.source_scene) if with_source else ())])

    inputs = np.array([seen(query) for query in queries_of(train)])
    answers = np.array([features(query.target_scene) for query in queries_of(train)])
    weights = np.linalg.solve(inputs.T @ inputs + np.eye(inputs.shape[1]), inputs.T @ answers)
    images = np.array([features(scene) for scene in scenes_of(test)])
    keys = [scene.key for scene in scenes_of(test)]
    hits = []
    for query in queries_of(test)[::5]:
        distances = ((images - seen(query) @ weights) ** 2).sum(axis=1)
        distances[query.source] = np.inf
        hits.append(keys[int(distances.argmin())] in query.modification.targets(query.source_scene))
    return 100 * fmean(hits)


def features(scene) -> np.ndarray:
    """Every value of every factor in every cell, and whether the cell is taken."""
    found = {cell: {item.size, item.colour, item.shape, "taken"} for item in scene for cell in (item.cell,)}
    return np.array(
        [value in found.get(cell, ()) for cell in Cell for value in ("taken", *Size, *Colour, *Shape)], float
    )


def assert_even(counts: Counter, number: int, *, sigmas: float = 5) -> None:
    """All of `number` values occur, about equally often."""
    values = np.array([*counts.values()])
    assert len(values) == number
    mean = values.sum() / number
    assert np.all(abs(values - mean) < sigmas * mean**0.5), counts
