"""All right answers of every query of a rendered dataset, and what a model gets that knows them."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import css_gen.dataset
from benchmark import tasks
from benchmark.datasets.rendered_css import selection as selection_of
from benchmark.datasets.splits import Split, hold_out, with_own_images
from benchmark.leaderboard.statistics import estimate
from benchmark.scoring.evaluation import rank
from benchmark.scoring.metrics import metrics_of
from benchmark.training.progress import SilentRuns
from css_gen.render import render
from css_gen.scenes.ceiling import best_recall_at_1
from css_gen.scenes.modification import parse
from css_gen.storage.configuration import Configuration
from tests.css_gen.scenes.reading import fits, grid, selection

RENDERED = [task.name for task in tasks.on_folder("css")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough that texts have several right answers."""
    root = tmp_path_factory.mktemp("relevance") / "css"
    render(root, Configuration(images=1_000, size=16, seed=5), jobs=1)
    return root


def split_of(name: str, root: Path, split: str = "test") -> Split:
    dataset = tasks.get(name).open(root, image_size=8, reporter=SilentRuns(), skip_broken=False)
    return dataset.test if split == "test" else dataset.train


@cache
def right_images(root: Path, split: str) -> list[set[int]]:
    """Of every query, by reading its text and trying every image."""
    stored = css_gen.dataset.open(root).split(split)
    scenes = [stored.scene(image) for image in range(len(stored))]
    return [
        {image for image, scene in enumerate(scenes) if fits(query.text, scenes[query.source_id], scene)}
        for query in stored.queries
    ]


@pytest.mark.parametrize("part", ["train", "test"])
def test_relevant_are_the_images_that_fit_and_no_others(part: str, root: Path) -> None:
    right = right_images(root, part)
    several = sum(len(images) > 1 for images in right)
    assert several > 5
    for name in RENDERED:
        split = split_of(name, root, part)
        assert split.relevant is not None
        for query, images in enumerate(right):
            labels = split.relevant.row(query)
            assert set(np.flatnonzero(np.isin(split.labels, labels)).tolist()) == images
            assert set(split.labels[sorted(images)].tolist()) == set(labels.tolist()), "no label without an image"


@pytest.mark.parametrize("name", RENDERED)
def test_slices_are_what_the_words_and_the_scenes_say(name: str, root: Path) -> None:
    stored = css_gen.dataset.open(root).split("test")
    right = right_images(root, "test")
    split = split_of(name, root)
    attributes = split.queries.attributes
    assert set(attributes["selection"]) >= {"cell", "content", "cell and content"}
    assert set(attributes["changed"]) == {"0", "1", "2", "3+"}
    assert set(attributes["answers"]) == {"1", "2+"}
    for row, query in enumerate(stored.queries):
        before, after = (grid(stored.scene(image)) for image in (query.source_id, query.target_id))
        changed = sum(after.get(cell) != item for cell, item in before.items())
        assert attributes["changed"][row] == (str(changed) if changed < 3 else "3+")
        assert (changed == 0) == (query.kind == "add")
        assert attributes["selection"][row] == selection(query.text)
        scenes = {stored.scene(image) for image in right[row]}
        assert attributes["answers"][row] == ("1" if len(scenes) == 1 else "2+")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("remove object", "everything"),
        ("make object red", "everything"),
        ("make top-left object small", "cell"),
        ("make small object large", "content"),
        ("add object to top-left", "cell"),
        ("add cube to top-left", "cell and content"),
        ("remove circle", "content"),
    ],
)
def test_a_text_selects_by_what_it_names(text: str, expected: str) -> None:
    assert selection_of(parse(text)) == expected == selection(text)


def symbolic(split: Split, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings of a model that knows all right answers, and orders them at random: one dimension a scene."""
    assert split.relevant is not None
    rng = np.random.default_rng(seed)
    gallery = torch.eye(int(split.labels.max()) + 1)[torch.from_numpy(split.labels)]
    queries = torch.zeros(len(split.queries), gallery.shape[1])
    for row in range(len(queries)):
        right = split.relevant.row(row)
        queries[row, torch.from_numpy(right)] = torch.from_numpy(1 + rng.random(len(right))).float()
    return torch.nn.functional.normalize(queries, dim=1), gallery


@pytest.mark.parametrize("name", RENDERED)
def test_who_knows_every_answer_scores_100_and_the_ceiling_where_the_draw_counts(name: str, root: Path) -> None:
    split = split_of(name, root)
    stored = css_gen.dataset.open(root).split("test")
    asked = [(stored.scene(query.source_id), query.modification) for query in stored.queries]
    drawn = []
    for seed in range(20):
        outcomes = rank(*symbolic(split, seed=seed), split).outcomes
        metrics = metrics_of(outcomes)
        assert {metrics.scores[f"{score}@{k}"] for score in ("recall", "map") for k in (5, 10, 50)} == {100.0}
        assert metrics.recall[1] == 100
        assert metrics.scores["ceiling"] == pytest.approx(best_recall_at_1(asked, frozenset(stored.keys)))
        drawn.append(outcomes.drawn_ranks == 1)
    scenes = np.unique(outcomes.sources, return_inverse=True)[1]
    for some in (drawn[:1], drawn):
        found = estimate(np.mean(some, axis=0), scenes)
        assert found is not None
        interval = found.interval()
        assert interval is not None
        assert interval.low <= metrics.scores["ceiling"] <= interval.high < 100
    for slices in metrics.slices.values():
        for value in slices.values():
            assert value.recall[1] == 100
            assert value.scores["ceiling"] >= value.scores["drawn_recall@1"] - 30
    assert metrics.slices["answers"]["1"].scores["ceiling"] == 100
    assert metrics.slices["answers"]["2+"].scores["ceiling"] <= 50
    assert metrics.slices["kind"]["remove"].scores["ceiling"] == 100


def test_parts_of_a_split_keep_their_queries_answers(root: Path) -> None:
    split = split_of("css", root, "train")
    for part in hold_out(split, 0.3):
        assert part is not None
        assert part.relevant is not None
        small = with_own_images(part)
        assert small.relevant is part.relevant
        assert len(part.relevant) == len(part.queries)
        for row, name in enumerate(part.queries.ids):
            whole = split.queries.ids.index(name)
            assert split.relevant is not None
            assert part.relevant.row(row).tolist() == split.relevant.row(whole).tolist()
        ranked = rank(*symbolic(small, seed=0), small).outcomes
        assert (ranked.ranks == 1).all()
