import hashlib
import os
import pickle
import random
import subprocess
import sys
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from css_gen.scenes.factors import Cell, Size
from css_gen.scenes.modification import Add
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.sampling import (
    REFERENCES_PER_MODIFICATION,
    HeldOut,
    SplitPlan,
    modification_queries,
    reference,
    split_size,
)

IMAGES = 10_000
HELD_OUT = HeldOut.sample(seed=0)


def plan_of(split, *, images=IMAGES, seed=0):
    return SplitPlan(images, seed=seed, split=split, held_out=HeldOut.sample(seed=seed))


@pytest.fixture(scope="module", params=SplitId, ids=lambda split: split.name.lower())
def plan(request):
    return plan_of(request.param)


@pytest.fixture(scope="module")
def queries(plan):
    return plan.queries(0, plan.images - plan.references)


def named(query):
    selector = query.modification.selector
    return [name for name in ("cell", "size", "colour", "shape") if getattr(selector, name)]


# Sizes


def test_the_size_of_the_original():
    assert split_size(19_012) == (1_000, 6_004)


@given(st.integers(6, 10**7))
def test_sizes_add_up_and_keep_the_proportion(images):
    references, modifications = split_size(images)
    assert references + 3 * modifications == images
    assert references >= 3
    assert modifications >= 1
    assert references <= 5 or abs(references - images / 19.012) <= 1.5 + 1e-9


@pytest.mark.parametrize("images", [5, 1, 0, -1, -19_012])
def test_too_few_images(images):
    for refused in (split_size, lambda images: plan_of(SplitId.TEST, images=images)):
        with pytest.raises(ValueError, match=f"a split needs at least 6 images .* got {images}"):
            refused(images)


# Each item depends on its own number alone


def test_any_order_and_any_process_gives_the_same():
    plan = plan_of(SplitId.TRAIN, images=1_000)
    scenes = [plan.scene(index) for index in range(1_000)]
    copy = pickle.loads(pickle.dumps(plan))
    for index in random.Random(0).sample(range(1_000), 300):
        assert copy.scene(index) == scenes[index]
    assert plan.reference_scenes == tuple(scenes[: plan.references])
    arguments = {"seed": 0, "split": SplitId.TRAIN, "held_out": HELD_OUT}
    for index in (7, 3, 51):
        assert reference(index, **arguments) == scenes[index]
    for index in (300, 5, 111):
        three = modification_queries(index, references=plan.references, **arguments)
        assert list(three) == plan.queries(3 * index, 3 * index + 3)
    for query in plan.queries(200, 500):
        assert query.source_scene == scenes[query.source]
        assert query.target_scene == scenes[query.target]
        assert query.target == plan.references + query.index


def digest() -> str:
    plan = plan_of(SplitId.TEST, images=400)
    lines = [plan.scene(index).key for index in range(plan.images)]
    lines += [f"{q.source} {q.target} {q.novel} {q.modification.text}" for q in plan.queries(0, 378)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


DIGEST = "dcb57f6c2dbaa2486cf27ef24d847634b4cf33e3516b5f237ac32fe6dcb60796"
"""What seed 0 means. If it changes, so do datasets: raise the generator's version. `python tests/test_sampling.py`
prints it anew."""


def test_the_dataset_of_a_seed_stays_what_it_is():
    assert digest() == DIGEST


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_order_of_sets_does_not_matter(hash_seed):
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, __file__], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == digest()


def test_seeds_and_splits_differ():
    train, test, other = plan_of(SplitId.TRAIN), plan_of(SplitId.TEST), plan_of(SplitId.TRAIN, seed=1)
    keys = [{scene.key for scene in plan.reference_scenes} for plan in (train, test, other)]
    assert not keys[0] & keys[1]
    assert not keys[0] & keys[2]


def test_indices_outside_the_split():
    plan = plan_of(SplitId.TEST, images=22)
    for index in (-1, 22):
        with pytest.raises(IndexError, match=f"image {index} of a split of 22"):
            plan.scene(index)
    for start, stop in ((-1, 3), (0, 19), (5, 4)):
        with pytest.raises(IndexError, match=f"queries {start} to {stop} of a split of 18"):
            plan.queries(start, stop)
    assert plan.queries(5, 5) == []
    with pytest.raises(ValueError, match="expected at least 3 references, got 2"):
        modification_queries(0, seed=0, split=SplitId.TEST, references=2, held_out=HELD_OUT)


def test_a_plan_travels_light(plan):
    assert plan.reference_scenes
    assert len(pickle.dumps(plan)) < 2_000


# Every query can be answered, and means something


def test_every_target_satisfies_its_query(queries):
    for query in queries:
        assert query.modification.is_target(query.source_scene, query.target_scene)
        assert query.target_scene != query.source_scene


def test_three_different_references_a_modification(plan, queries):
    assert len(queries) == 3 * plan.modifications
    for start in range(0, len(queries), REFERENCES_PER_MODIFICATION):
        three = queries[start : start + REFERENCES_PER_MODIFICATION]
        assert len({query.source for query in three}) == 3
        assert len({query.modification for query in three}) == 1
        assert [query.index for query in three] == [start, start + 1, start + 2]
        assert all(0 <= query.source < plan.references for query in three)


@pytest.mark.parametrize("images", range(6, 60))
def test_tiny_splits(images):
    for split in SplitId:
        plan = plan_of(split, images=images, seed=images)
        for query in plan.queries(0, images - plan.references):
            assert query.modification.is_target(query.source_scene, query.target_scene)
            assert query.target_scene != query.source_scene


def test_no_split_shows_the_others_combinations(plan, queries):
    allowed = {*plan.held_out.allowed(plan.split)}
    for scene in (*plan.reference_scenes, *(query.target_scene for query in queries)):
        assert {(item.shape, item.colour) for item in scene} <= allowed
    for query in queries:
        words = query.modification.text.split()
        for shape, colour in plan.held_out.train_only | plan.held_out.test_only:
            assert (shape, colour) in allowed or not {shape, colour} <= {*words}


def test_novel_queries(plan, queries):
    """Counted anew: an object that is in one of the two scenes only."""
    novel = [f"{colour} {shape}" for shape, colour in plan.held_out.test_only]
    for query in queries:
        source, target = query.source_scene.key.split("; "), query.target_scene.key.split("; ")
        changed = [item for item in (*source, *target) if (item in source) != (item in target)]
        assert query.novel == any(item.endswith(tuple(novel)) for item in changed)
    share = np.mean([query.novel for query in queries])
    assert share == 0 if plan.split is SplitId.TRAIN else 0.2 < share < 0.3


# Balance


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
    other = plan_of(plan.split, seed=1)
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


if __name__ == "__main__":
    sys.stdout.write(digest() + "\n")
