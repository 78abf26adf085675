"""Training on equivalent texts, against the scenes and words of a rendered split."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import css_gen.dataset
from benchmark.datasets.equivalent_texts import with_equivalent_texts
from benchmark.datasets.rendered_css import Css
from benchmark.datasets.splits import hold_out
from benchmark.errors import UsageError
from benchmark.recipe.changes import override
from benchmark.recipe.schema import Recipe
from benchmark.runs.single_run import parts_of
from benchmark.training.samplers import make_sampler
from css_gen.scenes.modification import parse

MINED = ("training.mined_texts=true",)


def test_every_text_asks_for_the_target_of_its_query(css: Css, css_root: Path) -> None:
    stored = css_gen.dataset.open(css_root).split("train")
    kept, _ = hold_out(css.train, 0.2)
    training = with_equivalent_texts(kept)
    assert training.alternatives is not None
    starts, rows = training.alternatives.starts, training.queries
    assert len(starts) == len(kept.queries) + 1
    assert starts[-1] == len(rows) > 2 * len(kept.queries)
    for query, (first, end) in enumerate(pairwise(starts.tolist())):
        assert kept.queries.texts[query] in rows.texts[first:end]
        assert training.alternatives.shares[first:end].sum() == pytest.approx(1)
        for row in range(first, end):
            source, target = int(rows.sources[row]), int(rows.targets[row])
            assert (source, target) == (kept.queries.sources[query], kept.queries.targets[query])
            assert parse(rows.texts[row]).is_target(stored.scene(source), stored.scene(target))


def test_relevant_labels_are_those_of_each_text(css: Css, css_root: Path) -> None:
    """An open add, such as "add red object", has more relevant images than one that names everything."""
    stored = css_gen.dataset.open(css_root).split("train")
    training = with_equivalent_texts(css.train)
    assert training.relevant is not None
    scenes = [stored.scene(image) for image in range(len(stored))]
    rng = np.random.default_rng(0)
    for row in rng.choice(len(training.queries), 60, replace=False).tolist():
        text, source = parse(training.queries.texts[row]), scenes[training.queries.sources[row]]
        right = {int(css.train.labels[image]) for image, scene in enumerate(scenes) if text.is_target(source, scene)}
        assert set(training.relevant.row(row).tolist()) == right


def test_batches_have_the_pairs_of_the_original_queries_and_draw_texts_by_their_shares(css: Css) -> None:
    training = with_equivalent_texts(css.train)
    assert training.alternatives is not None
    plain = make_sampler(css.train, groups=2, modifications=3, seed=1)
    mined = make_sampler(training, groups=2, modifications=3, seed=1)
    again = make_sampler(training, groups=2, modifications=3, seed=1)
    counts = np.zeros(len(training.queries))
    for step in range(3_000):
        one, other = plain.batch(step), mined.batch(step)
        assert (one.sources == other.sources).all()
        assert (one.targets == other.targets).all()
        query = np.searchsorted(training.alternatives.starts, other.queries, side="right") - 1
        assert (query == one.queries).all()
        assert [training.texts[text] for text in other.texts] == [training.queries.texts[row] for row in other.queries]
        np.add.at(counts, other.queries, 1)
    assert (again.batch(17).queries == mined.batch(17).queries).all()
    rows = np.repeat(np.arange(len(css.train.queries)), np.diff(training.alternatives.starts))
    drawn = np.bincount(rows, weights=counts)[rows]
    expected = drawn * training.alternatives.shares
    errors = (counts - expected) / np.sqrt(expected * (1 - training.alternatives.shares) + 1e-9)
    assert np.abs(errors[training.alternatives.shares < 1]).max() < 6
    assert 0.8 < np.square(errors[training.alternatives.shares < 1]).mean() < 1.2


def test_only_training_has_them(css: Css, tiny_config: Recipe) -> None:
    training, validation, scored = parts_of(css, override(tiny_config, MINED))
    plain, *others = parts_of(css, tiny_config)
    assert len(training.queries) > len(plain.queries)
    assert scored.queries.ids == others[1].queries.ids
    assert (validation is None) == (others[0] is None)


def test_a_dataset_without_scenes_says_so(css: Css, tiny_config: Recipe) -> None:
    photos: Any = SimpleNamespace(name="photos", train=replace(css.train, equivalents=None), test=css.test)
    with pytest.raises(
        UsageError, match=r"^training\.mined_texts=true: the scenes of its images are not known .photos"
    ):
        parts_of(photos, override(tiny_config, MINED))
