"""What a linear model that never sees the source learns from the words: which image of a query's block is right.

A block is a target and its distractors. The model scores an image by one weight for each pair of a word of the text and
a property of the image (how many objects it has, and how many of each cell, size, colour and shape), and is trained to
prefer the target. What it learns is a shortcut of the whole track, such as "most removals leave few objects".
"""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from css_gen import tracks
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.scene import Scene
from css_gen.tracks.plan import TrackPlan, TrackQuery

Floats = NDArray[np.float64]

TRAINED, TESTED = 1_000, 600
PENALTY = 10.0
"""Blocks, of two seeds with the same held-out combinations."""

LEVELS = {
    "relation": {"all": 32, "wrong referent": 56, "other source": 59, "other edit": 80},
    "logic": {"all": 31, "flipped polarity": 60, "other source": 57, "other word": 68},
    "paraphrase": {"all": 30, "other source": 56},
    "systematic": {"all": 39, "other source": 58},
}
"""The most that the model may reach, in percent: of blocks in which the target is first (chance is 20 for five images,
25 for the four of paraphrase and systematic), and above the distractors of each kind. As measured, with about six
points added: two standard errors of 600 blocks are four."""
MOST_OF_OTHERS = {"all": 60}

CONTENTS = (*Size, *Colour, *Shape)


def of_image(scene: Scene) -> list[float]:
    """How many objects it has, how many of each size, colour and shape, and what is in each cell."""
    there: dict[Cell, tuple[str, ...]] = {item.cell: (item.size, item.colour, item.shape) for item in scene}
    shown = [value for values in there.values() for value in values]
    counts = [float(len(scene)), *(float(shown.count(value)) for value in CONTENTS)]
    return [*counts, *(float(value in there.get(cell, ())) for cell in Cell for value in CONTENTS)]


def of_text(text: str, words: list[str]) -> list[float]:
    return [1.0, *(float(word in text.split()) for word in words)]


class Blocks:
    """The texts of B queries, and the M images of each of their blocks; the target is the first."""

    def __init__(self, name: str, seed: int, blocks: int) -> None:
        track = tracks.get(name)
        plan = TrackPlan(
            name, blocks * (track.distractors + 2), seed=seed, split=SplitId.TEST, held_out=HeldOut.sample(seed=0)
        )
        self.queries: list[TrackQuery] = [
            plan.queries(first, first + 1)[0] for first in range(0, blocks * plan.programs, plan.programs)
        ]
        self.texts = [query.modification.text for query in self.queries]
        self.why = [[why for why, _ in query.distractors] for query in self.queries]
        images = [[query.target, *(image for _, image in query.distractors)] for query in self.queries]
        self.images: Floats = np.array([[of_image(plan.scene(image)) for image in block] for block in images])

    def bags(self, words: list[str]) -> Floats:
        return np.array([of_text(text, words) for text in self.texts])


def scores(weights: Floats, bags: Floats, images: Floats) -> Floats:
    return np.asarray(np.einsum("bp,bmp->bm", bags @ weights, images))


def learn(bags: Floats, images: Floats) -> Floats:
    """Return a weight for each word and property, (W, P), so that the first image of each block is the most likely."""
    shape = bags.shape[1], images.shape[2]

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(shape)
        found = scores(weights, bags, images)
        found -= found.max(axis=1, keepdims=True)
        chance = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)
        expected = np.einsum("bm,bmp->bp", chance, images) - images[:, 0]
        return PENALTY * flat @ flat - np.log(chance[:, 0]).sum(), (bags.T @ expected).ravel() + 2 * PENALTY * flat

    found = minimize(loss, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 100})
    return np.asarray(found.x.reshape(shape))


def wins(target: float, others: list[float]) -> float:
    """1 if the target's score is the highest, a part of it if others share it."""
    equal = sum(abs(other - target) < 1e-9 for other in others)
    return 0.0 if any(other > target + 1e-9 for other in others) else 1 / (1 + equal)


def levels(name: str) -> dict[str, float]:
    """Return the share, in percent, of blocks in which the target is first, and above the distractors of each kind."""
    trained, tested = Blocks(name, 0, TRAINED), Blocks(name, 1, TESTED)
    words = sorted({word for text in trained.texts for word in text.split()})
    weights = learn(trained.bags(words), trained.images)
    found = {"all": []} | {kind: [] for kind in tracks.get(name).contrasts}
    for (target, *others), whys in zip(scores(weights, tested.bags(words), tested.images), tested.why, strict=True):
        found["all"].append(wins(target, others))
        for kind in {*whys}:
            found[kind].append(wins(target, [score for score, why in zip(others, whys, strict=True) if why == kind]))
    return {kind: 100 * float(np.mean(shares)) for kind, shares in found.items() if shares}


@pytest.mark.parametrize("name", [name for name in tracks.names() if tracks.get(name).distractors])
def test_the_words_alone_say_little_of_the_right_image(name: str) -> None:
    found = levels(name)
    most = LEVELS.get(name, MOST_OF_OTHERS)
    assert {kind: round(found[kind], 1) for kind in most if found[kind] > most[kind]} == {}, found


def test_the_model_finds_a_leak() -> None:
    """Of two images the first has one of the two properties, that of the text's word; the second has the other."""
    words = np.random.default_rng(0).integers(2, size=200)
    bags, images = np.eye(2)[words], np.stack([np.eye(2)[words], np.eye(2)[1 - words]], axis=1)
    found = scores(learn(bags[:100], images[:100]), bags[100:], images[100:])
    assert [wins(target, [other]) for target, other in found] == [1.0] * 100
    assert [wins(1.0, [1.0]), wins(1.0, [1.0, 1.0]), wins(1.0, [2.0, 1.0])] == [1 / 2, 1 / 3, 0]
