"""Edits that tracks draw as css does, and near misses that differ from the right answer in one respect.

Below are what solvers of a split score, image by image, which the tests of these tracks share.
"""

from collections import Counter, defaultdict
from dataclasses import fields
from functools import lru_cache
from statistics import fmean

import numpy as np
import pytest

from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.modification import KINDS, Add, type_of
from css_gen.scenes.randomness import SplitId, one_of
from css_gen.scenes.sampling import reference
from css_gen.scenes.selector import Selector
from css_gen.tracks import get
from css_gen.tracks.edits import WRONG, draw_edit, near_misses
from css_gen.tracks.plan import TrackPlan
from tests.css_gen.scenes.reading import fits

HELD_OUT = HeldOut.sample(seed=0)
COMBINATIONS = HELD_OUT.allowed(SplitId.TEST)
FACTORS = {"cell": Cell, "size": Size, "colour": Colour, "shape": Shape, "new_colour": Colour, "new_size": Size}


def named(selector):
    return [field.name for field in fields(Selector) if getattr(selector, field.name)]


def drawn(kind, number):
    """Sources and edits of them."""
    rng = np.random.default_rng(number)
    for index in range(60):
        source = reference(index, seed=0, split=SplitId.TEST, held_out=HELD_OUT)
        edit = draw_edit(kind, number, source, COMBINATIONS, rng=rng)
        if edit:
            yield source, edit, edit.apply(source, rng=rng, combinations=COMBINATIONS), rng


def texts_with_another(name, edit):
    """css's texts of the edit with every other value of an attribute, written word by word."""
    value = edit.__dict__[name] if name.startswith("new") else getattr(edit.selector, name)
    written = edit.text.split()
    place = len(written) - 1 if name.startswith("new") else written.index(value)
    for other in FACTORS[name]:
        if other != value:
            yield " ".join([*written[:place], other, *written[place + 1 :]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_an_edit_names_as_many_attributes_as_asked_and_changes_the_source(kind, number):
    edits = [*drawn(kind, number)]
    assert len(edits) > 10
    for source, edit, target, _ in edits:
        assert edit.kind == kind
        assert len(named(edit.selector)) == number
        assert target != source
        assert {(item.shape, item.colour) for item in target} <= {*COMBINATIONS}
    assert len({edit.selector for _, edit, _, _ in edits}) > 5


@pytest.mark.parametrize(("kind", "number"), [(kind, number) for kind in KINDS for number in type_of(kind).named])
def test_a_near_miss_differs_in_the_respect_that_it_names(kind, number):
    found = set()
    for source, edit, target, rng in drawn(kind, number):
        misses = near_misses(edit, source, target, COMBINATIONS, count=3, rng=rng)
        assert misses is not None
        assert len({source.key, target.key, *(miss.scene.key for miss in misses)}) == 5
        for why, scene in ((miss.why, miss.scene) for miss in misses):
            found.add(why)
            assert not fits(edit.text, source, scene)
            assert {(item.shape, item.colour) for item in scene} <= {*COMBINATIONS}
            name = {label: key for key, label in WRONG.items()}[why]
            if name == "kind":
                selected = edit.text.split()[1:-1] if kind.startswith("make") else edit.text.split()[1:]
                others = [f"make {' '.join(selected)} {new}" for new in (*Colour, *Size)]
                assert any(fits(text, source, scene) for text in (f"remove {' '.join(selected)}", *others))
            elif name == "object":
                assert any(fits(text, source, scene) for text in of_another_object(edit, source))
            else:
                assert any(fits(text, source, scene) for text in texts_with_another(name, edit))
                if isinstance(edit, Add):
                    (right,), (wrong,) = {*target} - {*source}, {*scene} - {*source}
                    values = [(getattr(right, each.name), getattr(wrong, each.name)) for each in fields(right)]
                    assert sum(one != other for one, other in values) == 1
    assert len(found) > 1


def of_another_object(edit, source):
    if isinstance(edit, Add):
        return ["add object"]
    return [edit.with_selector(Selector(cell=item.cell)).text for item in source]


def test_preferred_near_misses_go_first():
    for source, edit, target, rng in drawn("add", 3):
        right = one_of([*{*target} - {*source}], rng)

        def has_its_colour(_, scene, source=source, right=right):
            return all(item.colour is right.colour for item in {*scene} - {*source})

        misses = near_misses(edit, source, target, COMBINATIONS, count=3, preferred=[has_its_colour] * 3, rng=rng)
        preferred = [has_its_colour(None, miss.scene) for miss in misses]
        assert preferred == sorted(preferred, reverse=True)
        assert preferred[0]


def test_there_are_none_where_there_are_too_few():
    for source, edit, target, rng in drawn("remove", 4):
        assert near_misses(edit, source, target, COMBINATIONS, count=500, rng=rng) is None


# What solvers score


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
