"""The track "logic", against a reader of its words that looks at one object after the other."""

import json
from collections import Counter
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from css_gen import tracks
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.scenes.selector import Selector
from css_gen.tracks.logic_program import COUNTS, Form, Logic, from_json, parse
from css_gen.tracks.parts import Edit
from css_gen.tracks.plan import TrackQuery

SOLIDS = {"cube": "rectangle", "sphere": "circle", "cylinder": "triangle"}
NUMBERS = {"two": 2, "three": 3, "four": 4}
COLOURS = (Colour.RED, Colour.BLUE)
SHAPES = (Shape.CIRCLE, Shape.RECTANGLE)
FEW = tuple(product(Size, COLOURS, SHAPES))

Body = tuple[str, ...]


def scenes(least: int = 0, most: int = 9) -> st.SearchStrategy[Scene]:
    one = st.builds(lambda cell, body: SceneObject(cell, *body), st.sampled_from(Cell), st.sampled_from(FEW))
    return st.lists(one, min_size=least, max_size=most, unique_by=lambda item: item.cell).map(lambda x: Scene(tuple(x)))


EDITS = st.sampled_from([Edit(new) for new in (None, *Size, *COLOURS)])
NOUNS = st.builds(
    Selector,
    size=st.none() | st.sampled_from(Size),
    colour=st.none() | st.sampled_from(COLOURS),
    shape=st.none() | st.sampled_from(SHAPES),
)


@st.composite
def programs(draw: st.DrawFn, *, removals: bool = True, makes: bool = True) -> Logic:
    form, edit = draw(st.sampled_from(Form)), draw(EDITS.filter(lambda edit: makes if edit.new else removals))
    exception = draw(st.sampled_from((*Size, *COLOURS))) if form is Form.EXCEPT else None
    count = draw(st.sampled_from(tuple(COUNTS))) if form is Form.COUNT else 0
    try:
        return Logic(form, draw(st.booleans()), edit, draw(NOUNS), exception, count)
    except ValueError:
        assume(False)
        raise


def solve(text: str, scene: Scene) -> set[str]:
    """The right answers, from the words of a text."""
    verb, *words = text.split()
    new = words.pop() if verb == "make" else ""
    objects = {str(item.cell): (str(item.size), str(item.colour), str(item.shape)) for item in scene}
    answers = set()
    for cells in edited(words, objects):
        after = {cell: body for cell, body in objects.items() if new or cell not in cells}
        for cell in cells if new else ():
            size, colour, shape = after[cell]
            after[cell] = (new, colour, shape) if new in ("small", "large") else (size, new, shape)
        answers.add("; ".join(" ".join((cell, *after[cell])) for cell in map(str, Cell) if cell in after))
    return answers


def edited(words: list[str], objects: dict[str, Body]) -> list[set[str]]:
    """The cells of what is edited; one set for each answer."""
    phrase = " ".join(words)
    if phrase.startswith("every object that is"):
        wrong = "not" in words
        said = [word for word in words[4:] if word not in ("not", "a")]
        found = {cell for cell, body in objects.items() if is_all(said, body) != wrong}
        return [found] if found else []
    if words[0] == "only" or "except" in words:
        excluded = words[2] if words[0] == "only" else words[words.index("the") + 1]
        noun = words[6:] if words[0] == "only" else words[1 : words.index("except")]
        group = {cell for cell, body in objects.items() if is_all(noun, body)}
        that = {cell for cell in group if excluded in objects[cell]}
        if len(that) != 1 or len(group) < 2:
            return []
        return [that if words[0] == "only" else group - that]
    number = next((NUMBERS[word] for word in words if word in NUMBERS), 0)
    noun = words[words.index("the") + (2 if number else 1) :]
    group = {cell for cell, body in objects.items() if is_all(noun, body)}
    if not number:
        rest = {*objects} - group if phrase.startswith("all but the") else group
        return [rest] if group and rest else []
    if len(group) != number:
        return []
    each = [{cell} for cell in group]
    if words[0] == "both":
        return [group]
    return [group - one for one in each] if phrase.startswith("all but one") else each


def is_all(words: list[str], body: Body) -> bool:
    singular = [word.removesuffix("s") for word in words]
    return all(SOLIDS.get(word, word) in (*body, "object") for word in singular)


def sources(program: Logic, target: Scene) -> list[Scene]:
    """All scenes of red, blue and cyan that can become the target, and more."""
    colours, new = (*COLOURS, Colour.CYAN), program.edit.new
    if new is not None:
        bodies = [
            product(Size if new in Size else [item.size], colours if new in Colour else [item.colour], [item.shape])
            for item in target
        ]
        others = product(
            *([SceneObject(x.cell, *body) for body in each] for x, each in zip(target, bodies, strict=True))
        )
        return [Scene(objects) for objects in others]
    free = [
        [None, *(SceneObject(cell, *body) for body in product(Size, colours, Shape))] for cell in target.empty_cells
    ]
    return [Scene((*target.objects, *filter(None, added))) for added in product(*free)]


@given(programs(), scenes())
def test_targets_are_those_of_a_reader_of_the_words(program: Logic, scene: Scene) -> None:
    for names in ("2d", "3d"):
        assert program.targets(scene) == solve(program.text_with(names), scene)


@settings(max_examples=60)
@given(programs(removals=False), scenes(most=5))
def test_it_can_make_what_it_makes_of_some_scene_with_other_values(program: Logic, target: Scene) -> None:
    found = any(target.key in solve(program.text, source) for source in sources(program, target))
    assert program.can_make(target) == found


@settings(max_examples=60)
@given(programs(makes=False), scenes(least=7))
def test_it_can_make_what_is_left_of_some_scene_with_more_objects(program: Logic, target: Scene) -> None:
    """All that may have been on the empty cells, of which there are two at most."""
    found = any(target.key in solve(program.text, source) for source in sources(program, target))
    assert program.can_make(target) == found


@given(programs(), scenes())
def test_it_can_make_every_target(program: Logic, source: Scene) -> None:
    assert all(program.can_make(target) for target in program.results(source))


@given(programs())
def test_texts_and_json_stand_for_one_program(program: Logic) -> None:
    assert parse(program.text_with("2d")) == parse(program.text_with("3d")) == program
    assert from_json(program.to_json()) == program
    assert "\n" not in program.to_json()


def test_the_texts_of_all_forms() -> None:
    made = {
        "remove all but the cubes": ("all but", "negative", "remove all the cubes"),
        "make every object that is not small red": ("not", "negative", "make every object that is small red"),
        "make every object that is a cube red": ("not", "positive", "make every object that is not a cube red"),
        "remove all spheres except the red one": ("except", "negative", "remove only the red one of all spheres"),
        "remove one of the two red objects": ("one of two", "negative", "remove both of the two red objects"),
        "make one of the three cubes large": ("one of more", "positive", "make all but one of the three cubes large"),
    }
    for text, (form, polarity, sibling) in made.items():
        program = parse(text)
        assert program.text_with("3d") == text
        assert program.attributes(Scene()) == {"kind": program.kind, "form": form, "polarity": polarity}
        assert program.flipped.text_with("3d") == sibling
        assert program.flipped.flipped == program


@pytest.mark.parametrize(
    "text",
    [
        "remove all but the cube",
        "remove all but the objects",
        "remove all but the top-left cubes",
        "remove every object that is not small red",
        "make every object that is not small",
        "remove every object that is an object",
        "remove all red spheres except the blue one",
        "remove all spheres except the red ones",
        "remove one of the five cubes",
        "remove all but one of the two cubes",
        "remove both of the three cubes",
        "make one of the two cubes pink",
        "remove one of the two cubes\n",
        "",
    ],
)
def test_other_texts_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"cannot read the phrase .*expected") as caught:
        parse(text)
    assert "\n" not in str(caught.value)


TRACK = "logic"
GOOD = json.loads(parse("remove all spheres except the red one").to_json())


@pytest.mark.parametrize(
    "values",
    [
        [],
        GOOD | {"more": 1},
        {name: value for name, value in GOOD.items() if name != "count"},
        GOOD | {"form": "unless"},
        GOOD | {"negated": 1},
        GOOD | {"new": 3},
        GOOD | {"noun": None},
        GOOD | {"exception": None},
        GOOD | {"exception": "circle"},
        GOOD | {"noun": GOOD["noun"] | {"colour": "blue"}},
        GOOD | {"count": 3},
        GOOD | {"form": "one of more", "exception": None, "count": 5},
        GOOD | {"count": "three"},
    ],
)
def test_other_json_is_refused_in_one_line(values: object) -> None:
    with pytest.raises(ValueError, match=r"cannot read the phrase .*(expected|not a valid)") as caught:
        from_json(json.dumps(values))
    assert "\n" not in str(caught.value)


def test_a_solver_finds_the_target_and_no_distractor(queries: list[TrackQuery], gallery: list[Scene]) -> None:
    for query in queries:
        right = solve(query.modification.text_with("3d"), query.source_scene)
        assert query.target_scene.key in right
        assert right == query.modification.targets(query.source_scene)
        block = [gallery[image].key for _, image in query.distractors]
        assert right.isdisjoint(block)
        assert len({*block, query.source_scene.key}) == len(block) + 1
    counts = Counter(len(query.modification.targets(query.source_scene)) for query in queries)
    assert {*counts} == {1, 2, 3, 4}


def test_ignoring_the_polarity_is_right_in_half_the_queries(queries: list[TrackQuery], gallery: list[Scene]) -> None:
    """The shortcut's expected R@1 is 50: the gallery holds one answer of each polarity, and few more by chance."""
    images = Counter(scene.key for scene in gallery)
    shares = []
    for query in queries:
        taken = tracks.get("logic").shortcut.targets(query.modification, query.source_scene)
        right = query.modification.targets(query.source_scene)
        assert right < taken
        flipped = solve(query.modification.flipped.text, query.source_scene)
        assert taken == right | flipped
        shown = [gallery[image].key in flipped for why, image in query.distractors if why == "flipped polarity"]
        assert shown == [True]
        shares.append(sum(images[key] for key in right) / sum(images[key] for key in taken))
    assert 100 * sum(shares) / len(shares) == pytest.approx(50, abs=1)


def test_the_text_alone_leaves_another_image_of_the_block(queries: list[TrackQuery], gallery: list[Scene]) -> None:
    for query in queries:
        assert len(query.target_scene) > 0
        assert query.modification.can_make(query.target_scene)
        assert [query.modification.can_make(gallery[i]) for why, i in query.distractors if why == "other source"] == [
            True
        ]


def test_forms_polarities_and_edits_are_balanced(queries: list[TrackQuery]) -> None:
    asked = [query.modification.attributes(query.source_scene) for query in queries]
    triples = Counter((each["form"], each["polarity"], each["kind"]) for each in asked)
    expected = len(queries) / (5 * 2 * 3)
    assert len(triples) == 30
    assert sum((count - expected) ** 2 / expected for count in triples.values()) < 58.3, "chi-square, 1 in 1,000"


def test_the_number_of_changed_objects_does_not_tell_the_polarity(queries: list[TrackQuery]) -> None:
    """Of "all but" and "not", the negative phrase changes more objects than its sibling as often as fewer."""
    more = []
    for query in queries:
        program = query.modification
        if isinstance(program, Logic) and program.form in (Form.ALL_BUT, Form.NOT):
            (own,), (other,) = (each.results(query.source_scene) for each in (program, program.flipped))
            changed, sibling = (len({*query.source_scene} - {*scene}) for scene in (own, other))
            if changed != sibling:
                more.append((changed > sibling) == program.negated)
    assert len(more) > 150
    assert abs(sum(more) - len(more) / 2) < 3.3 * (len(more) / 4) ** 0.5
