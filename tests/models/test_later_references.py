"""The composers that are not in the paper on TIRG, each against its equation in NumPy, one row, one cell at a time."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import models
from models import Composer, TextFeatures
from models.registry import get
from tests.models.test_references import REFERENCES, SIZES, Batch, assert_equals_reference, cells_of

Array = NDArray[np.float64]
Cells = dict[tuple[int, ...], Array]
"""The features (C,) of every position of one row's map, () for a vector."""
LATER: dict[str, Callable[..., Tensor]] = {}


def reference(function: Callable[[Composer, Cells, Array, Array], Cells]) -> Callable[..., Cells]:
    """Register a reference of one row: (composer, cells, text (T,), words (L, T) without padding) -> composed cells."""

    def every_row(composer: Composer, image: Tensor, text: TextFeatures) -> Tensor:
        composed = torch.empty_like(image)
        for row in range(len(image)):
            cells = {at: cell.numpy()[0] for at, cell in cells_of(image[row : row + 1])}
            words = text.tokens[row].numpy()[: int(text.mask[row].sum())]
            for at, cell in function(composer, cells, text.pooled[row].numpy(), words).items():
                composed[row, :, *at] = torch.from_numpy(cell)
        return composed

    LATER[function.__name__] = every_row
    return function


def relu(x: Array) -> Array:
    return np.where(x > 0, x, 0)


def leaky(x: Array) -> Array:
    return np.where(x > 0, x, 0.01 * x)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    return np.exp(x) / np.exp(x).sum()


def linear(layer: nn.Linear, *parts: Array) -> Array:
    """W [part; part; ...] + b."""
    joined = np.concatenate(parts)
    y: Array = np.array([(row * joined).sum() for row in layer.weight.numpy()])
    return y if layer.bias is None else y + layer.bias.numpy()


def joined(image_layer: nn.Linear, text_layer: nn.Linear, x: Array, t: Array) -> Array:
    """W [x; t] + b, where W's columns are kept in two layers."""
    weight = np.concatenate((image_layer.weight.numpy(), text_layer.weight.numpy()), axis=1)
    y: Array = weight.dot(np.concatenate((x, t))) + image_layer.bias.numpy()
    return y


def perceptron(layers: nn.Sequential, *parts: Array) -> Array:
    """Two linear layers with a ReLU between."""
    first, second = (layer for layer in layers if isinstance(layer, nn.Linear))
    return linear(second, relu(linear(first, *parts)))


def batch_norm(norm: nn.Module, x: Array) -> Array:
    y: Array = (x - norm.running_mean.numpy()) / np.sqrt(norm.running_var.numpy() + norm.eps)
    return y * norm.weight.numpy() + norm.bias.numpy()


def layer_norm(norm: nn.Module, x: Array) -> Array:
    y: Array = (x - x.sum() / x.size) / np.sqrt(((x - x.mean()) ** 2).sum() / x.size + norm.eps)
    return y * norm.weight.numpy() + norm.bias.numpy()


def attention(query: Array, keys: list[Array], values: list[Array], *, heads: int = 1) -> Array:
    """One query's softmax-weighted mean of the values, in each of the heads for itself."""
    of_heads = []
    for mine in np.split(np.arange(query.size), heads):
        weights = softmax(np.array([query[mine] @ key[mine] for key in keys]) / math.sqrt(len(mine)))
        of_heads.append(sum(weight * value[mine] for weight, value in zip(weights, values, strict=True)))
    return np.concatenate(of_heads)


def place(at: tuple[int, ...], cells: Cells) -> Array:
    """A cell's coordinates, each from -1 to 1; empty for a vector."""
    last = np.array(list(cells)).max(axis=0)
    return np.array([2 * i / max(n, 1) - 1 for i, n in zip(at, last, strict=True)])


@reference
def cellwise(composer: Any, cells: Cells, t: Array, _words: Array) -> Cells:
    s1, b1, s2, b2 = np.split(linear(composer.modulation, t), 4)
    composed = {}
    for at, x in cells.items():
        hidden = relu((1 + s1) * linear(composer.first_layer, x, place(at, cells)) + b1)
        hidden = relu((1 + s2) * linear(composer.second_layer, hidden) + b2)
        composed[at] = relu(x + linear(composer.output_layer, hidden))
    return composed


@reference
def cell_operator(composer: Any, cells: Cells, t: Array, _words: Array) -> Cells:
    s, b = np.split(linear(composer.modulation, t), 2)
    u, v = (linear(layer, t).reshape(s.size, -1) for layer in (composer.to_u, composer.to_v))
    composed = {}
    for at, x in cells.items():
        hidden = relu((1 + s) * linear(composer.image_layer, x, place(at, cells)) + b)
        operator = np.eye(s.size) + sigmoid(linear(composer.weight, hidden)) * (u @ v.T)
        composed[at] = relu(operator @ x)
    return composed


@reference
def depth_operator(composer: Any, cells: Cells, t: Array, _words: Array) -> Cells:
    u, v = (linear(layer, t).reshape(-1, 32) for layer in (composer.to_u, composer.to_v))
    return {at: relu(x + sum(u[:, k] * (v[:, k] @ x) for k in range(32))) for at, x in cells.items()}


@reference
def rtic(composer: Any, cells: Cells, t: Array, _words: Array) -> Cells:
    composed = {}
    t = leaky(batch_norm(composer.text_norm, t))
    for at, x in cells.items():
        f = joined(composer.image_layer, composer.text_layer, leaky(batch_norm(composer.image_norm, x)), t)
        for first, _, second, _, third in composer.blocks:
            f = f + linear(third, leaky(linear(second, leaky(linear(first, f)))))
        first, _, second = composer.gate
        gate = sigmoid(linear(second, leaky(linear(first, f))))
        composed[at] = gate * x + (1 - gate) * f
    return composed


@reference
def combiner(composer: Any, cells: Cells, t: Array, _words: Array) -> Cells:
    t = linear(composer.to_image, t)
    read = relu(linear(composer.text_layer[0], t))
    composed = {}
    for at, x in cells.items():
        seen = relu(linear(composer.image_layer[0], x))
        changed, share = (
            linear(part.output_layer, relu(joined(part.image_layer, part.text_layer, seen, read)))
            for part in (composer.sum, composer.mixture)
        )
        composed[at] = changed + sigmoid(share) * t + (1 - sigmoid(share)) * x
    return composed


def positions(words: Array) -> Array:
    encoded = words.copy()
    for i, k in np.ndindex(*words.shape):
        angle = i / 10_000 ** (2 * (k // 2) / words.shape[1])
        encoded[i, k] += math.cos(angle) if k % 2 else math.sin(angle)
    return encoded


@reference
def cross_attention(composer: Any, cells: Cells, t: Array, words: Array) -> Cells:
    composed = {}
    for at, x in cells.items():
        for block in composer.blocks:
            query = layer_norm(block.norm, x)
            if at:
                query = query + linear(block.place, place(at, cells))
            read = [t, *positions(words)]
            keys, values = ([linear(layer, word) for word in read] for layer in (block.key, block.value))
            x = x + linear(block.attended, attention(linear(block.query, query), keys, values, heads=8))
            x = x + perceptron(block.perceptron, layer_norm(block.perceptron[0], x))
        composed[at] = x
    return composed


@reference
def maaf(composer: Any, cells: Cells, t: Array, words: Array) -> Cells:
    sequence = [*cells.values(), *(linear(composer.to_image, word) for word in (t, *words))]
    normed = [layer_norm(composer.norm, member) for member in sequence]
    keys, values = ([linear(layer, member) for member in normed] for layer in (composer.key, composer.value))
    for number, member in enumerate(normed):
        attended = attention(linear(composer.query, member), keys, values, heads=8)
        sequence[number] = sequence[number] + linear(composer.attended, attended)
    norm, *layers = composer.perceptron
    sequence = [member + perceptron(layers, layer_norm(norm, member)) for member in sequence]
    mean = np.mean(sequence[len(cells) :], axis=0)
    return {at: member + mean for at, member in zip(cells, sequence, strict=False)}


@reference
def cosmo(composer: Any, cells: Cells, t: Array, _words: Array) -> Cells:
    stacked = np.array(list(cells.values()))
    axis = None if () in cells else 0
    mean, std = stacked.mean(axis), np.sqrt(((stacked - stacked.mean(axis)) ** 2).mean(axis) + 1e-5)
    content = [(x - mean) / std for x in stacked]
    for block in composer.blocks:
        joint = [joined(block.image_layer, block.text_layer, x, t) for x in content]
        seen = joint
        if () not in cells:
            keys, searched = [linear(block.key, v) for v in joint], linear(block.searched, t)
            by_text = attention(searched, content, joint)
            seen = [attention(linear(block.query, v), keys, joint) + by_text for v in joint]
        content = [x + block.weight.item() * linear(block.output_layer, v) for x, v in zip(content, seen, strict=True)]
    g1, g2 = np.split(sigmoid(linear(composer.gates, t)), 2)
    gamma, beta = np.split(linear(composer.style, t), 2)
    return {at: (g1 * std + gamma) * x + g2 * mean + beta for at, x in zip(cells, content, strict=True)}


@reference
def amc(composer: Any, cells: Cells, t: Array, _words: Array) -> Cells:
    x = list(cells.values())
    for layer in composer.layers:
        routes = softmax(perceptron(layer.router, np.mean(x, axis=0), t))
        scale, shift = np.split(linear(layer.modulation, t), 2)
        joint = [joined(layer.image_layer, layer.text_layer, cell, t) for cell in x]
        if () in cells:
            attended = joint
        else:
            keys = [linear(layer.key, v) for v in joint]
            attended = [attention(linear(layer.query, v), keys, joint) for v in joint]
        experts = [
            (cell, (1 + scale) * cell + shift, cell + linear(layer.attended, v))
            for cell, v in zip(x, attended, strict=True)
        ]
        x = [routes @ np.array(of_cell) for of_cell in experts]
    return dict(zip(cells, x, strict=True))


@reference
def lgli(composer: Any, cells: Cells, t: Array, _words: Array) -> Cells:
    weight = perceptron(composer.weight, t)
    stacked = np.array(list(cells.values()))
    if () in cells:
        return {(): stacked[0] + weight * (stacked[0] - stacked.mean()) / (stacked.std() + 1e-5)}
    grid = nn.functional.interpolate(
        torch.from_numpy(weight).reshape(1, -1, 4, 4),
        size=tuple(int(i) + 1 for i in np.array(list(cells)).max(axis=0)),
        mode="bilinear",
        align_corners=True,
    )[0].numpy()
    mean, std = stacked.mean(axis=0), stacked.std(axis=0)
    return {at: x + grid[:, *at] * (x - mean) / (std + 1e-5) for at, x in cells.items()}


@reference
def val(composer: Any, cells: Cells, t: Array, _words: Array) -> Cells:
    a, b = composer.gated_weight.item(), composer.attended_weight.item()
    joint = {at: joined(composer.image_layer, composer.text_layer, x, t) for at, x in cells.items()}
    gate = sigmoid(linear(composer.channel_gate, np.mean(list(joint.values()), axis=0)))
    composed = {}
    for at, x in cells.items():
        if not at:
            return {at: a * gate * x + b * linear(composer.attended, linear(composer.value, joint[at]))}
        taps, by_cell = composer.cell_gate.weight.numpy()[0, 0], composer.cell_gate.bias.item()
        for other, v in joint.items():
            row, column = np.subtract(other, at) + 3
            if 0 <= row < 7 and 0 <= column < 7:
                by_cell += taps[row, column] * v.mean()
        keys, values = ([linear(layer, v) for v in joint.values()] for layer in (composer.key, composer.value))
        attended = attention(linear(composer.query, joint[at]), keys, values, heads=2)
        composed[at] = a * gate * sigmoid(np.array(by_cell)) * x + b * linear(composer.attended, attended)
    return composed


@reference
def compose_ae(composer: Any, cells: Cells, t: Array, _words: Array) -> Cells:
    angle, words = perceptron(composer.angle, t), linear(composer.text_layer, t)
    composed = {}
    for at, x in cells.items():
        z = perceptron(composer.image_layer, x)
        rotated = z * np.exp(1j * angle)
        stacked = np.array([rotated.real, rotated.imag, x, words, z])
        filters, padded = composer.filters, np.pad(stacked, ((0, 0), (1, 1)))
        filtered = [
            [(taps * padded[:, i : i + 3]).sum() + bias for i in range(x.size)]
            for taps, bias in zip(filters.weight.numpy(), filters.bias.numpy(), strict=True)
        ]
        maxima = [max(window) for row in filtered for window in np.split(relu(np.array(row)), composer.windows)]
        rho = perceptron(composer.rho, rotated.real, rotated.imag)
        of_rho, of_convolution = composer.weights.tolist()
        composed[at] = of_rho * rho + of_convolution * linear(composer.output_layer, np.array(maxima))
    return composed


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", sorted(LATER))
def test_equals_its_reference(name: str, size: tuple[int, int] | None, batch: Batch) -> None:
    assert_equals_reference(LATER[name], name, size, batch)


def test_every_built_in_composer_has_a_reference() -> None:
    built_in = {name for name in models.names() if get(name).__module__.startswith("models.")}
    assert built_in == set(REFERENCES) | set(LATER)
