"""Variants of composers: each keeps the contract, is found by name, and is not among the composers."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

import models
from benchmark.submissions import contract
from models import TextFeatures
from models.ablations.tirg import GateOnly, ResidualOnly
from models.composers.tirg import Tirg
from models.errors import RegistryError
from models.registry import get, register, register_variant, variants

Batch = Callable[..., tuple[Tensor, TextFeatures]]
Array = npt.NDArray[np.float64]

both_modes = pytest.mark.parametrize("spatial", [True, False], ids=["map", "pooled"])
both_variants = pytest.mark.parametrize("kind", [GateOnly, ResidualOnly])


def settled(kind: type[Tirg], batch: Batch, *, spatial: bool) -> Tirg:
    """In double precision and eval mode, with statistics of a batch and with w that are not 1 and 10."""
    torch.manual_seed(0)
    composer = kind(8, 6, spatial=spatial).double()
    composer(*batch(spatial=spatial, rows=16, seed=9, dtype=torch.float64))
    with torch.no_grad():
        composer.weights.mul_(0.7)
    return composer.eval()


def array(values: Tensor) -> Array:
    return np.asarray(values.detach())


def normalised(norm: nn.Module, rows: Array) -> Array:
    mean, var, weight, bias = map(array, (norm.running_mean, norm.running_var, norm.weight, norm.bias))
    return np.array([(row - mean) / np.sqrt(var + norm.eps) * weight + bias for row in rows])


def affine(layer: nn.Linear, rows: Array) -> Array:
    return np.array([array(layer.weight) @ row + array(layer.bias) for row in rows])


def test_gate_only_is_its_equation(batch: Batch) -> None:
    composer = settled(GateOnly, batch, spatial=False)
    image, text = batch(spatial=False, dtype=torch.float64)
    norm, _, layer = composer.gate.layers
    gate = affine(layer, np.maximum(normalised(norm, np.hstack((array(image), array(text.pooled)))), 0))
    expected = 0.7 / (1 + np.exp(-gate)) * array(image)
    np.testing.assert_allclose(array(composer(image, text)), expected, rtol=1e-9, atol=1e-9)


def test_residual_only_is_its_equation(batch: Batch) -> None:
    composer = settled(ResidualOnly, batch, spatial=False)
    image, text = batch(spatial=False, dtype=torch.float64)
    norm, _, first, _, second = composer.residual.layers
    joint = normalised(norm, np.hstack((array(image), array(text.pooled))))
    expected = 7 * affine(second, np.maximum(affine(first, np.maximum(joint, 0)), 0))
    np.testing.assert_allclose(array(composer(image, text)), expected, rtol=1e-9, atol=1e-9)


@both_modes
@both_variants
def test_it_is_tirg_with_the_other_weight_at_zero(kind: type[Tirg], spatial: bool, batch: Batch) -> None:
    """For a seed, its branch starts as in TIRG."""
    variant, full = settled(kind, batch, spatial=spatial), settled(Tirg, batch, spatial=spatial)
    with torch.no_grad():
        full.weights[1 if kind is GateOnly else 0] = 0
    image, text = batch(spatial=spatial, dtype=torch.float64)
    torch.testing.assert_close(variant(image, text), full(image, text), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", variants())
def test_every_variant_keeps_the_contract(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "cost", lambda _: "not measured here")
    assert [answer.problem for answer in contract.examine(get(name)) if answer.problem] == []


@pytest.mark.parametrize("name", variants())
def test_a_variant_is_found_but_is_not_among_the_composers(name: str) -> None:
    assert get(name).info.name == name
    assert name not in models.names()
    assert type(models.create(name, 8, 6, spatial=False)) is get(name)


def test_a_variant_and_a_composer_cannot_share_a_name() -> None:
    with pytest.raises(RegistryError, match=r"the name 'tirg' belongs to models.composers.tirg.Tirg"):
        register_variant(type("Other", (Tirg,), {}))
    with pytest.raises(RegistryError, match=r"the name 'tirg_gate_only' belongs to models.ablations.tirg.GateOnly"):
        register(type("Other", (GateOnly,), {}))
    assert get("tirg") is Tirg
