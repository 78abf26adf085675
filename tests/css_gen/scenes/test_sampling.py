"""Scenes and queries are pure functions of (seed, split, index), and every target satisfies its query."""

import hashlib
import os
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


if __name__ == "__main__":
    sys.stdout.write(digest() + "\n")
