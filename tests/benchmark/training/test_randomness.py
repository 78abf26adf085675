"""All that a step draws comes from one stream, a function of seed and step alone."""

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
from benchmark.training.randomness import stream_seed
from benchmark.training.samplers import make_sampler

SEED = 5


def test_no_two_steps_have_the_same_seed() -> None:
    asked = list(itertools.product([0, 1, 2, 2**32, 2**63], [0, 1, 2, 3, 159_999]))
    seeds = [stream_seed(*each) for each in asked]
    assert len(set(seeds)) == len(asked)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seeds == [stream_seed(*each) for each in reversed(asked)][::-1]


def test_streams_of_neighbouring_steps_are_not_correlated() -> None:
    """The mean product of 20,000 normal numbers of two streams is within 5 standard deviations of 0."""
    draws = [
        torch.randn(20_000, generator=torch.Generator().manual_seed(stream_seed(SEED, step))) for step in (6, 7, 8)
    ]
    for one, other in itertools.combinations(draws, 2):
        assert abs(float((one * other).mean())) < 5 / 20_000**0.5


def test_a_step_draws_for_images_then_layers_then_loss_from_its_own_seed(
    css: Css, tiny_config: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state of torch's generator before each of them; drawing in between changes what the next one finds."""
    config = override(tiny_config, ["training.shift=1", "training.group_size=3", "training.repeats=2"])
    seen: list[tuple[str, torch.Tensor]] = []
    real_loss, real_augmented, real_dropout = session.batch_loss, ImageStore.augmented, torch.nn.functional.dropout

    def noting(name: str, real: Any) -> Any:
        def noted(*arguments: Any, **options: Any) -> torch.Tensor:
            seen.append((name, torch.get_rng_state()))
            return real(*arguments, **options)  # type: ignore[no-any-return]

        return noted

    monkeypatch.setattr(session, "batch_loss", noting("loss", real_loss))
    monkeypatch.setattr(ImageStore, "augmented", noting("images", real_augmented))
    monkeypatch.setattr(torch.nn.functional, "dropout", noting("layers", real_dropout))
    identity = Run("css", "concat", config, SEED, css.fingerprint, True)
    network = new_network(identity, css.train)
    sampler = make_sampler(css.train, groups=2, modifications=3, seed=SEED)
    running = session.Session(network, css.train, sampler, identity, make_accelerator("cpu", "fp32"))
    for step in (0, 4):
        seen.clear()
        torch.manual_seed(99)
        running.step(step)
        names = [name for name, _ in seen]
        assert names[0] == "images"
        assert names[-1] == "loss"
        assert set(names[1:-1]) == {"layers"}
        torch.manual_seed(stream_seed(SEED, step))
        assert torch.equal(seen[0][1], torch.get_rng_state())
        assert len({bytes(state.numpy().tobytes()) for _, state in seen}) == len(seen)
