"""The random streams of a step: independent of each other, and a function of seed, step and purpose alone."""

import itertools
from typing import Any

import pytest
import torch

from benchmark.datasets.image_store import ImageStore
from benchmark.device import make_accelerator
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.recipe.schema import Recipe
from benchmark.runs.single_run import new_network
from benchmark.tasks.css import Css
from benchmark.training import step as session
from benchmark.training.randomness import Purpose, stream_seed
from benchmark.training.samplers import make_sampler

SEED = 5


def test_no_two_streams_have_the_same_seed() -> None:
    asked = list(itertools.product([0, 1, 2, 2**32, 2**63], [0, 1, 2, 3, 159_999], Purpose))
    seeds = [stream_seed(*each) for each in asked]
    assert len(set(seeds)) == len(asked)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seeds == [stream_seed(*each) for each in reversed(asked)][::-1]


def test_streams_of_one_step_are_not_correlated() -> None:
    """The mean product of 20,000 normal numbers of two streams is within 5 standard deviations of 0."""
    draws = {
        purpose: torch.randn(20_000, generator=torch.Generator().manual_seed(stream_seed(SEED, 7, purpose)))
        for purpose in Purpose
    }
    for one, other in itertools.combinations(draws.values(), 2):
        assert abs(float((one * other).mean())) < 5 / 20_000**0.5


def test_a_step_draws_each_purpose_from_its_own_stream(
    css: Css, tiny_config: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout, augmentation and negatives, as a step uses them."""
    config = override(tiny_config, ["training.shift=1", "training.group_size=3", "training.repeats=2"])
    seen: list[tuple[str, int]] = []
    real_loss, real_augmented, real_forward = session.batch_loss, ImageStore.augmented, torch.nn.functional.dropout

    def loss(*arguments: Any, **options: Any) -> torch.Tensor:
        seen.append(("loss", options["generator"].initial_seed()))
        return real_loss(*arguments, **options)

    def augmented(*arguments: Any, **options: Any) -> torch.Tensor:
        seen.append(("augmentation", options["generator"].initial_seed()))
        return real_augmented(*arguments, **options)

    def dropout(*arguments: Any, **options: Any) -> torch.Tensor:
        seen.append(("layers", torch.initial_seed()))
        return real_forward(*arguments, **options)

    monkeypatch.setattr(session, "batch_loss", loss)
    monkeypatch.setattr(ImageStore, "augmented", augmented)
    monkeypatch.setattr(torch.nn.functional, "dropout", dropout)
    identity = Run("css", "concat", config, SEED, css.fingerprint, True)
    network = new_network(identity, css.train)
    sampler = make_sampler(css.train, groups=2, modifications=3, seed=SEED)
    running = session.Session(network, css.train, sampler, identity, make_accelerator("cpu", "fp32"))
    for step in (0, 4):
        seen.clear()
        running.step(step)
        assert set(seen) == {
            ("layers", stream_seed(SEED, step, Purpose.LAYERS)),
            ("augmentation", stream_seed(SEED, step, Purpose.AUGMENTATION)),
            ("loss", stream_seed(SEED, step, Purpose.LOSS)),
        }
