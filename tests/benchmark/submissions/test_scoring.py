"""Queries that are asked twice: what counts is what is ranked."""

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest
from torch import Tensor

from benchmark.device import make_accelerator, reproducible
from benchmark.recipe.schema import Recipe
from benchmark.scoring.evaluation import Evaluation, evaluate
from benchmark.submissions.scoring import AnswerError, score
from benchmark.tasks.css import Css
from benchmark.training.model import new_network
from models.base import Composer, TextFeatures
from models.network import Network

HIDDEN = 1e6
"""In a channel that the head does not see."""


class Remembering(Composer):
    """Adds to a channel what it was asked so far, times that number."""

    step: float

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        self.asked = 0

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:  # noqa: ARG002
        composed = image.clone()
        composed[:, 0] = HIDDEN
        composed[:, 1] += self.step * self.asked
        self.asked += 1
        return composed


class Sound(Remembering):
    step = 0.0


class Leaking(Remembering):
    step = 1.0


def scored(kind: type[Remembering], css: Css, config: Recipe) -> tuple[Evaluation, Evaluation]:
    """As a submission, and as our own."""

    def network() -> Network:
        made = new_network(kind, config.model, css.train.texts, spatial=True, seed=0)
        made.head.weight.data[:, 0] = 0
        return made.eval()

    @contextlib.contextmanager
    def started() -> Iterator[Network]:
        yield network()

    accelerator = make_accelerator("cpu", "fp32")
    with reproducible("cpu"):
        submitted = score(started, css.test, accelerator=accelerator, batch_size=16, precision="fp32")
        return submitted, evaluate(network(), css.test, accelerator=accelerator, batch_size=16)


def test_a_sound_composer_is_scored_as_our_own_are(css: Css, tiny_config: Recipe) -> None:
    submitted, own = scored(Sound, css, tiny_config)
    np.testing.assert_array_equal(submitted.outcomes.ranks, own.outcomes.ranks)


def test_a_memory_behind_large_numbers_is_found(css: Css, tiny_config: Recipe) -> None:
    """Of the largest composed feature it is a millionth."""
    with pytest.raises(AnswerError, match="another answer to a test query in another process"):
        scored(Leaking, css, tiny_config)
