"""The track "relation", against a reader of its words that looks at one object after the other."""

import json
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from css_gen import tracks
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.scenes.selector import Selector
from css_gen.tracks.parts import Edit
from css_gen.tracks.plan import TrackQuery
from css_gen.tracks.relation_program import Relate, Relation, from_json, parse

GRID = ("top", "middle", "bottom"), ("left", "center", "right")
SOLIDS = {"cube": "rectangle", "sphere": "circle", "cylinder": "triangle"}
PHRASES = (
    "left of",
    "right of",
    "in front of",
    "behind",
    "between",
    *(f"of the same {x} as" for x in ("colour", "size", "shape")),
)

Thing = dict[str, str]

COLOURS = (Colour.RED, Colour.BLUE, Colour.GREEN)
SHAPES = (Shape.CIRCLE, Shape.RECTANGLE)
SCENES = st.lists(
    st.builds(
        SceneObject, st.sampled_from(Cell), st.sampled_from(Size), st.sampled_from(COLOURS), st.sampled_from(SHAPES)
    ),
    max_size=9,
    unique_by=lambda item: item.cell,
).map(lambda items: Scene(tuple(items)))
SELECTORS = st.builds(
    Selector,
    size=st.none() | st.sampled_from(Size),
    colour=st.none() | st.sampled_from(COLOURS),
    shape=st.none() | st.sampled_from(SHAPES),
)
EDITS = st.sampled_from([Edit(new) for new in (None, *Size, *COLOURS)])
PROGRAMS = st.one_of(
    st.builds(
        Relate, EDITS, SELECTORS, st.just(relation), st.lists(SELECTORS, min_size=n, max_size=n, unique=True).map(tuple)
    )
    for relation in Relation
    for n in [2 if relation is Relation.BETWEEN else 1]
)


def things(scene: Scene) -> list[Thing]:
    return [{"cell": x.cell, "size": x.size, "colour": x.colour, "shape": x.shape} for x in scene]


def key(objects: list[Thing]) -> str:
    ordered = sorted(objects, key=lambda thing: list(Cell).index(Cell(thing["cell"])))
    return "; ".join(" ".join(thing[name] for name in ("cell", "size", "colour", "shape")) for thing in ordered)


def described(objects: list[Thing], words: str) -> list[Thing]:
    wanted = [SOLIDS.get(word, word) for word in words.split() if word not in ("the", "object")]
    return [thing for thing in objects if all(word in thing.values() for word in wanted)]


def row_and_column(thing: Thing) -> tuple[int, int]:
    row, column = thing["cell"].split("-")
    return GRID[0].index(row), GRID[1].index(column)


def related(thing: Thing, phrase: str, anchors: list[Thing]) -> bool:
    if any(thing is anchor for anchor in anchors):
        return False
    (row, column), (to_row, to_column) = row_and_column(thing), row_and_column(anchors[0])
    if phrase == "between":
        far_row, far_column = row_and_column(anchors[1])
        steps = [(1, 0), (0, 1), (1, 1), (1, -1)]
        around = [{(row + down, column + right), (row - down, column - right)} for down, right in steps]
        return {(to_row, to_column), (far_row, far_column)} in around
    if phrase.startswith("of the same"):
        return thing[phrase.split()[3]] == anchors[0][phrase.split()[3]]
    beyond = {"left of": range(to_column), "right of": range(to_column + 1, 3)}
    if phrase in beyond:
        return row == to_row and column in beyond[phrase]
    return column == to_column and row in (range(to_row + 1, 3) if phrase == "in front of" else range(to_row))


def solve(text: str, scene: Scene) -> set[str]:
    """The right answers; none unless every anchor is one object, another one each, and one object is meant."""
    verb, _, rest = text.partition(" ")
    new = rest.split()[-1] if verb == "make" else ""
    rest = rest.removesuffix(f" {new}") if new else rest
    phrase = next(each for each in PHRASES if f" {each} the " in rest)
    noun, _, behind = rest.partition(f" {phrase} ")
    objects = things(scene)
    named = [described(objects, words) for words in behind.split(" and ")]
    if any(len(found) != 1 for found in named) or (len(named) == 2 and named[0][0] is named[1][0]):
        return set()
    meant = [thing for thing in described(objects, noun) if related(thing, phrase, [found[0] for found in named])]
    if len(meant) != 1:
        return set()
    kept = [thing for thing in objects if thing is not meant[0]]
    if verb == "remove":
        return {key(kept)}
    return {key([*kept, meant[0] | {"size" if new in tuple(Size) else "colour": new}])}


def one_object_away(program: Relate, target: Scene) -> Iterator[Scene]:
    """Every scene with one object more (to remove), or with other contents of one cell (to make)."""
    cells = [item.cell for item in target] if program.edit.new else target.empty_cells
    for cell in cells:
        others = [item for item in target if item.cell != cell]
        for size in Size:
            for colour in Colour:
                for shape in Shape:
                    yield Scene((*others, SceneObject(cell, size, colour, shape)))


@given(PROGRAMS, SCENES)
def test_targets_are_those_of_a_reader_of_the_words(program: Relate, scene: Scene) -> None:
    for names in ("2d", "3d"):
        assert program.targets(scene) == solve(program.text_with(names), scene)


@given(PROGRAMS, SCENES)
def test_it_can_make_what_it_makes_of_a_scene_that_differs_in_one_object(program: Relate, target: Scene) -> None:
    sources = one_object_away(program, target)
    assert program.can_make(target) == any(target.key in solve(program.text, source) for source in sources)


@given(PROGRAMS, SCENES)
def test_it_can_make_every_target(program: Relate, source: Scene) -> None:
    if referent := program.referent(source):
        assert program.can_make(program.edit.apply(source, [referent]))


@given(PROGRAMS)
def test_texts_and_json_stand_for_one_program(program: Relate) -> None:
    assert parse(program.text_with("2d")) == parse(program.text_with("3d")) == program
    assert from_json(program.to_json()) == program
    assert "\n" not in program.to_json()


@pytest.mark.parametrize(
    "text",
    [
        "remove the cube left of the red sphere and the cylinder",
        "remove the cube between the red sphere",
        "remove the cube between the sphere and the sphere",
        "remove cube left of the sphere",
        "remove the top-left cube left of the sphere",
        "remove the cube above the sphere",
        "make the cube left of the sphere",
        "make the cube left of the sphere pink",
        "remove the cube left of the sphere red",
        "remove the cube left of the sphere\n",
        "",
    ],
)
def test_other_texts_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"cannot read the relation .*expected") as caught:
        parse(text)
    assert "\n" not in str(caught.value)


TRACK = "relation"
GOOD = json.loads(parse("make the small cube left of the red sphere blue").to_json())


@pytest.mark.parametrize(
    "values",
    [
        [],
        None,
        GOOD | {"more": 1},
        {name: value for name, value in GOOD.items() if name != "new"},
        GOOD | {"new": "pink"},
        GOOD | {"new": ["red"]},
        GOOD | {"relation": "above"},
        GOOD | {"relation": "between"},
        GOOD | {"anchors": {}},
        GOOD | {"anchors": []},
        GOOD | {"anchors": [GOOD["noun"]] * 2},
        GOOD | {"noun": {"cell": "top-left"}},
        GOOD | {"noun": GOOD["noun"] | {"shape": "cube"}},
    ],
)
def test_other_json_is_refused_in_one_line(values: object) -> None:
    with pytest.raises(ValueError, match=r"cannot read the relation .*(expected|not a valid)") as caught:
        from_json(json.dumps(values))
    assert "\n" not in str(caught.value)


def test_a_solver_finds_the_target_and_no_distractor(queries: list[TrackQuery], gallery: list[Scene]) -> None:
    keys = [scene.key for scene in gallery]
    for query in queries:
        right = solve(query.modification.text_with("3d"), query.source_scene)
        assert right == {keys[query.target]} == query.modification.targets(query.source_scene)
        block = [keys[image] for _, image in query.distractors]
        assert right.isdisjoint(block)
        assert len({*block, query.source_scene.key}) == len(block) + 1
    for query in queries[:5]:
        found = [query.modification.is_target(query.source_scene, scene) for scene in gallery]
        assert found == [key in query.modification.targets(query.source_scene) for key in keys]


def test_the_attributes_alone_are_right_in_half_the_queries(queries: list[TrackQuery], gallery: list[Scene]) -> None:
    """The shortcut's expected R@1 is 49: one in as many as there are objects that the noun matches."""
    keys = {scene.key for scene in gallery}
    taken = [tracks.get("relation").shortcut.targets(q.modification, q.source_scene) for q in queries]
    for query, found in zip(queries, taken, strict=True):
        wrong = [why for why, _ in query.distractors].count("wrong referent")
        assert query.modification.targets(query.source_scene) < found <= keys
        assert len(found) == 1 + wrong
    level = 100 * sum(1 / len(found) for found in taken) / len(queries)
    assert level == pytest.approx(49, abs=0.5)


def test_every_wrong_referent_is_right_with_other_anchors(queries: list[TrackQuery], gallery: list[Scene]) -> None:
    """So noun, relation and source together do not say which object is meant."""
    nouns = [
        Selector(size=z, colour=c, shape=s) for z in (None, *Size) for c in (None, *Colour) for s in (None, *Shape)
    ]
    for query in queries[::10]:
        program = query.modification
        assert isinstance(program, Relate)
        unique = [noun for noun in nouns if sum(map(noun.matches, query.source_scene)) == 1]
        pairs = (
            [(x, y) for x in unique for y in unique if x != y] if len(program.anchors) == 2 else [(x,) for x in unique]
        )
        made = {
            key
            for each in pairs
            for key in Relate(program.edit, program.noun, program.relation, each).targets(query.source_scene)
        }
        assert {gallery[image].key for why, image in query.distractors if why == "wrong referent"} <= made


def test_the_text_alone_leaves_another_image_of_the_block(queries: list[TrackQuery], gallery: list[Scene]) -> None:
    for query in queries:
        assert query.modification.can_make(query.target_scene)
        assert [query.modification.can_make(gallery[i]) for why, i in query.distractors if why == "other source"] == [
            True
        ]


def test_relations_edits_and_places_are_balanced(queries: list[TrackQuery]) -> None:
    programs = [query.modification for query in queries]
    assert all(isinstance(program, Relate) for program in programs)
    relations = Counter(program.relation for program in programs)
    expected = len(queries) / len(Relation)
    assert {*relations} == {*Relation}
    assert sum((count - expected) ** 2 / expected for count in relations.values()) < 24.3, "chi-square, 1 in 1,000"
    kinds = Counter(program.kind for program in programs if program.relation is not Relation.SIZE)
    assert max(kinds.values()) < 1.25 * min(kinds.values())


def test_the_furthest_object_is_meant_as_often_as_another(queries: list[TrackQuery]) -> None:
    """Of two objects that the noun matches, "left of" means the left one as often as the right one, and so on."""
    far = {
        Relation.LEFT: lambda item: -item.cell.column,
        Relation.RIGHT: lambda item: item.cell.column,
        Relation.FRONT: lambda item: item.cell.row,
        Relation.BEHIND: lambda item: -item.cell.row,
    }
    furthest = []
    for query in queries:
        program = query.modification
        if isinstance(program, Relate) and program.relation in far:
            meant = far[program.relation](program.referent(query.source_scene))
            places = [far[program.relation](item) for item in query.source_scene if program.noun.matches(item)]
            if len(places) == 2 and places[0] != places[1]:
                furthest.append(meant == max(places))
    assert len(furthest) > 100
    assert abs(sum(furthest) - len(furthest) / 2) < 3.3 * (len(furthest) / 4) ** 0.5
