"""A loss of the composer's own: added with the recipe's weight, and nothing changes for a composer without one."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from benchmark.device import make_accelerator, reproducible
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.recipe.schema import Recipe
from benchmark.tasks.css import Css
from benchmark.training.model import new_network
from benchmark.training.samplers import make_sampler
from benchmark.training.step import Session
from models import TextFeatures
from models.composers.film import Film
from models.network import MakeComposer

Train = Callable[..., tuple[list[float], dict[str, Tensor]]]


class Silent(Film):
    def auxiliary(self, *_: object) -> None:
        return None


class Constant(Film):
    def auxiliary(self, *_: object) -> Tensor:
        return torch.full((), 3.0)


class Distance(Film):
    def auxiliary(self, composed: Tensor, image: Tensor, text: TextFeatures, target: Tensor) -> Tensor:
        assert isinstance(text, TextFeatures)
        assert composed.shape == image.shape == target.shape
        return (composed - target).square().mean()


@pytest.fixture
def train(css: Css, tiny_config: Recipe) -> Train:
    """Losses and final weights of a few steps."""

    def run(kind: MakeComposer, *changes: str, spatial: bool = True) -> tuple[list[float], dict[str, Tensor]]:
        config = override(tiny_config, list(changes))
        training = config.training
        planned = Run("css", "film", config, 0, css.fingerprint, spatial)
        with reproducible("cpu"):
            network = new_network(kind, config.model, css.train.texts, spatial=spatial, seed=0)
            sampler = make_sampler(css.train, groups=training.sources, modifications=training.modifications, seed=0)
            session = Session(network, css.train, sampler, planned, make_accelerator("cpu", training.precision))
            losses = [float(session.step(step)) for step in range(4)]
        return losses, {name: value.clone() for name, value in network.state_dict().items()}

    return run


def assert_same(one: tuple[list[float], dict[str, Tensor]], other: tuple[list[float], dict[str, Tensor]]) -> None:
    assert one[0] == other[0]
    assert all(torch.equal(value, other[1][name]) for name, value in one[1].items())


@pytest.mark.parametrize("spatial", [True, False])
def test_a_composer_without_one_is_untouched(spatial: bool, train: Train) -> None:
    """Every loss and weight, to the last bit, whatever the weight; and as if it gave none."""
    plain = train(Film, spatial=spatial)
    assert_same(train(Film, "training.auxiliary=7", spatial=spatial), plain)
    assert_same(train(Silent, "training.auxiliary=7", spatial=spatial), plain)
    assert_same(train(Distance, "training.auxiliary=0", spatial=spatial), plain)


def test_it_is_added_with_the_recipes_weight(train: Train) -> None:
    plain, weighted = train(Film), train(Constant, "training.auxiliary=0.5")
    assert weighted[0] == pytest.approx([loss + 1.5 for loss in plain[0]])
    assert all(torch.equal(value, weighted[1][name]) for name, value in plain[1].items())
    first = [train(Distance, f"training.auxiliary={weight}")[0][0] - plain[0][0] for weight in (1, 2)]
    assert first[0] > 0
    assert first[1] == pytest.approx(2 * first[0], rel=1e-4)


def test_its_gradients_reach_the_whole_network(train: Train) -> None:
    plain, weighted = train(Film)[1], train(Distance, "training.auxiliary=100")[1]
    for part in ("image_encoder.conv1.weight", "composer.", "text_encoder."):
        names = [name for name in plain if name.startswith(part)]
        assert names
        assert any(not torch.equal(plain[name], weighted[name]) for name in names), part


def test_what_teaches_features_to_be_equal_makes_them_so(train: Train) -> None:
    """A large weight lowers the distance itself, from the first step to the last."""
    losses, _ = train(Distance, "training.auxiliary=1000")
    assert losses[-1] < losses[0]


def test_under_bf16_the_sum_is_in_single_precision(train: Train) -> None:
    losses, _ = train(Distance, "training.precision=bf16")
    assert all(torch.tensor(losses).isfinite())
    assert losses[0] != torch.tensor(losses[0]).bfloat16().item()
