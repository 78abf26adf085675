"""Each composer against a slow version of its equation, written with loops and other operations.

The composers that are not in the paper on TIRG are in test_later_references.py.
"""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import models
from models import Composer, TextFeatures
from models.composers.parameter_hashing import hash_weights

Batch = Callable[..., tuple[Tensor, TextFeatures]]
Reference = Callable[..., Tensor]
REFERENCES: dict[str, Reference] = {}
SIZES = [None, (3, 4), (6, 5), (1, 1)]


def reference(function: Reference) -> Reference:
    REFERENCES[function.__name__] = function
    return function


def assert_equals_reference(function: Reference, name: str, size: tuple[int, int] | None, batch: Batch) -> None:
    spatial = size is not None
    shape = {"size": size} if size else {}
    torch.manual_seed(0)
    composer = models.create(name, 8, 6, spatial=spatial).double()
    for parameter in composer.parameters():
        if not parameter.any():  # as where a composer starts as the identity
            nn.init.normal_(parameter)
    for _ in range(3):
        composer(*batch(spatial=spatial, rows=16, seed=3, dtype=torch.float64, **shape))
    composer.eval()
    image, text = batch(spatial=spatial, dtype=torch.float64, **shape)
    with torch.no_grad():
        expected = function(composer, image, text)
        torch.testing.assert_close(composer(image, text), expected, rtol=1e-9, atol=1e-9)


def cells_of(image: Tensor) -> list[tuple[tuple[int, ...], Tensor]]:
    """Every position of the map, () for a vector, and its features (B, C)."""
    return [(at, image[:, :, *at]) for at in product(*(range(side) for side in image.shape[2:]))]


def in_every_cell(vector: Tensor, image: Tensor) -> Tensor:
    composed = torch.empty_like(image)
    for at, _ in cells_of(image):
        composed[:, :, *at] = vector
    return composed


def normalised(norm: nn.Module, x: Tensor) -> Tensor:
    """Batch normalisation in eval mode, of (B, C, ...)."""
    shape = (-1,) + (1,) * (x.ndim - 2)
    y = (x - norm.running_mean.view(shape)) / (norm.running_var.view(shape) + norm.eps).sqrt()
    return y * norm.weight.view(shape) + norm.bias.view(shape) if norm.affine else y


def convolved(weight: Tensor, bias: Tensor | float, padded: Tensor) -> Tensor:
    """3x3 convolution, tap by tap, of a map that is already padded by one."""
    height, width = padded.shape[2] - 2, padded.shape[3] - 2
    total = torch.zeros(len(padded), len(weight), height, width, dtype=padded.dtype)
    for row, column in product(range(3), range(3)):
        window = padded[:, :, row : row + height, column : column + width]
        total += torch.einsum("oc,bchw->bohw", weight[:, :, row, column], window)
    return total + (bias[:, None, None] if isinstance(bias, Tensor) else bias)


def text_in_every_cell_branch(branch: nn.Module, output: nn.Conv2d, image: Tensor, pooled: Tensor) -> Tensor:
    """Conv(ReLU(Conv(BN[x; t]))): one convolution of image and text joined, the text tiled over the padding too."""
    image_norm, image_conv = branch.image_layer
    text_norm, text_linear = branch.text_layer
    padded_image = functional.pad(normalised(image_norm, image), (1, 1, 1, 1))
    words = normalised(text_norm, pooled)[:, :, None, None]
    padded = torch.cat((padded_image, words.expand(-1, -1, *padded_image.shape[2:])), dim=1)
    text_taps = text_linear.weight[:, :, None, None].expand(-1, -1, 3, 3) / 9
    weight = torch.cat((image_conv.weight, text_taps), dim=1)
    hidden = convolved(weight, image_conv.bias, padded).clamp(min=0)
    return convolved(output.weight, output.bias, functional.pad(hidden, (1, 1, 1, 1)))


def affine(layer: nn.Linear, x: Tensor) -> Tensor:
    return torch.einsum("oi,bi->bo", layer.weight, x) + (0 if layer.bias is None else layer.bias)


@reference
def image_only(_composer: Composer, image: Tensor, _text: TextFeatures) -> Tensor:
    return image.clone()


@reference
def text_only(composer: Composer, image: Tensor, text: TextFeatures) -> Tensor:
    return in_every_cell(affine(composer.to_image, text.pooled), image)


@reference
def concat(composer: Composer, image: Tensor, text: TextFeatures) -> Tensor:
    vector = image.flatten(2).sum(dim=2) / image[0, 0].numel() if image.ndim == 4 else image
    first_norm, _, first, second_norm, _, _, second = composer.layers
    hidden = affine(first, normalised(first_norm, torch.cat((vector, text.pooled), dim=1)).clamp(min=0))
    query = affine(second, normalised(second_norm, hidden).clamp(min=0))
    return in_every_cell(query, image) if image.ndim == 4 else query


@reference
def tirg(composer: Composer, image: Tensor, text: TextFeatures) -> Tensor:
    if image.ndim == 4:
        gate = text_in_every_cell_branch(composer.gate, composer.gate.output_layer, image, text.pooled)
        residual = text_in_every_cell_branch(composer.residual, composer.residual.output_layer, image, text.pooled)
    else:
        joint = torch.cat((image, text.pooled), dim=1)
        norm, _, layer = composer.gate.layers
        gate = affine(layer, normalised(norm, joint).clamp(min=0))
        norm, _, first, _, second = composer.residual.layers
        residual = affine(second, affine(first, normalised(norm, joint).clamp(min=0)).clamp(min=0))
    keep, add = composer.weights
    return keep * image / (1 + torch.exp(-gate)) + add * residual


@reference
def film(composer: Composer, image: Tensor, text: TextFeatures) -> Tensor:
    channels = image.shape[1]
    x = image if image.ndim == 4 else image[:, :, None, None]
    height, width = x.shape[2:]
    for number, block in enumerate(composer.blocks):
        s = torch.empty_like(x)
        for at, cell in cells_of(x):
            weight = block.input_layer.weight[:, :, 0, 0]
            if image.ndim == 4:
                row, column = (
                    -1 + 2 * place / max(side - 1, 1) for place, side in zip(at, (height, width), strict=True)
                )
                place = torch.tensor([[row, column]], dtype=x.dtype).expand(len(x), 2)
                cell = torch.cat((cell, place), dim=1)
            s[:, :, *at] = (cell @ weight.T + block.input_layer.bias).clamp(min=0)
        if image.ndim == 4:
            residual = convolved(block.residual_layer.weight, 0.0, functional.pad(s, (1, 1, 1, 1)))
        else:
            residual = (s[:, :, 0, 0] @ block.residual_layer.weight[:, :, 0, 0].T)[:, :, None, None]
        residual = normalised(block.norm, residual)
        for channel in range(channels):
            scale = composer.modulation.weight[2 * number * channels + channel], 2 * number * channels + channel
            shift = (
                composer.modulation.weight[(2 * number + 1) * channels + channel],
                (2 * number + 1) * channels + channel,
            )
            g, b = (text.pooled @ row + composer.modulation.bias[at] for row, at in (scale, shift))
            residual[:, channel] = (1 + g)[:, None, None] * residual[:, channel] + b[:, None, None]
        x = s + residual.clamp(min=0)
    return x if image.ndim == 4 else x[:, :, 0, 0]


@reference
def mrn(composer: Composer, image: Tensor, text: TextFeatures) -> Tensor:
    composed = torch.empty_like(image)
    for at, cell in cells_of(image):
        h = text.pooled
        for block in composer.blocks:
            inner, outer = block.image[0], block.image[2]
            seen = torch.tanh(affine(outer, torch.tanh(affine(inner, cell))))
            h = affine(block.shortcut, h) + torch.tanh(affine(block.query, h)) * seen
        composed[:, :, *at] = affine(composer.to_image, h)
    return composed


@reference
def attribute_as_operator(composer: Composer, image: Tensor, text: TextFeatures) -> Tensor:
    channels = image.shape[1]
    rank = composer.to_u.out_features // channels
    composed = torch.empty_like(image)
    for row, pooled in enumerate(text.pooled):
        u = composer.to_u.weight @ pooled + composer.to_u.bias
        v = composer.to_v.weight @ pooled + composer.to_v.bias
        operator = torch.eye(channels, dtype=image.dtype)
        for i, j, k in product(range(channels), range(channels), range(rank)):
            operator[i, j] += u[i * rank + k] * v[j * rank + k]
        for at, cell in cells_of(image):
            composed[row, :, *at] = (operator @ cell[row]).clamp(min=0)
    return composed


def splitmix64(number: int) -> int:
    """The generator's published step, on Python's unbounded integers."""
    mask = 2**64 - 1
    z = (number * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


@reference
def parameter_hashing(composer: Composer, image: Tensor, text: TextFeatures) -> Tensor:
    width, candidates = composer.image_layer.out_features, composer.to_candidates.out_features
    composed = torch.empty_like(image)
    for row, pooled in enumerate(text.pooled):
        p = composer.to_candidates.weight @ pooled + composer.to_candidates.bias
        weights = torch.empty(width, width, dtype=image.dtype)
        for m, n in product(range(width), range(width)):
            z = splitmix64(m * width + n + 1)
            weights[m, n] = p[(z >> 32) % candidates] * (-1 if z % 2 else 1)
        for at, cell in cells_of(image):
            x = composer.image_layer.weight @ cell[row] + composer.image_layer.bias
            hashed = (weights @ x).clamp(min=0)
            composed[row, :, *at] = composer.output_layer.weight @ hashed + composer.output_layer.bias
    return composed


def test_the_hash_is_splitmix64s_published_sequence() -> None:
    assert splitmix64(1) == 0xE220A8397B1DCDAF  # the first output for seed 0


def test_the_hash_spreads_evenly() -> None:
    buckets, signs = hash_weights(128, 1024)
    counts = torch.bincount(torch.from_numpy(buckets), minlength=1024).double()
    assert counts.mean() == 16
    assert counts.std() == pytest.approx(4, rel=0.15)  # binomial: the square root of 16
    assert abs(signs.sum()) < 4 * 128  # four standard deviations of 128 x 128 fair coins


@reference
def relationship(composer: Composer, image: Tensor, text: TextFeatures) -> Tensor:
    if image.ndim == 4:
        pooled = functional.interpolate(image, size=[min(side, 3) for side in image.shape[2:]], mode="area")
        height, width = pooled.shape[2:]
        objects = []
        for (row, column), cell in cells_of(pooled):
            place = [-1 + 2 * row / max(height - 1, 1), -1 + 2 * column / max(width - 1, 1)]
            objects.append(torch.cat((cell, torch.tensor([place], dtype=image.dtype).expand(len(cell), 2)), dim=1))
    else:
        objects = [image]
    weight = torch.cat((composer.first_object.weight, composer.second_object.weight, composer.words.weight), dim=1)
    linear = [layer for layer in composer.g.modules() if isinstance(layer, nn.Linear)]
    total = torch.zeros(len(image), weight.shape[0], dtype=image.dtype)
    for first, second in product(objects, objects):
        joint = torch.cat((first, second, text.pooled), dim=1)
        hidden = (joint @ weight.T + composer.first_object.bias).clamp(min=0)
        for layer in linear:
            hidden = affine(layer, hidden).clamp(min=0)
        total += hidden
    related = total / len(objects) ** 2
    *hidden_layers, last = [layer for layer in composer.f.modules() if isinstance(layer, nn.Linear)]
    for layer in hidden_layers:
        related = affine(layer, related).clamp(min=0)
    return in_every_cell(affine(last, related), image)


@reference
def show_and_tell(composer: Composer, image: Tensor, text: TextFeatures) -> Tensor:
    vector = image.mean(dim=(2, 3)) if image.ndim == 4 else image
    lengths = text.mask.sum(dim=1) + 1
    linear, norm = composer.to_word
    sequence = torch.cat((normalised(norm, affine(linear, vector))[:, None], text.tokens), dim=1)
    packed = nn.utils.rnn.pack_padded_sequence(sequence, lengths, batch_first=True, enforce_sorted=False)
    _, (last_state, _) = composer.lstm(packed)
    return in_every_cell(affine(composer.to_image, last_state[0]), image)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_equals_its_reference(name: str, size: tuple[int, int] | None, batch: Batch) -> None:
    assert_equals_reference(REFERENCES[name], name, size, batch)
