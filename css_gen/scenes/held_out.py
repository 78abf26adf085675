"""Held-out combinations of shape and colour: each is shown in one split only, so that test queries ask for new ones."""

from dataclasses import dataclass
from typing import Any, Self

from css_gen.scenes.factors import COMBINATIONS, Colour, Combination, Shape
from css_gen.scenes.randomness import SplitId, Stream, stream


@dataclass(frozen=True)
class HeldOut:
    """Combinations that the other split never shows; each split is left with 20 of the 24 when sampled.

    Raises:
        ValueError: a combination is in both sets, or a split is left without some colour or with a shape in fewer than
            two colours.
    """

    train_only: frozenset[Combination]
    test_only: frozenset[Combination]

    def __post_init__(self) -> None:
        if both := self.train_only & self.test_only:
            raise ValueError(f"held out for train and for test at once: {', '.join(_names(both))}")
        for split in SplitId:
            shown = [value for combination in self.allowed(split) for value in combination]
            for value in (*Shape, *Colour):
                if shown.count(value) < (2 if value in Shape else 1):
                    raise ValueError(f"{split.name.lower()} is left with too few combinations with {value}")

    @classmethod
    def sample(cls, *, seed: int) -> Self:
        """Draw four combinations for train alone and four for test alone.

        Every colour has one held-out combination, so that a split shows half the colours in three shapes and half in
        two. Of the shapes, two have three held-out combinations and one has two.
        """
        rng = stream(seed, SplitId.TRAIN, Stream.HELD_OUT, 0)
        colours = [list(Colour)[place] for place in rng.permutation(len(Colour))]
        first, second, third = (list(Shape)[place] for place in rng.permutation(len(Shape)))
        train = zip((first, first, second, third), colours[:4], strict=True)
        test = zip((first, second, second, third), colours[4:], strict=True)
        return cls(frozenset(train), frozenset(test))

    def allowed(self, split: SplitId) -> tuple[Combination, ...]:
        """Return the combinations that a split may show, in the order of COMBINATIONS."""
        other = self.test_only if split is SplitId.TRAIN else self.train_only
        return tuple(combination for combination in COMBINATIONS if combination not in other)

    def to_json(self) -> dict[str, list[str]]:
        """Return lists of names such as "red circle"."""
        return {"train_only": _names(self.train_only), "test_only": _names(self.test_only)}

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """Read what `to_json` returned.

        Raises:
            ValueError: a key is missing or unknown, or a name is not a colour and a shape, or see the class.
        """
        if not isinstance(values, dict) or values.keys() != {"train_only", "test_only"}:
            raise ValueError("expected held-out combinations under exactly train_only and test_only")
        for name, listed in values.items():
            if not isinstance(listed, list):
                raise ValueError(f"expected {name} to be a list of names such as 'red circle', got {listed!r}")
        return cls(*(frozenset(map(_combination, values[name])) for name in ("train_only", "test_only")))


def _names(combinations: frozenset[Combination]) -> list[str]:
    return [f"{colour} {shape}" for shape, colour in COMBINATIONS if (shape, colour) in combinations]


def _combination(name: Any) -> Combination:
    for shape, colour in COMBINATIONS:
        if name == f"{colour} {shape}":
            return shape, colour
    raise ValueError(f"expected a colour and a shape, such as 'red circle', got {name!r}")
