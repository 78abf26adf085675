"""Batches whose channels are exchanged, against the definition on pixels and against the texts of the grammar."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.datasets.exchanged_channels import (
    ORDERS,
    ChannelExchange,
    exchanged_text,
    exchanged_texts,
    is_exchanged_name,
)
from benchmark.datasets.image_store import ImageStore
from benchmark.datasets.rendered_css import Css
from benchmark.device import make_accelerator
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.recipe.schema import Recipe
from benchmark.runs.single_run import new_network
from benchmark.training.samplers import make_sampler
from benchmark.training.step import Session
from css_gen.scenes.factors import Colour
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.sampling import HeldOut, modification_queries

CPU = torch.device("cpu")


def test_the_first_order_leaves_everything_and_the_others_are_all_that_there_are() -> None:
    assert ORDERS[0] == (0, 1, 2)
    assert sorted(ORDERS) == sorted(permutations(range(3)))


@given(index=st.integers(0, 5_000), names=st.sampled_from(["2d", "3d"]), order=st.sampled_from(ORDERS[1:]))
def test_colours_alone_get_other_names_and_each_its_own(index: int, names: str, order: tuple[int, ...]) -> None:
    for query in modification_queries(
        index, seed=0, split=SplitId.TRAIN, references=50, held_out=HeldOut.sample(seed=0)
    ):
        text = query.modification.text_with(names)
        before, after = text.split(), exchanged_text(text, order).split()
        assert len(before) == len(after)
        for old, new in zip(before, after, strict=True):
            is_colour = old in list(Colour) and old != Colour.GRAY
            assert (new != old) == is_colour
            assert new.split("-")[0] == old or not is_colour


def test_no_two_orders_have_a_name_in_common() -> None:
    named = [{exchanged_text(colour, order) for colour in Colour} - {"gray"} for order in ORDERS[1:]]
    assert all(map(is_exchanged_name, set().union(*named)))
    assert not any(map(is_exchanged_name, (*Colour, "red-hot", "top-left", "add-grb", "blue-rgb")))
    assert len(set().union(*named, set(Colour) - {Colour.GRAY})) == len(ORDERS) * (len(Colour) - 1)


def images_of(pixels: np.ndarray) -> torch.Tensor:
    return ImageStore(pixels, CPU).batch(torch.arange(len(pixels)))


def test_images_are_those_of_the_exchanged_pixels_and_texts_follow() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
    table = exchanged_texts(["add red object", "make object blue", "remove gray circle"])
    rows, found, exchange = torch.tensor([2, 0, 1, 1]), [], ChannelExchange(CPU)
    for seed in range(120):
        generator = torch.Generator().manual_seed(seed)
        images, texts, is_exchanged = exchange(images_of(pixels), rows, count=3, generator=generator)
        order = ORDERS[int(texts[1]) // 3]
        assert (texts % 3).tolist() == rows.tolist()
        assert {int(row) // 3 for row in texts} == {ORDERS.index(order)}
        assert [table[row] for row in texts] == [
            exchanged_text(table[row], order) if is_exchanged else table[row] for row in rows
        ]
        torch.testing.assert_close(images, images_of(pixels[..., list(order)]), rtol=0, atol=1e-5)
        assert images.is_contiguous(memory_format=torch.channels_last)
        if not is_exchanged:
            assert torch.equal(images, images_of(pixels))
        found.append(order)
    assert 40 < found.count(ORDERS[0]) < 80
    assert set(found) == set(ORDERS)


def test_a_step_exchanges_images_and_texts_together_and_leaves_the_memory_then(
    css: Css, tiny_config: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    split, seen = css.train, []
    config = override(
        tiny_config,
        ["training.exchange_channels=true", "training.memory=2", "training.memory_start=0", "training.shift=0"],
    )
    planned = Run("css", "tirg", config, 0, css.fingerprint, True)
    network = new_network(planned, split)
    sampler = make_sampler(split, groups=config.training.sources, modifications=config.training.modifications, seed=0)
    session = Session(network, split, sampler, planned, make_accelerator("cpu", "fp32"))
    real = network.forward

    def noting(images: Any, group: Any, ids: Any, mask: Any, **others: Any) -> Any:
        seen.append((images.clone(), ids.clone()))
        return real(images, group, ids, mask, **others)

    monkeypatch.setattr(network, "forward", noting)

    def order_of(texts: list[str], ids: torch.Tensor) -> tuple[int, ...]:
        """The one order of channels whose names of colours these token ids have."""
        (found,) = (
            order
            for order, table in zip(ORDERS, np.split(np.array(exchanged_texts(texts)), len(ORDERS)), strict=True)
            for expected in [network.text_encoder.tokenize(table.tolist())[0]]
            if torch.equal(ids[:, : expected.shape[1]], expected)
        )
        return found

    store = ImageStore(split.gallery, CPU)
    orders = []
    for step in range(16):
        before = {name: value.clone() for name, value in session.memory.tensors().items()}
        session.step(step)
        batch = sampler.batch(step)
        plain = store.batch(torch.from_numpy(np.concatenate([batch.sources, batch.targets])))
        images, ids = seen[step]
        texts = [split.texts[row] for row in batch.texts]
        order = order_of(texts, ids)
        pixels = split.gallery[np.concatenate([batch.sources, batch.targets])][..., list(order)]
        torch.testing.assert_close(images, images_of(pixels), rtol=0, atol=1e-5)
        assert torch.equal(images, plain) == (order == ORDERS[0])
        is_kept = all(torch.equal(value, before[name]) for name, value in session.memory.tensors().items())
        assert is_kept == (order != ORDERS[0])
        orders.append(order)
    assert 2 < orders.count(ORDERS[0]) < 14


def test_it_needs_scenes_as_reading_shapes_does(tiny_config: Recipe) -> None:
    recipe = override(tiny_config, ["training.exchange_channels=true"])
    assert recipe.needs_scenes == "training.exchange_channels=true"
    assert override(tiny_config, ["training.read_shapes=0.5"]).needs_scenes == "training.read_shapes=0.5"
    assert tiny_config.needs_scenes == ""
