"""The searchers that lack one modality, against loops over images, on hand-made splits and on every rendered task."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import css_gen.dataset
from benchmark import tasks
from benchmark.datasets.relevance import Relevance
from benchmark.datasets.splits import Queries, Split, hold_out, with_own_images
from benchmark.scoring.evaluation import rank
from benchmark.scoring.levels import source_oracle_ranks
from benchmark.scoring.metrics import metrics_of
from benchmark.scoring.recall import KS, NO_RANK, Outcomes, chance_recall, recall_at_k
from benchmark.training.progress import SilentRuns
from tests.css_gen.scenes.reading import Grid, describes, grid

RENDERED = [task.name for task in tasks.on_folder("css")]


def split_of(
    *,
    labels: list[int],
    sources: list[int],
    targets: list[int],
    answers: list[set[int]] | None = None,
    own: list[int] | None = None,
    galleries: list[int] | None = None,
) -> Split:
    """Images of one pixel; `answers` are the relevant labels of each query besides its target's."""
    pixels = np.zeros((len(labels), 1, 1, 3), dtype=np.uint8)
    ids = tuple(map(str, range(len(sources))))
    relevant = None
    if answers is not None:
        relevant = Relevance.of_sets({*more, labels[target]} for more, target in zip(answers, targets, strict=True))
    rows = [
        np.array(each, dtype=np.int64) for each in (labels, sources, targets, [-1] * len(ids) if own is None else own)
    ]
    return Split(
        sources=pixels,
        gallery=pixels,
        labels=rows[0],
        queries=Queries(ids, rows[1], rows[2], rows[3], ids, {}),
        galleries=None if galleries is None else np.array(galleries),
        relevant=relevant,
    )


def right_images(split: Split, query: int) -> set[int]:
    target = int(split.queries.targets[query])
    right = {int(split.labels[target])} if split.relevant is None else set(split.relevant.row(query).tolist())
    return {
        image
        for image in range(len(split.labels))
        if int(split.labels[image]) in right
        and image != split.queries.source_images[query]
        and (split.galleries is None or split.galleries[image] == split.galleries[target])
    }


def require_best_next_images(split: Split, ranks: list[int]) -> None:
    """At every rank one image answers those queries of a source that have it, and none answers more of the rest."""
    of_list: dict[Any, list[int]] = defaultdict(list)
    for query, source in enumerate(split.queries.sources.tolist()):
        part = None if split.galleries is None else int(split.galleries[split.queries.targets[query]])
        of_list[source, part].append(query)
    for queries in of_list.values():
        left = {query: right_images(split, query) for query in queries}
        place = 0
        while any(left.values()):
            place += 1
            images = set().union(*left.values())
            answered = [{query for query, right in left.items() if image in right} for image in images]
            shown = {query for query in left if ranks[query] == place}
            assert shown in answered
            assert len(shown) == max(map(len, answered))
            left = {query: right for query, right in left.items() if query not in shown}
        assert {ranks[query] for query in left} <= {NO_RANK}


@st.composite
def splits(draw: st.DrawFn) -> Split:
    """Few labels for many images, so that ties and repeated answers abound; some answers have no image."""
    images, count = draw(st.integers(1, 8)), draw(st.integers(1, 10))
    numbers = st.integers(0, images - 1)

    def listed(values: st.SearchStrategy[Any], length: int) -> list[Any]:
        return draw(st.lists(values, min_size=length, max_size=length))

    own_of = listed(st.integers(-1, images - 1), 3)
    sources = listed(st.integers(0, 2), count)
    return split_of(
        labels=listed(st.integers(0, 4), images),
        sources=sources,
        targets=listed(numbers, count),
        answers=draw(st.none() | st.just(listed(st.sets(st.integers(0, 6), max_size=3), count))),
        own=[own_of[source] for source in sources],
        galleries=draw(st.none() | st.just(listed(st.integers(0, 1), images))),
    )


@given(splits())
def test_the_source_oracle_shows_the_best_next_image(split: Split) -> None:
    ranks = source_oracle_ranks(split)
    sources = split.queries.sources.tolist()
    alone = sum(sources.count(source) == 1 for source in sources)
    assert (ranks is None) == (2 * alone > len(sources))
    if ranks is not None:
        require_best_next_images(split, ranks.tolist())


def test_the_source_oracle_by_hand() -> None:
    split = split_of(
        labels=[0, 1, 1, 2, 3, 4],
        sources=[7, 7, 7, 7, 9, 9, 9],
        targets=[1, 2, 3, 4, 4, 4, 0],
        answers=[set(), set(), {1}, set(), set(), {9}, {4}],
        own=[0, 0, 0, 0, 5, 5, 5],
    )
    # Source 7: label 1 answers three queries. Source 9: label 3 answers two; its own image alone has label 4.
    ranks = source_oracle_ranks(split)
    assert ranks is not None
    assert ranks.tolist() == [1, 1, 1, 2, 1, 1, 2]


def test_without_an_image_left_there_is_no_rank() -> None:
    split = split_of(labels=[0, 1], sources=[0, 0, 0], targets=[0, 0, 1], own=[0, 0, 0])
    ranks = source_oracle_ranks(split)
    assert ranks is not None
    assert ranks.tolist() == [NO_RANK, NO_RANK, 1]
    nothing = source_oracle_ranks(split_of(labels=[0], sources=[0, 0], targets=[0, 0], own=[0, 0]))
    assert nothing is not None
    assert nothing.tolist() == [NO_RANK, NO_RANK]


def test_parts_of_a_gallery_have_lists_of_their_own() -> None:
    split = split_of(
        labels=[0, 1, 0, 1],
        sources=[5] * 4,
        targets=[0, 1, 2, 3],
        galleries=[0, 0, 1, 1],
        answers=[set(), {0}, set(), set()],
    )
    ranks = source_oracle_ranks(split)
    assert ranks is not None
    assert ranks[:2].tolist() == [1, 1]
    assert sorted(ranks[2:].tolist()) == [1, 2]


def test_ties_favour_no_query() -> None:
    pairs = 400
    split = split_of(labels=[0, 1], sources=[row // 2 for row in range(2 * pairs)], targets=[0, 1] * pairs)
    ranks = source_oracle_ranks(split)
    assert ranks is not None
    first = ranks.reshape(pairs, 2)
    assert (first.sum(1) == 3).all()
    assert abs((first[:, 0] == 1).mean() - 0.5) < 0.1


def test_a_query_alone_on_its_source_gives_its_answer_away() -> None:
    half = split_of(labels=[0, 1, 2], sources=[0, 1, 2, 2], targets=[0, 1, 0, 2])
    assert source_oracle_ranks(half) is not None
    assert source_oracle_ranks(half.asking(np.array([0, 1, 2]))) is None


def opened(name: str, root: Path) -> Any:
    return tasks.get(name).open(root, image_size=8, reporter=SilentRuns(), skip_broken=False)


def could_result(text: str, after: Grid) -> bool:
    """Whether the text can make this of some source, from its words."""
    verb, *words = text.split()
    new = words.pop() if verb == "make" else ""
    meant = {cell for cell, item in after.items() if describes(words, cell, item)}
    if verb == "add":
        return bool(meant)
    if verb == "remove":
        named = [word for word in words if "-" in word]
        return not meant and (named[0] not in after if named else len(after) < 9)
    into = [word for word in words if (word in ("small", "large")) != (new in ("small", "large")) or "-" in word]
    kept = [word for word in words if word in into or word in ("rectangle", "circle", "triangle")]
    made = {cell for cell, item in after.items() if describes([*kept, new], cell, item)}
    return bool(made) and meant <= made


@pytest.mark.parametrize("name", RENDERED)
@pytest.mark.parametrize("part", ["train", "test"])
def test_both_oracles_on_a_rendered_task(name: str, part: str, css_root: Path) -> None:
    dataset = opened(name, css_root)
    split = getattr(dataset, part)
    stored = css_gen.dataset.open(css_root).split(part)
    grids = [grid(stored.scene(image)) for image in range(len(stored))]
    for row, query in enumerate(stored.queries):
        reachable = {image for image, after in enumerate(grids) if could_result(query.text, after)}
        assert split.text_candidates[row] == len(reachable - {query.source_id}), query.text
        assert right_images(split, row) <= reachable
    ranks = source_oracle_ranks(split)
    assert ranks is not None
    require_best_next_images(split, ranks.tolist())


@pytest.mark.parametrize("name", RENDERED)
def test_scoring_keeps_both_and_scores_them_by_slice(name: str, css_root: Path) -> None:
    split = opened(name, css_root).test
    outcomes = scored(split)
    metrics = metrics_of(outcomes)
    for part, rows in [
        (metrics, np.arange(len(outcomes))),
        (metrics.slices["kind"]["add"], kind_rows(outcomes, "add")),
    ]:
        assert outcomes.source_oracle_ranks is not None
        source = recall_at_k(outcomes.source_oracle_ranks[rows])
        text = chance_recall(outcomes.relevant[rows], split.text_candidates[rows])
        for k in KS:
            assert part.scores[f"source_oracle@{k}"] == source[k]
            assert part.scores[f"text_oracle@{k}"] == pytest.approx(text[k])
            assert part.chance[k] <= part.scores[f"text_oracle@{k}"]


def scored(split: Split) -> Outcomes:
    generator = torch.Generator().manual_seed(0)
    query, gallery = (torch.randn(n, 4, generator=generator) for n in (len(split.queries), len(split.gallery)))
    return rank(query, gallery, split).outcomes


def kind_rows(outcomes: Outcomes, kind: str) -> Any:
    return np.flatnonzero(outcomes.attributes["kind"] == kind)


def test_parts_of_a_split_keep_what_is_known(css_root: Path) -> None:
    split = opened("css", css_root).train
    _, held_out = hold_out(split, 0.4)
    assert held_out is not None
    rows = [split.queries.ids.index(name) for name in held_out.queries.ids]
    assert held_out.text_candidates is not None
    assert held_out.text_candidates.tolist() == split.text_candidates[rows].tolist()
    assert "text_oracle@1" in metrics_of(scored(held_out)).scores
    small = metrics_of(scored(with_own_images(held_out)))
    assert "text_oracle@1" not in small.scores, "the gallery is another one"
    assert "source_oracle@1" in small.scores
