"""How often a dataset asks for what, and that neither the source nor the text alone gives the answer away."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from css_gen.scenes.factors import Cell, Size
from css_gen.scenes.modification import Add
from css_gen.scenes.sampling import HeldOut, SplitPlan


def named(query):
    selector = query.modification.selector
    return [name for name in ("cell", "size", "colour", "shape") if getattr(selector, name)]


def test_references_differ_and_are_uniform(plan):
    scenes = plan.reference_scenes
    assert len({scene.key for scene in scenes}) == len(scenes)
    counts = Counter(map(len, scenes))
    assert set(counts) == set(range(3, 9))
    objects = [item for scene in scenes for item in scene]
    for values, expected in (
        ([len(scene) for scene in scenes], 6),
        ([item.cell for item in objects], 9),
        ([item.size for item in objects], 2),
        ([(item.shape, item.colour) for item in objects], 20),
    ):
        assert_uniform(values, expected)


def assert_uniform(values, number):
    counts = np.array(list(Counter(values).values()))
    assert len(counts) == number
    mean = counts.sum() / number
    assert np.all(abs(counts - mean) < 5 * mean**0.5), counts


def test_references_are_used_evenly(plan, queries):
    uses = np.bincount([query.source for query in queries], minlength=plan.references)
    assert uses.mean() == pytest.approx(18, abs=0.1)
    assert uses.min() >= 6
    assert uses.std() < 4.2  # what three references drawn at random would have
    by_size = [uses[[len(scene) == size for scene in plan.reference_scenes]].mean() for size in range(3, 9)]
    assert min(by_size) > 15.5
    assert max(by_size) < 20.5


def test_kinds_and_numbers_of_named_attributes(queries):
    shares = Counter((query.modification.kind, len(named(query))) for query in queries)
    total = len(queries)
    expected = {("add", number): 1 / 9 for number in (2, 3, 4)}
    expected |= {("remove", number): 1 / 12 for number in (1, 2, 3, 4)}
    expected |= {(kind, number): 1 / 24 for kind in ("make-colour", "make-size") for number in (1, 2, 3, 4)}
    assert {key: count / total for key, count in shares.items()} == pytest.approx(expected, abs=0.003)


def test_each_reference_leads_every_kind(plan, queries):
    """Six times, and never twice with one kind and one number of named attributes."""
    led = defaultdict(list)
    for query in queries[: 18 * plan.references : 3]:
        led[query.source].append((query.modification.kind, len(named(query))))
    assert len(led) == plan.references
    for turns in led.values():
        assert Counter(kind for kind, _ in turns) == {"add": 2, "remove": 2, "make-colour": 1, "make-size": 1}
        assert len(set(turns)) == 6
    starts = Counter(query.modification.kind for query in queries[: 3 * 60 : 3])
    assert starts == {"add": 20, "remove": 20, "make-colour": 10, "make-size": 10}


def test_attributes_are_named_equally_often(queries):
    names = Counter(name for query in queries for name in named(query))
    assert max(names.values()) < 1.08 * min(names.values())


def test_values_are_named_evenly(plan, queries):
    selectors = [query.modification.selector for query in queries[::3]]
    for factor, attribute in ((Cell, "cell"), (Size, "size")):
        counts = Counter(getattr(selector, attribute) for selector in selectors if getattr(selector, attribute))
        assert set(counts) == {*factor}
        assert max(counts.values()) < 1.35 * min(counts.values())
    pairs = Counter((s.shape, s.colour) for s in selectors if s.shape and s.colour)
    assert set(pairs) == {*plan.held_out.allowed(plan.split)}
    assert max(pairs.values()) < 2 * min(pairs.values())


def test_what_an_add_leaves_open_is_drawn_evenly(queries):
    adds = [query for query in queries if isinstance(query.modification, Add)]
    added = [(*({*query.target_scene} - {*query.source_scene}),)[0] for query in adds]
    open_pairs = [
        (item.shape, item.colour)
        for item, query in zip(added, adds, strict=True)
        if not {"shape", "colour"} & {*named(query)}
    ]
    assert_uniform(open_pairs, 20)
    assert_uniform([i.size for i, query in zip(added, adds, strict=True) if "size" not in named(query)], 2)


# Neither the text nor the source alone gives the target away


def test_the_source_alone_does_not_tell_the_target(queries):
    """An image-only model finds one of the source's own targets at best; the paper's scored 6.3."""
    targets = defaultdict(Counter)
    for query in queries:
        targets[query.source][query.target_scene.key] += 1
    one_at_random = sum(count**2 / of.total() for of in targets.values() for count in of.values()) / len(queries)
    assert 0.055 < one_at_random < 0.085


def test_the_text_alone_does_not_tell_the_target(plan, queries):
    """A text-only model, fitted to the targets that the same texts have in another dataset; the paper's scored 0.1."""
    other = SplitPlan(plan.images, seed=1, split=plan.split, held_out=HeldOut.sample(seed=1))
    targets, fallback = defaultdict(Counter), Counter()
    for query in other.queries(0, other.images - other.references):
        targets[query.modification.text][query.target_scene.key] += 1
        fallback[query.target_scene.key] += 1
    best = {text: of.most_common(1)[0][0] for text, of in targets.items()}
    otherwise = fallback.most_common(1)[0][0]
    hits = sum(best.get(query.modification.text, otherwise) == query.target_scene.key for query in queries)
    assert hits / len(queries) < 0.003


def test_few_images_look_alike(plan, queries):
    keys = Counter(scene.key for scene in (*plan.reference_scenes, *(query.target_scene for query in queries)))
    assert max(keys.values()) < 0.003 * plan.images
    chance = np.mean([keys[query.target_scene.key] / plan.images for query in queries])
    assert chance < 2 / plan.images
    assert sum(count for count in keys.values() if count > 1) / plan.images < 0.3


def test_few_queries_repeat_another_and_fewer_have_another_answer(queries):
    answers = defaultdict(list)
    for query in queries:
        answers[query.source, query.modification.text].append(query.target_scene.key)
    repeats = sum(len(keys) - 1 for keys in answers.values())
    conflicts = sum(len(set(keys)) - 1 for keys in answers.values())
    assert repeats / len(queries) < 0.035
    assert conflicts / len(queries) < 0.004


def test_adds_seldom_have_two_right_images(plan, queries):
    gallery = {plan.scene(index).key for index in range(plan.images)}
    adds = [query for query in queries if isinstance(query.modification, Add)][::4]
    right = [len(query.modification.targets(query.source_scene) & gallery) for query in adds]
    assert min(right) >= 1
    assert np.mean([1 / number for number in right]) > 0.88
