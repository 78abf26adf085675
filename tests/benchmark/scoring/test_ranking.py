"""Ranking against a walk through the gallery, on hostile ones: ties, negatives, duplicates, next to nothing."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.scoring.ranking import rank_targets
from benchmark.scoring.recall import KS, NO_RANK, chance_recall, recall_at_k
from tests.benchmark.references import is_hit, rank_bounds
from tests.benchmark.scoring.rankings import problems, rank


@settings(deadline=None)
@given(problem=problems(), batch_size=st.integers(1, 7))
def test_equals_a_walk_through_the_gallery(
    problem: tuple[list[list[int]], list[list[int]], list[int], list[int], list[int]], batch_size: int
) -> None:
    queries, gallery, sources, wanted, labels = problem
    ranking = rank(queries, gallery, sources, wanted, labels, top_k=len(gallery) + 1, batch_size=batch_size)
    whole = rank(queries, gallery, sources, wanted, labels, top_k=len(gallery) + 1)
    assert all(torch.equal(part, other) for part, other in zip(ranking, whole, strict=True)), "batches change nothing"
    for k in range(len(gallery)):
        assert torch.equal(rank(queries, gallery, sources, wanted, labels, top_k=k).top, whole.top[:, :k])
    for row, (query, source, label) in enumerate(zip(queries, sources, wanted, strict=True)):
        candidates = [image for image in range(len(gallery)) if image != source]
        assert ranking.candidates[row] == len(candidates)
        assert ranking.relevant[row] == sum(labels[image] == label for image in candidates)

        place = int(ranking.ranks[row])
        bounds = rank_bounds(query, gallery, source, label, labels)
        if bounds is None:
            assert place == NO_RANK
        else:
            assert bounds[0] <= place <= bounds[1]

        ranked = [image for image in ranking.top[row].tolist() if image >= 0]
        assert sorted(ranked) == candidates
        similarity = [sum(a * b for a, b in zip(query, gallery[image], strict=True)) for image in ranked]
        assert similarity == sorted(similarity, reverse=True)
        for k in range(1, len(gallery) + 3):
            assert is_hit(ranked, label, labels, k) == (place <= k)


@settings(deadline=None)
@given(problem=problems(), batch_size=st.integers(1, 7), in_parts=st.booleans(), data=st.data())
def test_every_relevant_image_counts_as_in_a_walk_through_the_gallery(
    problem: tuple[list[list[int]], list[list[int]], list[int], list[int], list[int]],
    batch_size: int,
    in_parts: bool,
    data: st.DataObject,
) -> None:
    """Several labels answer a query, some of which no image has; ties, sources among the answers, parts."""
    queries, gallery, sources, wanted, labels = problem
    more = st.sets(st.integers(0, 8), max_size=5)
    relevant = [data.draw(more) | {label} for label in wanted]
    part = st.integers(0, 1)
    of_query = data.draw(st.lists(part, min_size=len(queries), max_size=len(queries)))
    of_image = data.draw(st.lists(part, min_size=len(gallery), max_size=len(gallery)))
    options: dict[str, Any] = {
        "top_k": len(gallery) + 1, "relevant": relevant, "galleries": (of_query, of_image) if in_parts else None,
    }  # fmt: skip
    ranking = rank(queries, gallery, sources, wanted, labels, **options, batch_size=batch_size)
    whole = rank(queries, gallery, sources, wanted, labels, **options)
    assert all(torch.equal(part, other) for part, other in zip(ranking, whole, strict=True)), "batches change nothing"
    alone = rank(queries, gallery, sources, wanted, labels, **options | {"relevant": None})
    assert torch.equal(ranking.top, alone.top), "what is relevant orders nothing"
    assert torch.equal(ranking.drawn_ranks, alone.ranks)
    assert torch.equal(alone.drawn_ranks, alone.ranks)
    for row, (source, answers) in enumerate(zip(sources, relevant, strict=True)):
        there = [i for i in range(len(gallery)) if i != source and (not in_parts or of_image[i] == of_query[row])]
        right = [image for image in there if labels[image] in answers]
        ranked = [image for image in ranking.top[row].tolist() if image >= 0]
        assert sorted(ranked) == there
        assert ranking.candidates[row] == len(there)
        assert ranking.relevant[row] == len(right)
        assert ranking.relevant_labels[row] == len({labels[image] for image in right})
        places = [place for place, image in enumerate(ranked, start=1) if image in right]
        assert ranking.ranks[row] == (places[0] if places else NO_RANK)
        assert [place for place, hit in enumerate(ranking.hits[row].tolist(), start=1) if hit] == places
        drawn = [place for place, image in enumerate(ranked, start=1) if labels[image] == wanted[row]]
        assert ranking.drawn_ranks[row] == (drawn[0] if drawn else NO_RANK)


@settings(deadline=None)
@given(problem=problems(), batch_size=st.integers(1, 7), data=st.data())
def test_a_part_of_the_gallery_is_ranked_as_if_the_rest_were_not_there(
    problem: tuple[list[list[int]], list[list[int]], list[int], list[int], list[int]],
    batch_size: int,
    data: st.DataObject,
) -> None:
    queries, gallery, sources, wanted, labels = problem
    part = st.integers(0, 2)
    of_query = data.draw(st.lists(part, min_size=len(queries), max_size=len(queries)))
    of_image = data.draw(st.lists(part, min_size=len(gallery), max_size=len(gallery)))
    ranking = rank(
        queries, gallery, sources, wanted, labels,
        top_k=len(gallery), galleries=(of_query, of_image), batch_size=batch_size,
    )  # fmt: skip
    for row, (query, source, label) in enumerate(zip(queries, sources, wanted, strict=True)):
        there = [image for image in range(len(gallery)) if of_image[image] == of_query[row]]
        candidates = [image for image in there if image != source]
        assert ranking.candidates[row] == len(candidates)
        assert ranking.relevant[row] == sum(labels[image] == label for image in candidates)
        ranked = [image for image in ranking.top[row].tolist() if image >= 0]
        assert sorted(ranked) == candidates
        place = there.index(source) if source in there else -1
        bounds = rank_bounds(
            query, [gallery[image] for image in there], place, label, [labels[image] for image in there]
        )
        if bounds is None:
            assert ranking.ranks[row] == NO_RANK
        else:
            assert bounds[0] <= int(ranking.ranks[row]) <= bounds[1]
            assert ranking.ranks[row] == 1 + [labels[image] for image in ranked].index(label)


def test_without_ties_the_rank_is_the_one_the_words_say() -> None:
    generator = torch.Generator().manual_seed(0)
    queries, gallery = torch.randn(60, 8, generator=generator), torch.randn(40, 8, generator=generator)
    sources, wanted = torch.randint(40, (60,), generator=generator), torch.randint(15, (60,), generator=generator)
    labels = torch.randint(15, (40,), generator=generator)
    ranking = rank(queries, gallery, sources.tolist(), wanted.tolist(), labels.tolist(), top_k=5)
    for row in range(60):
        bounds = rank_bounds(
            queries[row].tolist(), gallery.tolist(), int(sources[row]), int(wanted[row]), labels.tolist()
        )
        expected = NO_RANK if bounds is None else bounds[0]
        assert bounds is None or bounds[0] == bounds[1]
        assert ranking.ranks[row] == expected


@pytest.mark.parametrize("labels_in_gallery", [400, 60])
def test_identical_embeddings_score_chance(labels_in_gallery: int) -> None:
    queries, images = 30_000, 400
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(images) % labels_in_gallery
    sources = torch.randint(images, (queries,), generator=generator)
    target = (sources + torch.randint(1, images, (queries,), generator=generator)) % images
    ranking = rank_targets(
        torch.ones(queries, 4) / 2, torch.ones(images, 4) / 2, sources, labels[target], labels, top_k=1
    )
    recall = recall_at_k(ranking.ranks)
    expected = chance_recall(ranking.relevant, ranking.candidates)
    for k in KS:
        share = expected[k] / 100
        assert abs(recall[k] / 100 - share) < 4 * math.sqrt(share * (1 - share) / queries)


def test_a_collapsed_gallery_does_not_favour_its_first_or_last_images() -> None:
    """References stand first in a CSS split and are nobody's target: an order by index would show."""
    images, queries = 300, 20_000
    last = torch.arange(images - 100, images)
    wanted = last[torch.arange(queries) % 100]
    ranking = rank_targets(
        torch.ones(queries, 3), torch.ones(images, 3), wanted % 100, wanted, torch.arange(images), top_k=0
    )
    expected = (images - 1 + 1) / 2
    error = math.sqrt((images**2 - 1) / 12 / queries)
    assert abs(float(ranking.ranks.double().mean()) - expected) < 4 * error


def test_another_image_of_the_source_scene_is_a_candidate_like_any_other() -> None:
    # Images 0 and 1 show the source's scene (label 7), image 2 the target's.
    gallery = [[1.0, 0.0], [0.99, 0.0], [0.5, 0.0]]
    kept = rank([[1.0, 0.0]], gallery, sources=[0], wanted=[8], labels=[7, 7, 8], top_k=3)
    assert kept.ranks.tolist() == [2]
    assert kept.top.tolist() == [[1, 2, -1]]
    # A modification that changed nothing: the source itself is no answer, its double is.
    unchanged = rank([[1.0, 0.0]], gallery, sources=[0], wanted=[7], labels=[7, 7, 8])
    assert unchanged.ranks.tolist() == [1]
    assert unchanged.relevant.tolist() == [1]


def test_negative_similarities_are_ranked_like_others() -> None:
    ranking = rank([[1.0]], [[-3.0], [-1.0], [-2.0]], sources=[-1], wanted=[5], labels=[4, 4, 5], top_k=3)
    assert ranking.ranks.tolist() == [2]
    assert ranking.top.tolist() == [[1, 2, 0]]
