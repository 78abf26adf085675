import json
from collections import Counter

import pytest

from css_gen.scenes.factors import COMBINATIONS, Colour, Shape
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.randomness import SplitId

SAMPLES = [HeldOut.sample(seed=seed) for seed in range(50)]


@pytest.mark.parametrize("held_out", SAMPLES)
def test_each_split_keeps_every_shape_and_colour(held_out):
    assert len(held_out.train_only) == len(held_out.test_only) == 4
    assert not held_out.train_only & held_out.test_only
    for split, lost in ((SplitId.TRAIN, held_out.test_only), (SplitId.TEST, held_out.train_only)):
        allowed = held_out.allowed(split)
        assert len(allowed) == 20
        assert {*allowed} == {*COMBINATIONS} - lost
        assert {shape for shape, _ in allowed} == {*Shape}
        assert {colour for _, colour in allowed} == {*Colour}
        assert sorted(Counter(shape for shape, _ in lost).values()) == [1, 1, 2]
    assert Counter(colour for _, colour in held_out.train_only | held_out.test_only) == dict.fromkeys(Colour, 1)


def test_the_seed_decides():
    assert HeldOut.sample(seed=0) == HeldOut.sample(seed=0)
    assert len(set(SAMPLES)) > 40
    drawn = Counter(combination for held_out in SAMPLES for combination in held_out.train_only)
    assert set(drawn) == {*COMBINATIONS}


@pytest.mark.parametrize("held_out", SAMPLES[:5])
def test_json_round_trip_is_ordered(held_out):
    values = json.loads(json.dumps(held_out.to_json()))
    assert HeldOut.from_json(values) == held_out
    assert set(values["train_only"]) == {f"{colour} {shape}" for shape, colour in held_out.train_only}
    again = HeldOut(frozenset(reversed([*held_out.train_only])), frozenset(reversed([*held_out.test_only])))
    assert again.to_json() == values


GOOD = {"train_only": ["red circle"], "test_only": ["blue rectangle"]}


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        {},
        {"train_only": ["red circle"]},
        GOOD | {"validation_only": []},
        GOOD | {"test_only": None},
        GOOD | {"test_only": "blue rectangle"},
        GOOD | {"test_only": ["red circle"]},
        GOOD | {"test_only": ["circle blue"]},
        GOOD | {"test_only": ["blue cube"]},
        GOOD | {"test_only": [["blue", "circle"]]},
        GOOD | {"test_only": [f"blue {shape}" for shape in Shape]},
        GOOD | {"train_only": [f"{colour} circle" for colour in list(Colour)[1:]]},
    ],
)
def test_bad_json_is_refused_in_one_line(values):
    with pytest.raises(ValueError, match=r"expected|held out|left with") as caught:
        HeldOut.from_json(values)
    assert "\n" not in str(caught.value)


def test_what_is_wrong_is_named():
    both = frozenset({(Shape.CIRCLE, Colour.RED)})
    with pytest.raises(ValueError, match="at once: red circle"):
        HeldOut(both, both)
    with pytest.raises(ValueError, match="train is left with too few combinations with blue"):
        HeldOut(frozenset(), frozenset((shape, Colour.BLUE) for shape in Shape))
