"""Contrasts: whether the best relevant image is above the wrong ones, against slow and obvious versions."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.datasets.relevance import Relevance
from benchmark.datasets.splits import Queries, Shortcut, Split, with_own_images
from benchmark.records.known_queries import queries_of
from benchmark.records.outcomes_file import decode, encode
from benchmark.records.schema import DatasetCard
from benchmark.scoring.evaluation import rank
from benchmark.scoring.fresh import sampled_recall
from benchmark.scoring.listing import Lists, score_lists
from benchmark.scoring.metrics import SPREAD, WORST, contrast_chance_name, contrast_name, metrics_of
from benchmark.scoring.recall import DEPTH, KS, Outcomes
from tests.benchmark.made_up import make_outcomes, with_ranks
from tests.benchmark.references import chance, kernel

NAMES = ("order accuracy", "source accuracy")


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[list[int]], list[list[int]], Split]:
    """Small whole numbers, so that similarities are often equal; some distractors are missing, or are no candidates."""
    width, images, count = draw(st.integers(1, 2)), draw(st.integers(3, 9)), draw(st.integers(1, 6))
    vector = st.lists(st.integers(-1, 1), min_size=width, max_size=width)
    labels = draw(st.lists(st.integers(0, 4), min_size=images, max_size=images))
    row = st.integers(0, images - 1)
    targets = draw(st.lists(row, min_size=count, max_size=count))
    right = [{labels[target], *draw(st.sets(st.integers(0, 4), max_size=2))} for target in targets]
    contrasts = {}
    for name in NAMES:
        most = draw(st.integers(0, 3))
        table = np.full((count, most), -1, dtype=np.int64)
        for query, answers in enumerate(right):
            wrong = [image for image in range(images) if labels[image] not in answers]
            some = draw(st.lists(st.sampled_from(wrong), max_size=most, unique=True)) if wrong else []
            table[query, : len(some)] = some
        contrasts[name] = table
    own = draw(st.lists(st.integers(-1, images - 1), min_size=count, max_size=count))
    galleries = draw(st.none() | st.lists(st.integers(0, 1), min_size=images, max_size=images))
    split = split_of(labels, targets, right, own, contrasts, galleries)
    embedded = [draw(st.lists(vector, min_size=number, max_size=number)) for number in (count, images)]
    return embedded[0], embedded[1], split


def split_of(
    labels: Sequence[int],
    targets: Sequence[int],
    right: Sequence[set[int]],
    own: Sequence[int],
    contrasts: dict[str, Any],
    galleries: Sequence[int] | None = None,
) -> Split:
    pixels = np.zeros((len(labels), 1, 1, 3), dtype=np.uint8)
    ids = tuple(map(str, range(len(targets))))
    rows = [np.array(each, dtype=np.int64) for each in (labels, targets, own)]
    return Split(
        sources=pixels,
        gallery=pixels,
        labels=rows[0],
        queries=Queries(ids, np.arange(len(ids)), rows[1], rows[2], ids, {}),
        galleries=None if galleries is None else np.array(galleries),
        relevant=Relevance.of_sets(right),
        contrasts=contrasts,
    )


def ranked(queries: Sequence[Sequence[int]], gallery: Sequence[Sequence[int]], split: Split) -> Outcomes:
    vectors = [torch.tensor(each, dtype=torch.float32) for each in (queries, gallery)]
    return rank(vectors[0], vectors[1], split).outcomes


def candidates_of(split: Split, query: int) -> list[int]:
    part = split.galleries
    return [
        image
        for image in range(len(split.labels))
        if image != split.queries.source_images[query]
        and (part is None or part[image] == part[split.queries.targets[query]])
    ]


@given(problems())
def test_a_contrast_holds_where_the_best_relevant_image_is_above_all_wrong_ones(
    problem: tuple[list[list[int]], list[list[int]], Split],
) -> None:
    queries, gallery, split = problem
    outcomes = ranked(queries, gallery, split)
    assert tuple(outcomes.contrasts) == tuple(outcomes.distractors) == NAMES
    for name in NAMES:
        for query, vector in enumerate(queries):
            there = candidates_of(split, query)
            wrong = [image for image in split.contrasts[name][query].tolist() if image in there]
            right = [image for image in there if split.labels[image] in split.relevant.row(query)]  # type: ignore[union-attr]
            found = int(outcomes.contrasts[name][query])
            assert outcomes.distractors[name][query] == len(wrong)
            best, worst = (
                max((kernel(vector, gallery[image]) for image in some), default=-9.0) for some in (right, wrong)
            )
            if not wrong:
                assert found == -1
            elif not right or best < worst:
                assert found == 0
            elif best > worst:
                assert found == 1
            else:
                assert found in (0, 1)
            if wrong and outcomes.ranks[query] == 1:
                assert found == 1, "an image that is first is above all others, in a tie, too"


@given(problems())
def test_lists_of_the_whole_gallery_and_rankings_agree(
    problem: tuple[list[list[int]], list[list[int]], Split],
) -> None:
    queries, gallery, split = problem
    outcomes = ranked(queries, gallery, split)
    images = np.full((len(queries), DEPTH), -1)
    for query in range(len(queries)):
        # One wrong image and one right one at a time, so that the order of ties is that of the ranking itself.
        pairs = order_of(queries, gallery, split, query)
        images[query, : len(pairs)] = pairs
    listed = score_lists([Lists(np.arange(len(queries)), images)], split).outcomes
    for name in NAMES:
        assert listed.contrasts[name].tolist() == outcomes.contrasts[name].tolist()
        assert listed.distractors[name].tolist() == outcomes.distractors[name].tolist()


def order_of(queries: Sequence[Sequence[int]], gallery: Sequence[Sequence[int]], split: Split, query: int) -> list[int]:
    """The order of a query's candidates: the place of each is its rank if it alone were relevant."""
    alone = replace(split, labels=np.arange(len(split.labels)), relevant=None, contrasts={})
    place = {}
    for image in candidates_of(split, query):
        targets = split.queries.targets.copy()
        targets[query] = image
        asked = replace(alone, queries=replace(split.queries, targets=targets))
        place[int(ranked(queries, gallery, asked).ranks[query])] = image
    assert sorted(place) == list(range(1, 1 + len(place))), "the ranks of all candidates are an order"
    return [place[rank] for rank in sorted(place)]


def test_a_short_list_leaves_out_wrong_images_at_no_cost_and_right_ones_at_the_last_rank() -> None:
    count = DEPTH + 3
    split = split_of(range(count), [0, 0, 0], [{0}] * 3, [-1] * 3, {"order accuracy": np.array([[1], [1], [-1]])})
    others = list(range(2, DEPTH + 2))
    lists = [[0, *others[:-1]], others, others]
    outcomes = score_lists([Lists(np.arange(3), np.array(lists))], split).outcomes
    assert outcomes.contrasts["order accuracy"].tolist() == [1, 0, -1]


def test_ties_neither_help_nor_harm() -> None:
    queries = 3_000
    split = split_of(
        [0, 0, 1, 2, 3], [0] * queries, [{0}] * queries, [-1] * queries, {"one": np.full((queries, 3), [2, 3, 4])}
    )
    scores = metrics_of(ranked([[1]] * queries, [[1]] * 5, split)).scores
    assert scores[contrast_chance_name("one")] == pytest.approx(40)
    assert scores[contrast_name("one")] == pytest.approx(40, abs=3)


def with_columns(outcomes: Outcomes, **columns: Any) -> Outcomes:
    return Outcomes(**{**vars(outcomes), **columns})


def contrasted(*, groups: int = 80) -> Outcomes:
    """Queries of which a third has no distractor, and the others one to three."""
    outcomes = make_outcomes()
    rows = np.arange(len(outcomes))
    count = np.where(rows % 3 == 0, 0, 1 + rows % 4 % 3)
    holds = np.where(count == 0, -1, (outcomes.ranks == 1) | ((rows % 2 == 0) & (outcomes.ranks < 150)))
    return with_columns(
        outcomes,
        contrasts={"order accuracy": holds},
        distractors={"order accuracy": count},
        groups=rows % groups,
        shortcut_candidates=1 + rows % 5,
        shortcut_hits=(rows % 5 > 1).astype(np.int64),
    )


def test_the_share_and_its_chance_are_those_of_all_orders() -> None:
    outcomes = contrasted()
    metrics = metrics_of(outcomes)
    kinds = outcomes.attributes["kind"].tolist()
    for scores, wanted in [(metrics.scores, {*kinds}), (metrics.slices["kind"]["add"].scores, {"add"})]:
        count = outcomes.distractors["order accuracy"].tolist()
        asked = [row for row, kind in enumerate(kinds) if kind in wanted and count[row]]
        held = [outcomes.contrasts["order accuracy"][row] == 1 for row in asked]
        assert scores[contrast_name("order accuracy")] == pytest.approx(100 * sum(held) / len(asked))
        by_chance = []
        for row in asked:
            orders = list(permutations(["right", *["wrong"] * count[row]]))
            by_chance.append(sum(order[0] == "right" for order in orders) / len(orders))
        assert scores[contrast_chance_name("order accuracy")] == pytest.approx(100 * sum(by_chance) / len(by_chance))


def test_a_slice_without_distractors_has_no_score() -> None:
    outcomes = contrasted()
    words = np.where(outcomes.distractors["order accuracy"] > 0, "some", "none")
    slices = metrics_of(with_columns(outcomes, attributes={"wrong": words})).slices["wrong"]
    assert contrast_name("order accuracy") in slices["some"].scores
    assert not [name for name in slices["none"].scores if "contrast" in name]


@pytest.mark.parametrize("groups", [1, 40, 80, 239])
def test_worst_of_a_group_and_spread(groups: int) -> None:
    outcomes = contrasted(groups=groups)
    by_group: dict[int, list[bool]] = {}
    for group, rank_ in zip(outcomes.groups.tolist(), outcomes.ranks.tolist(), strict=True):  # type: ignore[union-attr]
        by_group.setdefault(group, []).append(rank_ == 1)
    scores = metrics_of(outcomes).scores
    assert scores[WORST] == pytest.approx(100 * sum(map(all, by_group.values())) / len(by_group))
    assert scores[SPREAD] == pytest.approx(100 * sum(any(r) and not all(r) for r in by_group.values()) / len(by_group))


def test_groups_of_one_and_slices_have_no_worst() -> None:
    assert WORST not in metrics_of(contrasted(groups=240)).scores
    assert all(WORST not in each.scores for each in metrics_of(contrasted()).slices["kind"].values())
    assert WORST not in metrics_of(make_outcomes()).scores


def test_the_shortcut_is_a_random_order_of_what_it_takes_for_right() -> None:
    outcomes = contrasted()
    assert outcomes.shortcut_candidates is not None
    assert outcomes.shortcut_hits is not None
    pairs = list(zip(outcomes.shortcut_hits.tolist(), outcomes.shortcut_candidates.tolist(), strict=True))
    scores = metrics_of(outcomes).scores
    assert scores["shortcut@1"] == pytest.approx(100 * sum(hits / taken for hits, taken in pairs) / len(pairs))
    for k in KS:
        assert scores[f"shortcut@{k}"] == pytest.approx(100 * sum(chance(*pair, k) for pair in pairs) / len(pairs))
    nothing = with_columns(outcomes, shortcut_candidates=np.zeros(240), shortcut_hits=np.zeros(240))
    assert metrics_of(nothing).scores["shortcut@50"] == 0.0


def test_groups_are_the_clusters_of_a_fresh_score() -> None:
    outcomes = make_outcomes()
    as_css = sampled_recall([outcomes])
    rows = np.arange(len(outcomes))
    assert sampled_recall([with_columns(outcomes, groups=7 + rows // 3)]) == as_css
    together = with_ranks(with_columns(outcomes, groups=rows // 6, sources=rows), np.where(rows // 6 % 2, 1, 9))
    apart = with_columns(together, groups=rows)
    assert sampled_recall([together]).error > 2 * sampled_recall([apart]).error


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"contrasts": {}}, "do not have the same names"),
        ({"contrasts": {"order accuracy": np.full(240, -1)}}, "query 1: its order accuracy contradict"),
        ({"contrasts": {"order accuracy": np.zeros(240)}}, "its order accuracy contradict"),
        ({"distractors": {"order accuracy": np.full(240, 199)}}, "its order accuracy contradict"),
        ({"contrasts": {"order accuracy": np.zeros(3)}}, "order accuracy has shape"),
        ({"shortcut_hits": None}, "known only together"),
        ({"shortcut_hits": np.full(240, 2)}, "query 0: its shortcut's candidates contradict"),
        ({"shortcut_candidates": np.zeros(240)}, "query 2: its shortcut's candidates contradict"),
        ({"groups": np.zeros(3)}, "groups has shape"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        with_columns(contrasted(), **changes)


def test_files_and_lists_of_datasets_hold_them() -> None:
    outcomes = contrasted()
    again = decode(encode(outcomes), len(outcomes))
    for table in ("contrasts", "distractors", "part_ranks", "optional"):
        for name, column in getattr(outcomes, table).items():
            np.testing.assert_array_equal(getattr(again, table)[name], column)
    assert again.attributes.keys() == outcomes.attributes.keys()
    card = DatasetCard(name="css-relation", fingerprint="ab", gallery=200, queries=240)
    columns = queries_of(outcomes, card).columns
    assert {"distractors: order accuracy", "groups", "shortcut_hits"} <= columns.keys()
    assert not [name for name in columns if name.startswith("contrast")], "how a run did is not of the dataset"
    with pytest.raises(ValueError, match="cannot be called 'contrast: order'"):
        encode(with_columns(outcomes, attributes={"contrast: order": outcomes.attributes["kind"]}))


def test_parts_of_a_split_carry_contrasts() -> None:
    split = split_of(
        [0, 1, 2, 3, 4], [1, 3], [{1}, {3}], [0, -1], {"one": np.array([[2, 4], [1, -1]]), "two": np.array([[4], [-1]])}
    )
    split = replace(split, shortcut=Shortcut(np.array([2, 1]), np.array([1, 0])))
    second = split.asking(np.array([1]))
    assert {name: images.tolist() for name, images in second.contrasts.items()} == {"one": [[1, -1]], "two": [[-1]]}
    assert second.shortcut is not None
    assert [column.tolist() for column in second.shortcut] == [[1], [0]]
    small = with_own_images(second)
    assert (small.labels.tolist(), small.queries.targets.tolist()) == ([1, 3], [1])
    assert {name: images.tolist() for name, images in small.contrasts.items()} == {"one": [[0, -1]], "two": [[-1]]}
    assert small.shortcut is None, "the gallery is another one"
