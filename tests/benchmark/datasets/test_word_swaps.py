"""Pairs of captions that differ in one word, against a search through all pairs."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.datasets.word_swaps import WordSwaps, swap_text

CAPTIONS = [
    "black leather jacket",
    "red leather jacket",
    "black silk jacket",
    "black leather skirt",
    "jacket black leather",
    "blue leather jacket",
    "red red dress",
    "red blue dress",
    "dress",
    "skirt",
    "black leather jacket",
    "long black leather jacket",
    "größe m schwarz",
    "größe l schwarz",
]

words = st.sampled_from(["a", "b", "c", "d"])
captions = st.lists(st.lists(words, min_size=1, max_size=4).map(" ".join), min_size=1, max_size=9)


def all_pairs(captions: Sequence[str]) -> dict[tuple[int, int], str]:
    """Every (source, target) with its text, found by trying every word of both."""
    pairs = {}
    for source, of_source in enumerate(captions):
        for target, of_target in enumerate(captions):
            one, other = of_source.split(), of_target.split()
            for i in range(len(one)):
                for j in range(len(other)):
                    if one[i] != other[j] and one[:i] + one[i + 1 :] == other[:j] + other[j + 1 :]:
                        pairs[source, target] = f"replace {one[i]} with {other[j]}"
    return pairs


def assert_draws_are_the_pairs(captions: list[str], allowed: np.ndarray, draws: int) -> None:
    swaps = WordSwaps(captions)
    expected = {pair: text for pair, text in all_pairs(captions).items() if allowed[list(pair)].all()}
    sources = swaps.sources(allowed)
    assert sources.tolist() == sorted({source for source, _ in expected})
    rng = np.random.default_rng(0)
    for source in sources.tolist():
        drawn = [swaps.draw(source, allowed, rng=rng) for _ in range(draws)]
        assert {(source, target): text for text, target in drawn}.items() <= expected.items()
        if draws >= 200:
            assert {target for _, target in drawn} == {target for one, target in expected if one == source}


@given(captions)
def test_what_is_drawn_is_a_pair_and_the_texts_are_all_texts(some: list[str]) -> None:
    assert_draws_are_the_pairs(some, np.ones(len(some), dtype=bool), draws=3)
    assert set(WordSwaps(some).texts) == set(all_pairs(some).values())


@given(captions, st.data())
def test_images_that_are_not_allowed_are_no_source_and_no_target(some: list[str], data: st.DataObject) -> None:
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=len(some), max_size=len(some))), dtype=bool)
    assert_draws_are_the_pairs(some, allowed, draws=3)


def test_every_pair_is_drawn_at_some_time() -> None:
    assert_draws_are_the_pairs(CAPTIONS, np.ones(len(CAPTIONS), dtype=bool), draws=400)


def test_without_siblings_nothing_can_be_drawn() -> None:
    swaps = WordSwaps(["black dress", "black dress", "dress black"])
    everything = np.ones(3, dtype=bool)
    assert not len(swaps.sources(everything))
    assert swaps.texts == ()
    with pytest.raises(ValueError, match="no sibling"):
        swaps.draw(0, everything, rng=np.random.default_rng(0))


@given(captions)
def test_the_text_between_siblings_is_the_drawn_one(some: list[str]) -> None:
    for (source, target), text in all_pairs(some).items():
        assert swap_text(some[source], some[target]) == text


@pytest.mark.parametrize(
    ("source", "target", "text"),
    [
        ("black short dress", "red long dress", "replace black with red"),
        ("red dress", "red red dress", "replace dress with red"),
        ("black dress", "dress black", "replace dress with black"),
    ],
)
def test_captions_that_are_no_siblings_have_a_text_too(source: str, target: str, text: str) -> None:
    assert swap_text(source, target) == text
