"""Losses of the composers' own, each against its equation, one row and one number at a time."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import models
from models import TextFeatures
from models.base import brings_auxiliary
from models.registry import get
from tests.models.conftest import CHANNELS, TEXT_WIDTH, Batch
from tests.models.test_later_references import LATER, Array, perceptron
from tests.models.test_references import SIZES, cells_of

OWN_LOSSES: dict[str, Callable[..., float]] = {}


def own_loss(function: Callable[..., float]) -> Callable[..., float]:
    OWN_LOSSES[function.__name__] = function
    return function


def rows_of(features: Tensor) -> list[list[Array]]:
    """The cells (C,) of each row; one of a vector."""
    return [[cell.numpy()[0] for _, cell in cells_of(features[row : row + 1])] for row in range(len(features))]


def mean_square(pairs: list[tuple[Array, Array]]) -> float:
    squares = [(a - b) ** 2 for one, other in pairs for a, b in zip(one, other, strict=True)]
    return float(sum(squares) / len(squares))


@own_loss
def compose_ae(composer: Any, composed: Tensor, image: Tensor, text: TextFeatures, target: Tensor) -> float:
    y, x, t = rows_of(composed), rows_of(image), [row.numpy() for row in text.pooled]
    cells = [
        (perceptron(composer.image_decoder, a), b)
        for ys, xs in zip(y, x, strict=True)
        for a, b in zip(ys, xs, strict=True)
    ]
    texts = [(perceptron(composer.text_decoder, sum(ys) / len(ys)), words) for ys, words in zip(y, t, strict=True)]
    conjugate = copy.deepcopy(composer)
    for part in conjugate.angle[-1].parameters():
        part.data = -part.data
    turned = [sum(cells) / len(cells) for cells in rows_of(LATER["compose_ae"](conjugate, target, text))]
    sources = [sum(cells) / len(cells) for cells in x]
    symmetry = 0.0
    for row, back in enumerate(turned):
        cosines = [float(back @ source) / math.hypot(*back) / math.hypot(*source) for source in sources]
        symmetry -= math.log(math.exp(16 * cosines[row]) / sum(math.exp(16 * cosine) for cosine in cosines))
    return 0.1 * mean_square(cells) + 0.1 * mean_square(texts) + 0.01 * symmetry / len(turned)


def made(name: str, size: tuple[int, int] | None, batch: Batch) -> tuple[Any, Tensor, TextFeatures, Tensor]:
    """A composer in double precision, and a batch in which two queries start from one image."""
    torch.manual_seed(3)
    composer = models.create(name, CHANNELS, TEXT_WIDTH, spatial=size is not None).double().eval()
    for parameter in composer.parameters():  # nothing starts at zero or one
        parameter.data += 0.1 * torch.randn_like(parameter)
    kind: dict[str, Any] = {"dtype": torch.float64, "spatial": size is not None, "size": size or (1, 1)}
    (image, text), (target, _) = (batch(seed=seed, **kind) for seed in (0, 1))
    image[3] = image[2]
    return composer, image, text._replace(mask=text.mask.bool()), target


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", sorted(OWN_LOSSES))
def test_equals_its_reference(name: str, size: tuple[int, int] | None, batch: Batch) -> None:
    composer, image, text, target = made(name, size, batch)
    with torch.no_grad():
        composed, own = composer.with_auxiliary(image, text, target)
        expected = OWN_LOSSES[name](composer, composed, image, text, target)
    assert own.item() == pytest.approx(expected, rel=1e-6)  # its softmax is in single precision


def test_the_rows_that_start_from_one_source_pull_nothing_apart(batch: Batch) -> None:
    """Where all rows are one, every gradient of the symmetry loss is zero: what is left reconstructs."""
    composer, image, text, target = made("compose_ae", None, batch)
    image, target = image[:1].expand(5, -1).clone().requires_grad_(), target[:1].expand(5, -1)
    text = TextFeatures(*(part[:1].expand(5, *part.shape[1:]) for part in text))
    own = composer.auxiliary(torch.zeros_like(image), image, text, target)
    (found,) = torch.autograd.grad(own, image)
    decoded = composer.image_decoder(torch.zeros_like(image))
    torch.testing.assert_close(found, 0.2 * (image - decoded) / image.numel())


def test_every_built_in_composer_with_a_loss_of_its_own_has_a_reference() -> None:
    assert {name for name in models.names() if brings_auxiliary(get(name))} == set(OWN_LOSSES)
