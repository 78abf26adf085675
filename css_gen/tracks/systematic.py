"""css's own edits where objects, or an edit and an object, meet as training never shows them.

Five things are held out of training:

- operation and shape: each kind of edit is never asked of one shape (`HELD_OUT_SHAPES`),
- cell and colour: no object in a cell has that cell's held-out colour (`HELD_OUT_COLOURS`),
- objects: no scene has more than six,
- shape and colour: the combinations of `HeldOut`, as in css,
- material: no object is of metal; all objects are of rubber.

A source of the test split allows exactly one of them, or none, so each query has one label, and queries of every label
are ranked in one gallery. The scenes of one label show nothing else that training does not. Scenes and texts have no
material, so it decides no answer: where it is what is new, every object of the source and of the block is of metal.
"""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import chain, repeat

import numpy as np

from css_gen.scenes.factors import Cell, Colour, Combination, Shape, Size
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.modification import Add, Modification, from_json, parse, type_of
from css_gen.scenes.randomness import SplitId, Stream, one_of, stream
from css_gen.scenes.sampling import KINDS_ASKED
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.tracks.base import Draw, Pool, Program, Shortcut, Track
from css_gen.tracks.distractors import with_other_source
from css_gen.tracks.edits import CONTRASTS, CssEdit, draw_edit, near_misses
from css_gen.tracks.parts import shows_only
from css_gen.tracks.registry import register

HELD_OUT_SHAPES = {
    "add": Shape.TRIANGLE,
    "remove": Shape.CIRCLE,
    "make-colour": Shape.RECTANGLE,
    "make-size": Shape.RECTANGLE,
}
"""The shape that training never asks each kind of edit of; each shape misses a third of the edits."""

HELD_OUT_COLOURS = {cell: [*Colour][(3 * cell.index + 1) % len(Colour)] for cell in Cell}
"""The colour that training never shows in each cell. Every colour has a cell, and one has two."""

FEWEST_OBJECTS, MOST_TRAIN_OBJECTS, MOST_OBJECTS = 3, 6, 9
SEEN, BY_SHAPE, BY_CELL, BY_COUNT, BY_COMBINATION, BY_MATERIAL = NOVELTIES = (
    "seen", "operation and shape", "cell and colour", "objects", "shape and colour", "material",
)  # fmt: skip
"""What is novel of a query, the values of the slice."""

DISTRACTORS = 3
"""A near miss of what training shows, one of the query's own novelty, and one of another source."""

_OF_SMALL_SOURCES = (SEEN, BY_SHAPE, BY_CELL, BY_COMBINATION, BY_MATERIAL)
_DRAWS = 32
_MOST_TRIES = 10_000


@dataclass(frozen=True)
class SystematicEdit(CssEdit):
    """A modification of css, and which of NOVELTIES its query has; the text does not say, so equality ignores it."""

    novelty: str = field(default=SEEN, compare=False)

    def __post_init__(self) -> None:
        if self.novelty not in NOVELTIES:
            raise ValueError(f"expected a novelty of {', '.join(NOVELTIES)}, got {self.novelty!r}")

    def text_with(self, names: str) -> str:
        return self.modification.text_with(names)

    def to_json(self) -> str:
        return json.dumps({"modification": json.loads(self.modification.to_json()), "novelty": self.novelty})

    def attributes(self, source: Scene) -> Mapping[str, str]:
        del source
        return {"novelty": self.novelty, "kind": self.kind}


def program_from_json(text: str) -> SystematicEdit:
    """Return the program that `to_json` wrote.

    Raises:
        ValueError: the text is not what `to_json` writes.
    """
    try:
        values = json.loads(text)
        if not isinstance(values, dict) or values.keys() != {"modification", "novelty"}:
            raise ValueError("expected exactly modification, novelty")
        return SystematicEdit(from_json(json.dumps(values["modification"])), values["novelty"])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot read the program {text[:80]!r}: {error}") from None


def novelties(modification: Modification, source: Scene, target: Scene, test_only: Set[Combination]) -> set[str]:
    """Return all that training never shows of a query's scenes; `test_only` are the combinations held out of it."""
    changed = {*source} ^ {*target}
    asked = changed if isinstance(modification, Add) else {*filter(modification.selector.matches, source)}
    found = {
        BY_SHAPE: any(item.shape is HELD_OUT_SHAPES[modification.kind] for item in asked),
        BY_CELL: any(item.colour is HELD_OUT_COLOURS[item.cell] for item in changed),
        BY_COUNT: max(len(source), len(target)) > MOST_TRAIN_OBJECTS,
        BY_COMBINATION: any((item.shape, item.colour) in test_only for item in changed),
    }
    return {name for name, holds in found.items() if holds}


def novelty_of_source(index: int, split: SplitId) -> str:
    """Return the novelty that queries from a reference have: half the test references have more than six objects."""
    if split is SplitId.TRAIN:
        return SEEN
    # One of two neighbours, but not every second one: a walk in odd steps must not meet large and small ones in turn.
    return BY_COUNT if index.bit_count() % 2 else _OF_SMALL_SOURCES[index // 2 % len(_OF_SMALL_SOURCES)]


def materials_of_source(index: int, split: SplitId) -> tuple[str, ...]:
    """Return what the objects of a reference are made of, and those in the blocks of its queries."""
    return ("metal" if novelty_of_source(index, split) == BY_MATERIAL else "rubber",)


def reference(index: int, seed: int, split: SplitId, held_out: HeldOut) -> Scene:
    """Draw a reference as css does, but so that it shows the novelty of its queries and no other.

    The numbers of objects take turns: three to six, or seven to nine.

    Raises:
        ValueError: the held-out combinations allow no such scene.
    """
    rng = stream(seed, split, Stream.REFERENCE, index)
    novelty = novelty_of_source(index, split)
    combinations = _shown(held_out, split, novelty)
    count = _objects(index, split)
    for _ in range(_MOST_TRIES):
        objects = []
        for place in rng.permutation(len(Cell))[:count]:
            cell = [*Cell][place]
            missing = None if novelty == BY_CELL else HELD_OUT_COLOURS[cell]
            shape, colour = one_of([pair for pair in combinations if pair[1] is not missing], rng)
            objects.append(SceneObject(cell, one_of([*Size], rng), colour, shape))
        if _allows_every_kind(objects, novelty, held_out):
            return Scene(tuple(objects))
    raise ValueError(f"the held-out combinations of shape and colour allow no scene for queries novel by {novelty}")


def _objects(index: int, split: SplitId) -> int:
    """Return how many objects a reference has."""
    if novelty_of_source(index, split) == BY_COUNT:
        return MOST_TRAIN_OBJECTS + 1 + index // 2 % (MOST_OBJECTS - MOST_TRAIN_OBJECTS)
    turn = index if split is SplitId.TRAIN else index // (2 * len(_OF_SMALL_SOURCES))
    return FEWEST_OBJECTS + turn % (MOST_TRAIN_OBJECTS - FEWEST_OBJECTS + 1)


def _allows_every_kind(objects: Sequence[SceneObject], novelty: str, held_out: HeldOut) -> bool:
    """Return whether objects of this novelty can be removed and made, and those of the source show it."""
    if novelty == BY_SHAPE:
        return len({item.shape for item in objects}) == len(Shape)
    novel = {
        BY_CELL: [item for item in objects if item.colour is HELD_OUT_COLOURS[item.cell]],
        BY_COMBINATION: [item for item in objects if (item.shape, item.colour) in held_out.test_only],
    }.get(novelty, objects)
    return all(any(item.shape is not missing for item in novel) for missing in {*HELD_OUT_SHAPES.values()})


def _draw(pool: Pool, source: int, visit: int, *, rng: np.random.Generator) -> Draw | None:
    scene, novelty = pool.scenes[source], novelty_of_source(source, pool.split)
    if novelty == BY_COUNT and (visit + source // 2) % 5:
        return None  # half the sources are these; asked once in five visits, they have a sixth of the queries
    combinations = _shown(pool.held_out, pool.split, novelty)
    test_only, wanted = pool.held_out.test_only, {novelty} - {SEEN, BY_MATERIAL}

    def shown_in_training(edit: Modification, made: Scene) -> bool:
        return novelties(edit, scene, made, test_only) <= {BY_COUNT} & wanted

    def as_novel_as_the_target(edit: Modification, made: Scene) -> bool:
        return novelties(edit, scene, made, test_only) == wanted

    kind = _kind(len(scene), rng)
    named = one_of(type_of(kind).named, rng)
    for number in chain.from_iterable(repeat(number, _DRAWS) for number in (named, 4, 3, 2, 1)):
        modification = draw_edit(kind, number, scene, combinations, rng=rng)
        if not modification:
            continue
        target = modification.apply(scene, rng=rng, combinations=combinations)
        if novelties(modification, scene, target, test_only) != wanted:
            continue
        programs = (SystematicEdit(modification, novelty),)
        if pool.split is SplitId.TRAIN:
            return Draw(programs, target)
        preferred = (shown_in_training, as_novel_as_the_target)
        near = near_misses(
            modification, scene, target, combinations, count=DISTRACTORS - 1, preferred=preferred, rng=rng
        )
        if not near:
            continue
        distractors = with_other_source(
            programs[0],
            target,
            near,
            excluded={scene.key, *modification.targets(scene)},
            allowed=lambda made: _may_show(made, novelty, combinations),
            rng=rng,
        )
        if distractors:
            return Draw(programs, target, distractors)
    return None


def _shown(held_out: HeldOut, split: SplitId, novelty: str) -> tuple[Combination, ...]:
    """Return the combinations of shape and colour that images of queries with this novelty show."""
    allowed = held_out.allowed(split)
    return tuple(each for each in allowed if novelty == BY_COMBINATION or each not in held_out.test_only)


def _may_show(scene: Scene, novelty: str, combinations: Sequence[Combination]) -> bool:
    """Return whether images of queries with this novelty show the scene, and nothing else that training does not."""
    most = MOST_OBJECTS if novelty == BY_COUNT else MOST_TRAIN_OBJECTS
    in_place = novelty == BY_CELL or not any(item.colour is HELD_OUT_COLOURS[item.cell] for item in scene)
    return in_place and len(scene) <= most and shows_only(scene, combinations)


def _kind(objects: int, rng: np.random.Generator) -> str:
    """Draw a kind so that all sources together add, remove and make equally often, though the fullest do not add."""
    most, with_room = (MOST_TRAIN_OBJECTS, 3 / 4) if objects <= MOST_TRAIN_OBJECTS else (MOST_OBJECTS, 2 / 3)
    add = 1 / 3 / with_room if objects < most else 0.0
    rest = (1 - add) / 2
    return str(rng.choice(KINDS_ASKED, p=[{"add": add, "remove": rest}.get(kind, rest / 2) for kind in KINDS_ASKED]))


def _seen_alone(program: Program, source: Scene) -> frozenset[str]:
    """Return the answers of a solver of seen queries, which leaves the source of any other as it is."""
    assert isinstance(program, SystematicEdit)
    return program.targets(source) if program.novelty == SEEN else frozenset({source.key})


register(
    Track(
        name="systematic",
        title="systematic generalisation",
        about=(
            "the edits of css on shapes, cells, colours and numbers of objects that training never shows together, and "
            "on objects of metal"
        ),
        distractors=DISTRACTORS,
        contrasts=CONTRASTS,
        slices={"novelty": NOVELTIES, "kind": KINDS_ASKED},
        draw=_draw,
        parse=lambda text: SystematicEdit(parse(text)),
        from_json=program_from_json,
        shortcut=Shortcut("seen combinations only", _seen_alone),
        reference=reference,
        materials=materials_of_source,
        held_out_slices={"novelty": NOVELTIES[1:]},
    )
)
