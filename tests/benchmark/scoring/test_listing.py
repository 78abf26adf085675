"""`score_lists` beside a loop that counts down every list, and beside the ranking of embeddings that give the lists."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.datasets.relevance import Relevance
from benchmark.datasets.splits import Queries, Split
from benchmark.scoring.evaluation import rank
from benchmark.scoring.listing import Lists, candidate_counts, score_lists
from benchmark.scoring.ranking import rank_targets
from benchmark.scoring.recall import DEPTH, NO_RANK, Outcomes

NUMBERS = [field.name for field in fields(Outcomes) if field.name not in ("attributes", "part_ranks")]


def made_up(rng: np.random.Generator, images: int, *, exact: bool, parted: bool) -> Split:
    """Few labels, so that many images share one; queries whose target shares the source's label among them."""
    labels = rng.integers(0, max(2, images // 3), images)
    galleries = rng.integers(0, 2, images) if parted else None
    pairs = [
        (source, target)
        for source in range(images)
        for target in range(images)
        if source != target and (galleries is None or galleries[source] == galleries[target])
    ]
    chosen = rng.permutation(len(pairs))[:7]
    sources, targets = (np.array([pairs[row][side] for row in chosen], dtype=np.int64) for side in (0, 1))
    relevant = None
    if exact:
        relevant = Relevance.of_sets({labels[target], *rng.integers(0, labels.max() + 3, 2)} for target in targets)
    return Split(
        sources=np.zeros((images, 1, 1, 3), np.uint8),
        gallery=np.zeros((images, 1, 1, 3), np.uint8),
        labels=labels,
        queries=Queries(
            ids=tuple(map(str, range(len(chosen)))),
            sources=sources,
            targets=targets,
            source_images=np.where(rng.random(len(chosen)) < 0.2, -1, sources),
            texts=("text",) * len(chosen),
            attributes={"kind": np.array(["add"] * len(chosen))},
        ),
        galleries=galleries,
        parts={} if exact else {"noun": labels // 2},
        relevant=relevant,
    )


def candidates_of(split: Split, query: int) -> list[int]:
    asked = split.queries
    return [
        image
        for image in range(len(split.gallery))
        if image != asked.source_images[query]
        and (split.galleries is None or split.galleries[image] == split.galleries[asked.targets[query]])
    ]


def place_of(right: set[int], listed: list[int], candidates: list[int]) -> int:
    """From 1; if none is listed, where the first of them is when all others of the candidates come before."""
    for place, image in enumerate(listed, start=1):
        if image in right:
            return place
    return sum(image not in right for image in candidates) + 1 if right else NO_RANK


splits = st.builds(
    lambda seed, images, exact, parted: made_up(np.random.default_rng(seed), images, exact=exact, parted=parted),
    st.integers(0, 10_000),
    st.sampled_from([4, 9, 60, 75]),
    st.booleans(),
    st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(split=splits, seed=st.integers(0, 99))
def test_it_counts_as_a_loop_does(split: Split, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lists = []
    for query in range(len(split.queries)):
        order = rng.permutation(candidates_of(split, query)).tolist()
        lists.append(order[: rng.integers(min(DEPTH, len(order)), len(order) + 1)])
    longest = max(map(len, lists))
    padded = np.array([[*listed, *[-1] * (longest - len(listed))] for listed in lists], dtype=np.int64)
    rows = rng.permutation(len(lists))
    halves = (Lists(rows[part], padded[rows[part]]) for part in (slice(0, 3), slice(3, None)))
    outcomes, top = score_lists(halves, split)
    for query, listed in enumerate(lists):
        candidates, drawn = candidates_of(split, query), split.labels[split.queries.targets[query]]
        answers = {drawn} if split.relevant is None else set(split.relevant.row(query).tolist())
        right = {image for image in candidates if split.labels[image] in answers}
        assert outcomes.ranks[query] == place_of(right, listed, candidates)
        of_drawn = {image for image in candidates if split.labels[image] == drawn}
        assert outcomes.drawn_ranks[query] == place_of(of_drawn, listed, candidates)
        assert outcomes.relevant[query] == len(right)
        assert outcomes.relevant_labels[query] == len({int(split.labels[image]) for image in right})
        assert outcomes.candidates[query] == candidate_counts(split)[query] == len(candidates)
        shown = [image in right for image in listed[:DEPTH]]
        assert outcomes.hits[query].tolist() == [*shown, *[False] * (DEPTH - len(shown))]
        assert outcomes.top1[query] == listed[0]
        assert top[query].tolist() == [*listed[:8], *[-1] * (8 - len(listed[:8]))]
        for name, labels in split.parts.items():
            agreeing = {image for image in candidates if labels[image] == labels[split.queries.targets[query]]}
            assert outcomes.part_ranks[name][query] == place_of(agreeing, listed, candidates)


@settings(max_examples=25, deadline=None)
@given(split=splits, seed=st.integers(0, 99), values=st.sampled_from([1, 3, 1000]))
def test_embeddings_and_the_full_ranking_that_they_imply_score_the_same(split: Split, seed: int, values: int) -> None:
    """Few values make many ties; one value makes all tie."""
    rng = np.random.default_rng(seed)
    query, gallery = (
        torch.from_numpy(rng.integers(0, values, (count, 2)).astype(np.float32))
        for count in (len(split.queries), len(split.gallery))
    )
    by_embeddings = rank(query, gallery, split)
    asked = split.queries
    parts = split.galleries
    ranking = rank_targets(
        query,
        gallery,
        torch.from_numpy(asked.source_images),
        torch.from_numpy(split.labels[asked.targets]),
        torch.from_numpy(split.labels),
        top_k=len(split.gallery),
        galleries=None if parts is None else (torch.from_numpy(parts[asked.targets]), torch.from_numpy(parts)),
    )
    by_lists = score_lists([Lists(np.arange(len(asked)), ranking.top.numpy())], split)
    assert_same(by_lists.outcomes, by_embeddings.outcomes)
    assert (by_lists.top == by_embeddings.top).all()


def assert_same(outcomes: Outcomes, others: Outcomes) -> None:
    for name in NUMBERS:
        np.testing.assert_array_equal(getattr(outcomes, name), getattr(others, name), err_msg=name)
    assert outcomes.part_ranks.keys() == others.part_ranks.keys()
    for name, ranks in outcomes.part_ranks.items():
        np.testing.assert_array_equal(ranks, others.part_ranks[name], err_msg=name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images: (np.arange(6), images[:6]), "query 6 has 0 lists, expected one"),
        (lambda images: (np.array([0, 0, 2, 3, 4, 5, 6]), images), "query 0 has 2 lists, expected one"),
        (lambda images: (np.arange(7), images[:, :49]), "a list has fewer than 50 images and not all candidates"),
    ],
)
def test_missing_and_short_lists_are_refused(change: Any, message: str) -> None:
    split = made_up(np.random.default_rng(0), 60, exact=True, parted=False)
    images = np.array([candidates_of(split, query)[:55] for query in range(7)])
    with pytest.raises(ValueError, match=message):
        score_lists([Lists(*change(images))], split)
