"""What solvers of a track's test split score, by looking at its gallery image by image."""

from collections import Counter, defaultdict
from statistics import fmean

import numpy as np

from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.randomness import SplitId
from css_gen.tracks import get
from css_gen.tracks.plan import TrackPlan


def plan_of(track: str, split: SplitId, images: int = 3_000, seed: int = 0) -> TrackPlan:
    return TrackPlan(track, images, seed=seed, split=split, held_out=HeldOut.sample(seed=seed))


def queries_of(plan: TrackPlan) -> list:
    return plan.queries(0, plan.query_count)


def gallery(plan: TrackPlan) -> Counter:
    """How many images show each scene."""
    return Counter(plan.scene(index).key for index in range(plan.images))


def shortcut_recall(plan: TrackPlan, attribute: str) -> dict[str, float]:
    """Expected R@1 of the track's shortcut, in percent, by the values of an attribute and "all"."""
    track, images = get(plan.track), gallery(plan)
    shares = defaultdict(list)
    for query in queries_of(plan):
        program, source = query.modification, query.source_scene
        counts = {key: images[key] - (key == source.key) for key in track.shortcut.targets(program, source)}
        hits = sum(counts.get(key, 0) for key in program.targets(source))
        share = 100 * hits / sum(counts.values()) if sum(counts.values()) else 0.0
        for value in ("all", program.attributes(source)[attribute]):
            shares[value].append(share)
    return {value: fmean(each) for value, each in shares.items()}


def assert_no_modality_decides(plan: TrackPlan, every: int) -> None:
    """The text alone fits wrong images, and so do several answers of the same source."""
    scenes = [plan.scene(index) for index in range(plan.images)]
    for query in queries_of(plan)[::every]:
        program, source = query.modification, query.source_scene
        assert program.can_make(query.target_scene)
        assert any(
            program.can_make(scene) and not program.is_target(source, scene)
            for index, scene in enumerate(scenes)
            if index != query.source
        ), program.text
        assert query.distractors


def assert_even(counts: Counter, number: int, *, sigmas: float = 5) -> None:
    """All of `number` values occur, about equally often."""
    values = np.array([*counts.values()])
    assert len(values) == number
    mean = values.sum() / number
    assert np.all(abs(values - mean) < sigmas * mean**0.5), counts
