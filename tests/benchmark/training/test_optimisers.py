"""Which parameters each optimiser moves, at what rate, and which of them it decays; and the schedule of the rate."""

import copy

import pytest
import torch
from torch import nn

from benchmark.errors import BenchmarkError, UsageError
from benchmark.recipe.schema import Recipe, TrainingRecipe
from benchmark.training import losses, optimisers
from benchmark.training.model import new_network
from benchmark.training.optimisers import make_optimiser
from benchmark.training.optimisers.groups import layer_weights
from benchmark.training.optimisers.muon import Muon
from benchmark.training.parts import require_parts
from benchmark.training.schedule import schedule
from models.network import Network


def config_of(**changes: object) -> TrainingRecipe:
    values = {
        "steps": 100, "sources": 2, "modifications": 2, "optimiser": "adamw", "learning_rate": 1.0, "weight_decay": 0.1,
        "schedule": "cosine", "group_size": "batch", "precision": "fp32",
    }  # fmt: skip
    return TrainingRecipe.model_validate(values | changes)


def network_of(config: Recipe, composer: str = "tirg") -> Network:
    return new_network(composer, config.model, ["add circle"], spatial=True, seed=0)


def test_schedules_follow_their_definitions() -> None:
    cosine = config_of(warmup=0.1)
    assert schedule(cosine, 0) == pytest.approx(1 / 11)
    assert schedule(cosine, 9) == pytest.approx(10 / 11)
    assert schedule(cosine, 10) == 1
    assert schedule(cosine, 55) == pytest.approx(0.5)
    assert 0 < schedule(cosine, 99) < 0.001
    assert {schedule(config_of(schedule="constant"), step) for step in range(100)} == {1.0}
    steps = config_of(schedule="steps", decay=0.1, decay_every=40)
    assert [schedule(steps, step) for step in (0, 39, 40, 80)] == pytest.approx([1, 1, 0.1, 0.01])


@pytest.mark.parametrize("optimiser", optimisers.names())
def test_every_parameter_is_trained_once_and_the_encoder_at_its_own_rate(optimiser: str, tiny_config: Recipe) -> None:
    config = config_of(optimiser=optimiser, encoder_factor=0.1, muon_lr=0.5, scale_factor=3)
    network = network_of(tiny_config)
    groups = make_optimiser(network, config).param_groups
    tables = {id(parameter) for name, parameter in network.named_parameters() if name.endswith("gates")}
    assert tables
    listed = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(listed) == sorted(id(parameter) for parameter in network.parameters())
    for group in groups:
        for parameter in group["params"]:
            in_encoder = any(parameter is each for each in network.image_encoder.parameters())
            in_composer = any(parameter is each for each in network.composer.parameters())
            # All else that TIRG and the encoder have of two dimensions and more are convolutions and linear layers.
            is_matrix = optimiser == "muon" and parameter.ndim > 1 and (in_encoder or in_composer)
            is_matrix = is_matrix and id(parameter) not in tables
            expected = 3 if parameter is network.scale else (0.1 if in_encoder else 1.0) * (0.5 if is_matrix else 1.0)
            assert group["factor"] == pytest.approx(expected)
            assert group["orthogonal"] == is_matrix


@pytest.mark.parametrize("optimiser", optimisers.names())
def test_weight_matrices_of_layers_are_decayed_and_nothing_else(optimiser: str, tiny_config: Recipe) -> None:
    """Written out by name for a network of every kind of parameter; SGD decays all, as google/tirg does."""
    network = network_of(tiny_config)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = make_optimiser(network, config_of(optimiser=optimiser)).param_groups
    decayed = {names[id(each)] for group in groups if group["weight_decay"] > 0 for each in group["params"]}
    if optimiser == "sgd":
        assert decayed == set(names.values())
        return
    branches = {
        f"composer.{branch}.{layer}.weight"
        for branch in ("gate", "residual")
        for layer in ("image_layer.1", "text_layer.1", "output_layer")
    }
    assert decayed == branches | {
        "image_encoder.conv1.weight",
        *(f"image_encoder.layer{n}.{part}.weight" for n in (1, 2) for part in ("conv1", "conv2", "downsample.0")),
        "text_encoder.lstm.weight_ih_l0",
        "text_encoder.lstm.weight_hh_l0",
        "text_encoder.output_layer.1.weight",
        "head.weight",
    }


def test_layers_of_a_composer_of_any_kind_are_found() -> None:
    layers = nn.ModuleDict({
        "attention": nn.MultiheadAttention(4, 2),
        "bilinear": nn.Bilinear(2, 3, 4),
        "gru": nn.GRU(3, 4),
        "line": nn.Conv1d(2, 3, 3),
        "embedding": nn.Embedding(5, 4),
        "norm": nn.LayerNorm((3, 4)),
    })  # fmt: skip
    layers.register_parameter("own", nn.Parameter(torch.ones(3, 4)))
    found = layer_weights(layers)
    assert {name for name, parameter in layers.named_parameters() if id(parameter) in found} == {
        "attention.in_proj_weight", "attention.out_proj.weight", "bilinear.weight", "gru.weight_ih_l0",
        "gru.weight_hh_l0", "line.weight",
    }  # fmt: skip


@pytest.mark.parametrize("optimiser", optimisers.names())
def test_frozen_parameters_are_left_out(optimiser: str, tiny_config: Recipe) -> None:
    network = network_of(tiny_config)
    network.image_encoder.requires_grad_(False)
    groups = make_optimiser(network, config_of(optimiser=optimiser)).param_groups
    assert all(parameter.requires_grad for group in groups for parameter in group["params"])


@pytest.mark.parametrize("optimiser", optimisers.names())
def test_a_closures_gradients_are_those_of_its_own_step(optimiser: str, tiny_config: Recipe) -> None:
    """As torch promises: step(closure) is zero_grad, closure, step, and returns the loss of the closure."""
    plain = network_of(tiny_config, "concat")
    closed = copy.deepcopy(plain)
    config = config_of(optimiser=optimiser, learning_rate=1e-2)
    ours, theirs = make_optimiser(plain, config), make_optimiser(closed, config)

    def loss_of(network: Network) -> torch.Tensor:
        return sum((parameter**2).sum() for parameter in network.parameters())  # type: ignore[return-value]

    def closure() -> float:
        theirs.zero_grad()
        loss = loss_of(closed)
        loss.backward()
        return loss.item()

    for _ in range(3):
        ours.zero_grad()
        loss = loss_of(plain)
        loss.backward()
        ours.step()
        assert theirs.step(closure) == loss.item()
    for one, other in zip(plain.parameters(), closed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_muon_is_one_of_them_and_is_adamw_for_the_rest(tiny_config: Recipe) -> None:
    assert isinstance(make_optimiser(network_of(tiny_config), config_of(optimiser="muon")), Muon)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.image_encoder", "resnet19", "model.image_encoder: unknown image encoder 'resnet19': did you mean"),
        ("model.text_encoder", "bert", "model.text_encoder: unknown text encoder 'bert': there are"),
        ("training.optimiser", "adam", "training.optimiser: unknown optimiser 'adam': did you mean adamw"),
        ("training.loss", "hinge", "training.loss: unknown loss 'hinge': there are random_triplets, sample_sim"),
    ],
)
def test_unknown_parts_of_a_recipe_are_named(key: str, value: str, message: str, tiny_config: Recipe) -> None:
    part, name = key.split(".")
    changed = getattr(tiny_config, part).model_copy(update={name: value})
    with pytest.raises(UsageError, match=message) as caught:
        require_parts(tiny_config.model_copy(update={part: changed}))
    assert "\n" not in str(caught.value)
    require_parts(tiny_config)


def test_weights_that_cannot_be_read_are_named_before_any_data_is_read(tiny_config: Recipe) -> None:
    for update, message in (
        ({"pretrained": "gone.pth"}, r"gone\.pth: cannot be read"),
        ({"text_encoder": "sentence_file", "text_weights": "gone.npz"}, r"gone\.npz: cannot be read"),
        ({"text_encoder": "sentence_file"}, r"set model\.text_weights=FILE"),
    ):
        changed = tiny_config.model_copy(update={"model": tiny_config.model.model_copy(update=update)})
        with pytest.raises(BenchmarkError, match=message):
            require_parts(changed)


def test_the_papers_loss_is_the_default(tiny_config: Recipe) -> None:
    """Through the registry: the recipe's K and M reach the loss."""
    from benchmark.training.losses.sample_similarity import soft_triplet_loss

    generator = torch.Generator().manual_seed(0)
    query, target = torch.randn(2, 4, 3, generator=generator)
    config = config_of(group_size=2, repeats="all")
    mask = torch.eye(4, dtype=torch.bool)
    found = losses.batch_loss(query, target, positive_mask=mask, generator=generator, config=config)
    torch.testing.assert_close(found, soft_triplet_loss(query, target))
    assert "sample_similarity" in losses.names()
    assert tiny_config.training.group_size == "batch"
