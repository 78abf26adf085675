"""The parts of a track: programs on scenes, distractors, and the rule that draws both."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from css_gen.scenes.factors import Combination
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.scene import Scene


class Program(ABC):
    """A modification text that is a program on scenes. Frozen and hashable; `source` is a scene throughout."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """What it does, as the tables report it."""

    @property
    def text(self) -> str:
        """The words, with the flat names of shapes."""
        return self.text_with("2d")

    @abstractmethod
    def text_with(self, names: str) -> str:
        """Return the words with rectangle, circle, triangle (names is "2d") or cube, sphere, cylinder ("3d").

        Raises:
            ValueError: names is neither.
        """

    @abstractmethod
    def to_json(self) -> str:
        """Return one line of JSON that the track's `from_json` reads."""

    @abstractmethod
    def targets(self, source: Scene) -> frozenset[str]:
        """Return the keys of all relevant scenes; none where the program does not apply."""

    def is_target(self, source: Scene, target: Scene) -> bool:
        """Return whether the target's key is in `targets(source)`."""
        return target.key in self.targets(source)

    @abstractmethod
    def can_make(self, scene: Scene) -> bool:
        """Return whether the scene is a target of some source: all that the text alone says of the answer."""

    @abstractmethod
    def attributes(self, source: Scene) -> Mapping[str, str]:
        """Return the values by which tables split the results, under the names of `Track.slices`."""


@dataclass(frozen=True)
class Distractor:
    """A wrong answer that is put into the gallery of the test split.

    Attributes:
        why: what is wrong with it, one of `Track.contrasts`.
        scene: not a target of the query.
    """

    why: str
    scene: Scene


@dataclass(frozen=True)
class Draw:
    """What a track asks of one source.

    Attributes:
        programs: as many as `Track.programs` in the test split, one in the training split. They have the same targets.
        target: of all of them; it shows the pool's combinations alone.
        distractors: `Track.distractors` of them in the test split; in the training split they are ignored.
    """

    programs: tuple[Program, ...]
    target: Scene
    distractors: tuple[Distractor, ...] = ()


@dataclass(frozen=True)
class Pool:
    """What all queries of a split draw from.

    Attributes:
        scenes: all references of the split.
        combinations: of shape and colour that the split may show.
    """

    split: SplitId
    scenes: tuple[Scene, ...]
    combinations: tuple[Combination, ...]
    held_out: HeldOut


class DrawQuery(Protocol):
    """Draw what to ask of a source; None where the source allows nothing, so that the next one is tried.

    Args:
        source: a place in `pool.scenes`.
        visit: how often the source was asked before, from 0.
    """

    def __call__(self, pool: Pool, source: int, visit: int, *, rng: np.random.Generator) -> Draw | None: ...


@dataclass(frozen=True)
class Shortcut:
    """A solver that lacks the part that the track tests.

    Attributes:
        name: in a few words, such as "last edit only".
        targets: the keys of the scenes that it takes for right, given a program and its source.
    """

    name: str
    targets: Callable[[Program, Scene], frozenset[str]]


@dataclass(frozen=True, kw_only=True)
class Track:
    """Everything that is known of a track.

    Attributes:
        name: of `css-gen render --track NAME`; its task is css-NAME.
        title: in a few words.
        about: one line.
        distractors: images of each test query beside its target. The training split has none.
        contrasts: what `Distractor.why` may say, and under which heading tables show the share of queries whose target
            is ranked above all their distractors of that kind, such as "order accuracy".
        slices: attributes of programs, each with its values in the order of the tables.
        programs: queries that share a target in the test split.
        draw: draws a query; a pure function of its arguments.
        parse: reads a text in flat or solid names; raises ValueError where it is not one of the track's.
        from_json: reads what `Program.to_json` wrote; raises ValueError.
        shortcut: the solver that the track is built against.
        reference: draws reference number `index` of a split; None for css's own.
        materials: what the objects of reference number `index` of a split are made of, and those in the blocks of its
            queries; None where the configuration says it.
        held_out_slices: slices that only the test split has values of, for the tests of the certificate.
    """

    name: str
    title: str
    about: str
    distractors: int
    contrasts: Mapping[str, str]
    slices: Mapping[str, tuple[str, ...]]
    draw: DrawQuery
    parse: Callable[[str], Program]
    from_json: Callable[[str], Program]
    shortcut: Shortcut
    programs: int = 1
    reference: Callable[[int, int, SplitId, HeldOut], Scene] | None = None
    materials: Callable[[int, SplitId], tuple[str, ...]] | None = None
    held_out_slices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
