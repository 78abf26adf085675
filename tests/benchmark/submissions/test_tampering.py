"""Every method of every class that a run uses is watched, and sound training changes none of them."""

import copy
from collections.abc import Callable
from types import FunctionType
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torchvision.models.resnet import BasicBlock, ResNet

from benchmark.recipe.schema import Recipe
from benchmark.submissions import child
from benchmark.submissions.tampering import changed, snapshot
from benchmark.training import losses, optimisers
from benchmark.training.model import new_network
from models import image_encoders
from models.network import Network
from tests.benchmark.submissions.conftest import Verdict
from tests.benchmark.submissions.sources import source

child._warm_up()


@pytest.fixture(scope="module")
def used(tiny_config: Recipe) -> set[type]:
    """Classes of all modules and optimisers that a recipe can name, and their bases."""
    kinds: set[type] = set()
    for encoder in image_encoders.names():
        model = tiny_config.model.model_copy(update={"image_encoder": encoder})
        network = new_network("tirg", model, ["make it red"], spatial=True, seed=0)
        kinds |= {kind for module in network.modules() for kind in type(module).__mro__}
    for name in optimisers.names():
        optimiser = optimisers.make_optimiser(network, tiny_config.training.model_copy(update={"optimiser": name}))
        kinds |= set(type(optimiser).__mro__)
    return {
        kind for kind in kinds if kind.__module__.partition(".")[0] in ("torch", "torchvision", "models", "benchmark")
    }


def test_every_method_that_a_run_uses_is_watched(used: set[type]) -> None:
    assert {nn.Conv2d, nn.Linear, BasicBlock, nn.Module, Network, torch.optim.SGD, torch.optim.Optimizer} <= used
    watched = snapshot().members
    methods = [(kind, name) for kind in used for name, value in vars(kind).items() if isinstance(value, FunctionType)]
    assert len(methods) > 200
    assert [(kind, name) for kind, name in methods if name not in watched[kind]] == []


def other(*arguments: object, **options: object) -> None:
    """Takes the place of a method."""


CHANGES: dict[str, tuple[Any, str, str]] = {
    "an optimiser": (torch.optim.SGD, "step", "torch.optim.sgd.SGD.step"),
    "an optimiser's base": (torch.optim.Optimizer, "zero_grad", "torch.optim.optimizer.Optimizer.zero_grad"),
    "an optimiser that inherits its step": (torch.optim.AdamW, "step", "torch.optim.adamw.AdamW.step"),
    "a layer that inherits its call": (nn.Linear, "__call__", "torch.nn.modules.linear.Linear.__call__"),
    "a layer": (nn.Conv2d, "forward", "torch.nn.modules.conv.Conv2d.forward"),
    "a layer's base": (nn.Module, "__call__", "torch.nn.modules.module.Module.__call__"),
    "a block of torchvision": (BasicBlock, "forward", "torchvision.models.resnet.BasicBlock.forward"),
    "a network of torchvision": (ResNet, "_forward_impl", "torchvision.models.resnet.ResNet._forward_impl"),
    "a tensor": (torch.Tensor, "backward", "torch.Tensor.backward"),
    "a loss": (nn.functional, "cross_entropy", "torch.nn.functional.cross_entropy"),
    "a function of torch": (torch, "manual_seed", "torch.manual_seed"),
    "the network": (Network, "embed_queries", "models.network.Network.embed_queries"),
    "a property": (Recipe, "hash", "benchmark.recipe.schema.Recipe.hash"),
    "a constant of ours": (child, "_USED", "benchmark.submissions.child._USED"),
}


def test_a_replaced_part_of_a_registry_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot()
    for registry, part in ((losses.registry._losses, "sample_similarity"), (optimisers.registry._optimisers, "muon")):
        with monkeypatch.context() as patch:
            patch.setitem(registry._parts, part, other)
            assert [name.rpartition("[")[2] for name in changed(before)] == [f"{part!r}]"]
        with monkeypatch.context() as patch:
            patch.setitem(registry._parts, "further", other)
            assert changed(before) == []


@pytest.mark.parametrize("name", CHANGES)
def test_a_replaced_function_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, attribute, expected = CHANGES[name]
    before = snapshot()
    assert changed(before) == []
    monkeypatch.setattr(place, attribute, other)
    assert changed(before) == [expected]
    monkeypatch.undo()
    assert changed(before) == []


def test_a_class_with_another_base_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(nn.Module):
        pass

    class Kind(nn.Linear):
        pass

    Kind.__module__, Kind.__qualname__ = "torch.nn", "Kind"
    monkeypatch.setattr(nn, "Kind", Kind, raising=False)
    before = snapshot()
    assert changed(before) == []
    Kind.__bases__ = (nn.Linear, Other)
    assert changed(before) == ["torch.nn.Kind.__mro__"]


def test_a_deleted_method_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot()
    monkeypatch.delattr(nn.Conv2d, "forward")
    assert "torch.nn.modules.conv.Conv2d.forward" in changed(before)


@pytest.mark.parametrize("part", ["__code__", "__defaults__"])
def test_a_function_that_is_changed_inside_is_named(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot()
    new = (1.0,) if part == "__defaults__" else copy.copy(other.__code__)
    monkeypatch.setattr(nn.Conv2d.forward, part, new)
    assert changed(before) == ["torch.nn.modules.conv.Conv2d.forward"]


@pytest.mark.parametrize(
    "register",
    [
        nn.modules.module.register_module_forward_hook,
        nn.modules.module.register_module_full_backward_pre_hook,
        register_optimizer_step_pre_hook,
    ],
)
def test_a_hook_in_every_module_is_named(register: Callable[..., Any]) -> None:
    before = snapshot()
    handle = register(other)
    try:
        assert any("_global_" in name for name in changed(before))
    finally:
        handle.remove()
    assert changed(before) == []


def test_a_submission_that_changes_a_layer_is_refused(verdict: Verdict) -> None:
    assert "it changed torch.nn.modules.conv.Conv2d.forward" in verdict(
        source(before="nn.Conv2d.forward = lambda self, images: images")
    )
