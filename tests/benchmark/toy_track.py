"""A track for tests: a text removes the object of a cell, in two wordings, of which training shows one."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.tasks import registry as tasks
from benchmark.tasks.css_tracks import task_of
from css_gen import tracks
from css_gen.render import render
from css_gen.scenes.factors import Cell
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.scene import Scene
from css_gen.storage.configuration import Configuration
from css_gen.tracks import Distractor, Draw, Pool, Program, Shortcut, Track
from css_gen.tracks import registry as registered

WORDS = ("lose", "drop")


@dataclass(frozen=True)
class Lose(Program):
    """Remove what is in a cell."""

    word: str
    cell: Cell

    @property
    def kind(self) -> str:
        return "lose"

    def text_with(self, names: str) -> str:
        if names not in ("2d", "3d"):
            raise ValueError(names)
        return f"{self.word} {self.cell}"

    def to_json(self) -> str:
        return json.dumps([self.word, str(self.cell)])

    def targets(self, source: Scene) -> frozenset[str]:
        return frozenset({without(source, self.cell).key} - {source.key})

    def can_make(self, scene: Scene) -> bool:
        return self.cell not in {item.cell for item in scene}

    def attributes(self, source: Scene) -> Mapping[str, str]:
        return {"wording": self.word, "crowd": "few" if len(source) < 5 else "many"}


def without(scene: Scene, cell: Cell) -> Scene:
    return Scene(tuple(item for item in scene if item.cell != cell))


def draw(pool: Pool, source: int, visit: int, *, rng: np.random.Generator) -> Draw | None:
    del visit
    scene = pool.scenes[source]
    cells = [item.cell for item in scene]
    if len(cells) < 3:
        return None
    some = [cells[place] for place in rng.permutation(len(cells))[:3]]
    programs = tuple(Lose(word, some[0]) for word in (WORDS if pool.split is SplitId.TEST else WORDS[:1]))
    wrong = [Distractor("wrong cell", without(scene, cell)) for cell in some[1:]]
    return Draw(programs, without(scene, some[0]), (*wrong, Distractor("nothing lost", scene)))


def parse(text: str) -> Lose:
    word, _, cell = text.partition(" ")
    if word not in WORDS:
        raise ValueError(f"{text!r} loses nothing")
    return Lose(word, Cell(cell))


def from_json(text: str) -> Lose:
    word, cell = json.loads(text)
    return Lose(word, Cell(cell))


TOY = Track(
    name="toy",
    title="Things lost",
    about="Remove the object of a cell.",
    distractors=3,
    contrasts={"wrong cell": "cell accuracy", "nothing lost": "edit accuracy", "never": "other accuracy"},
    slices={"wording": WORDS, "crowd": ("few", "many")},
    draw=draw,
    parse=parse,
    from_json=from_json,
    shortcut=Shortcut("any cell", lambda _, source: frozenset(without(source, item.cell).key for item in source)),
    programs=2,
)


@contextmanager
def rendered_toy(folder: Path) -> Iterator[Path]:
    """Register the track and its task, render a dataset, and take both back.

    The test images repeat scenes, so that queries have several relevant images.
    """
    tracks.register(TOY)
    task = tasks.register(task_of(TOY))
    try:
        render(folder, Configuration(images=240, size=16, seed=2, track=TOY.name), jobs=1)
        yield folder
    finally:
        del registered._tracks[TOY.name], tasks._tasks[task.name]
