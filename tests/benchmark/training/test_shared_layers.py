"""Two processes that share a batch have the loss, the gradients, the statistics and the ranks of one process."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from benchmark.datasets.splits import with_own_images
from benchmark.device import make_accelerator, reproducible
from benchmark.errors import UsageError
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.recipe.schema import Recipe
from benchmark.scoring.evaluation import evaluate
from benchmark.scoring.processes import ALONE, Processes, together
from benchmark.tasks.css import Css
from benchmark.training.model import new_network, texts_to_read
from benchmark.training.progress import SilentRuns
from benchmark.training.samplers import make_sampler
from benchmark.training.shared_layers import share_layers
from benchmark.training.step import Session

CHANGES = {
    "tirg": ["training.mirror=true", "training.read_shapes=0.5"],
    "compose_ae": ["training.loss=random_triplets"],  # brings a loss that compares rows with each other
    "val": ["training.memory=2", "training.memory_start=0"],  # composes at several depths
    "depth_operator": ["training.memory=2", "training.memory_start=0", "training.exchange_channels=true"],
    "concat": ["training.symmetric=true"],  # has dropout
}


class Learnt(NamedTuple):
    loss: float
    gradients: dict[str, Tensor]
    buffers: dict[str, Tensor]
    ranks: np.ndarray


def learn(root: Path, config: Recipe, composer: str, processes: Processes) -> Learnt:
    """The second step of a training whose weights stay what they are."""
    css = Css("css", root, source_view="3d", image_size=16, reporter=SilentRuns())
    recipe = override(config, [*CHANGES[composer], "training.sources=4", "training.shift=2", "training.brightness=0.2"])
    run = Run("css", composer, recipe, 0, css.fingerprint, composer != "concat")
    accelerator, training = make_accelerator("cpu", "fp32"), recipe.training
    with reproducible("cpu"):
        texts = texts_to_read(css.train.texts, training)
        network = new_network(composer, recipe.model, texts, spatial=run.spatial, seed=0)
        sampler = make_sampler(css.train, groups=training.sources, modifications=training.modifications, seed=0)
        session = Session(network, css.train, sampler, run, accelerator, processes=processes)
        # AdamW moves a weight whose gradient is nothing but rounding as far as any other.
        vars(session.optimiser)["step"] = lambda: None
        session.step(0)
        loss = float(session.step(1))
        found = evaluate(network, with_own_images(css.test), accelerator=accelerator, batch_size=7, processes=processes)
    gradients = {name: each.grad.clone() for name, each in network.named_parameters() if each.grad is not None}
    return Learnt(loss, gradients, dict(network.named_buffers()), found.outcomes.ranks)


def normalise(processes: Processes) -> list[Tensor]:
    """What float64 layers give for a batch of which this process has a part: outputs, gradients, running statistics."""
    torch.manual_seed(0)
    found: list[Tensor] = []
    images = 30 + torch.randn(6, 4, 3, 5, dtype=torch.float64)
    layers = [nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False, momentum=None), nn.BatchNorm1d(4)]
    for layer, batch in zip(
        layers, (images, images.to(memory_format=torch.channels_last), images[..., 0, 0]), strict=True
    ):
        network = nn.Sequential(layer, nn.Dropout(0.3)).double()
        weights = torch.randn_like(batch)
        vars(network)["composer"] = nn.Identity()
        share_layers(network, processes)  # type: ignore[arg-type]
        rows = slice(processes.rank * 6 // processes.count, (processes.rank + 1) * 6 // processes.count)
        given = batch[rows].clone().requires_grad_()
        torch.manual_seed(1)
        for _ in range(2):
            output = processes.gathered(network(given))
            (output.sin() * weights).sum().backward()
        processes.average_gradients(layer.parameters())
        own = torch.zeros_like(batch)
        own[rows] = given.grad / processes.count
        found += [output.detach(), processes.summed(own), *(each.grad for each in layer.parameters())]
        found += [each.double() for each in layer.buffers()]
    return found


def follow(root: Path, config: Recipe, processes: Processes) -> None:
    normalise(processes)
    for composer in CHANGES:
        learn(root, config, composer, processes)


@pytest.fixture(scope="module")
def shared(css_root: Path, tiny_config: Recipe) -> dict[str, Any]:
    """The results of the leader of two processes."""
    with together(2, "cpu", partial(follow, css_root, tiny_config)) as processes:
        return {
            "layers": normalise(processes),
            **{composer: learn(css_root, tiny_config, composer, processes) for composer in CHANGES},
        }


def test_layers_are_those_of_the_whole_batch(shared: dict[str, Any]) -> None:
    expected = normalise(ALONE)
    assert len(shared["layers"]) == len(expected) > 12
    for found, value in zip(shared["layers"], expected, strict=True):
        torch.testing.assert_close(found, value, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("composer", CHANGES)
def test_a_step_is_that_of_one_process(
    shared: dict[str, Any], css_root: Path, tiny_config: Recipe, composer: str
) -> None:
    found, expected = shared[composer], learn(css_root, tiny_config, composer, ALONE)
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    assert found.gradients.keys() == expected.gradients.keys()
    largest = max(float(each.abs().max()) for each in expected.gradients.values())
    for name, gradient in expected.gradients.items():
        torch.testing.assert_close(found.gradients[name], gradient, rtol=1e-3, atol=1e-4 * largest, msg=name)
    for name, value in expected.buffers.items():
        torch.testing.assert_close(found.buffers[name], value, rtol=1e-4, atol=1e-5, msg=name)
    assert (found.ranks == 1).mean() == (expected.ranks == 1).mean()
    assert (found.ranks == expected.ranks).mean() > 0.9


def test_a_layer_of_another_kind_is_refused() -> None:
    network = nn.Sequential(BatchNormAct2d(3))
    before: Callable[..., Any] = network[0].forward
    share_layers(network, ALONE)  # type: ignore[arg-type]
    assert network[0].forward == before
    with pytest.raises(UsageError, match="--devices 2: 0 is a BatchNormAct2d, which processes cannot share"):
        share_layers(network, Processes(0, 2))  # type: ignore[arg-type]
