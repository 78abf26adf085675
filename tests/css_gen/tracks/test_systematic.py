"""What the track systematic holds out of training, and that a test query shows exactly one thing of it."""

import json
from collections import Counter
from statistics import fmean

import pytest

from css_gen.scenes.factors import Cell, Colour, Shape
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.modification import KINDS, Add
from css_gen.scenes.modification import parse as parse_css
from css_gen.scenes.randomness import SplitId
from css_gen.tracks import get
from css_gen.tracks.systematic import (
    HELD_OUT_COLOURS,
    HELD_OUT_SHAPES,
    NOVELTIES,
    SystematicEdit,
    novelty_of_source,
    program_from_json,
    reference,
)
from tests.css_gen.scenes.reading import fits, grid
from tests.css_gen.tracks.test_edits import (
    assert_even,
    plan_of,
    probe_recall,
    queries_of,
    scenes_of,
    share_that_the_text_decides,
    shortcut_recall,
)

TRACK = get("systematic")


@pytest.fixture(scope="module")
def train():
    return plan_of("systematic", SplitId.TRAIN, 6_000)


@pytest.fixture(scope="module")
def test():
    return plan_of("systematic", SplitId.TEST, 10_000)


def held_out_of(query, plan):
    """What training never shows of a query, cell by cell; all images of a query are of one material."""
    before, after = grid(query.source_scene), grid(query.target_scene)
    changed = {cell for cell in Cell if before.get(cell) != after.get(cell)}
    items = [(cell, *of[cell]) for of in (before, after) for cell in changed if cell in of]
    kind = query.modification.kind
    touched = [shape for _, _, _, shape in items]
    if kind != "add":
        matched = filter(query.modification.modification.selector.matches, query.source_scene)
        touched += [item.shape for item in matched]
    found = {
        "operation and shape": HELD_OUT_SHAPES[kind] in touched,
        "cell and colour": any(HELD_OUT_COLOURS[cell] == colour for cell, _, colour, _ in items),
        "objects": len(before) > 6 or len(after) > 6,
        "shape and colour": any((shape, colour) in plan.held_out.test_only for _, _, colour, shape in items),
    }
    images = (query.source, query.target, *(image for _, image in query.distractors))
    (material,) = {name for image in images for name in plan.materials(image)}
    return {name for name, holds in found.items() if holds} | ({"material"} if material == "metal" else set())


# The rules


def test_every_kind_misses_a_shape_and_every_shape_is_missed_by_a_third_of_the_edits():
    assert HELD_OUT_SHAPES.keys() == {*KINDS}
    share = {"add": 2, "remove": 2, "make-colour": 1, "make-size": 1}
    assert {s: sum(share[k] for k, missed in HELD_OUT_SHAPES.items() if missed is s) for s in Shape} == dict.fromkeys(
        Shape, 2
    )


def test_every_cell_misses_a_colour_and_every_colour_a_cell():
    assert HELD_OUT_COLOURS.keys() == {*Cell}
    assert {*HELD_OUT_COLOURS.values()} == {*Colour}


# Training


def test_training_shows_nothing_that_is_held_out(train):
    assert {train.materials(image) for image in range(train.images)} == {("rubber",)}
    for scene in scenes_of(train):
        assert len(scene) <= 6
        assert not any(item.colour is HELD_OUT_COLOURS[item.cell] for item in scene)
        assert not any((item.shape, item.colour) in train.held_out.test_only for item in scene)
    for query in queries_of(train):
        assert held_out_of(query, train) == set()
        assert query.modification.modification.selector.shape is not HELD_OUT_SHAPES[query.modification.kind]
        assert query.modification.novelty == "seen"


def test_training_shows_everything_else(train):
    scenes = scenes_of(train)
    assert {len(scene) for scene in train.reference_scenes} == {3, 4, 5, 6}
    shown = {(item.cell, item.colour) for scene in scenes for item in scene}
    assert shown == {(cell, colour) for cell in Cell for colour in Colour if colour is not HELD_OUT_COLOURS[cell]}
    allowed = {*train.held_out.allowed(SplitId.TRAIN)}
    assert {(item.shape, item.colour) for scene in scenes for item in scene} == allowed
    asked = {(query.modification.kind, query.modification.modification.selector.shape) for query in queries_of(train)}
    assert {(kind, shape) for kind, shape in asked if shape} == {
        (kind, shape) for kind in KINDS for shape in Shape if shape is not HELD_OUT_SHAPES[kind]
    }


# Test


def test_held_out_combinations_that_allow_no_scene_are_refused():
    with pytest.raises(ValueError, match="allow no scene for queries novel by shape and colour"):
        reference(6, 0, SplitId.TEST, HeldOut(frozenset(), frozenset()))
    assert reference(6, 0, SplitId.TRAIN, HeldOut(frozenset(), frozenset()))


def test_a_test_query_shows_exactly_the_one_thing_that_it_is_labelled_with(test):
    for query in queries_of(test):
        novelty = query.modification.novelty
        assert held_out_of(query, test) == {novelty} - {"seen"}
        assert novelty == novelty_of_source(query.source, SplitId.TEST)
        assert query.novel == (novelty == "shape and colour")
        assert query.modification.attributes(query.source_scene)["novelty"] == novelty


def test_a_source_shows_nothing_novel_but_what_its_queries_are_labelled_with(test):
    for index, scene in enumerate(test.reference_scenes):
        shows = {
            "cell and colour": any(item.colour is HELD_OUT_COLOURS[item.cell] for item in scene),
            "objects": len(scene) > 6,
            "shape and colour": any((item.shape, item.colour) in test.held_out.test_only for item in scene),
            "material": test.materials(index) == ("metal",),
        }
        assert {name for name, holds in shows.items() if holds} == {novelty_of_source(index, SplitId.TEST)} - {
            "seen",
            "operation and shape",
        }


def test_half_of_the_test_references_have_more_objects_than_training_shows(test):
    counts = Counter(map(len, test.reference_scenes))
    assert {*counts} == {3, 4, 5, 6, 7, 8, 9}
    assert abs(sum(counts[number] for number in (7, 8, 9)) - test.references / 2) <= 0.5
    for numbers, most_apart in (((3, 4, 5, 6), 5), ((7, 8, 9), 1)):
        assert max(counts[number] for number in numbers) - min(counts[number] for number in numbers) <= most_apart


def test_every_label_has_a_sixth_of_the_queries_and_every_kind_its_share_of_each(test):
    queries = queries_of(test)
    labels = Counter(query.modification.novelty for query in queries)
    assert {*labels} == {*NOVELTIES}
    assert max(labels.values()) < 1.15 * min(labels.values())
    pairs = Counter((query.modification.novelty, query.modification.kind) for query in queries)
    for label, kind in pairs:
        share = 1 / 3 if kind in ("add", "remove") else 1 / 6
        assert pairs[label, kind] / labels[label] == pytest.approx(share, abs=0.08)


@pytest.mark.parametrize("split", SplitId)
def test_kinds_cells_and_colours_are_balanced(split):
    queries = queries_of(plan_of("systematic", split, 8_000))
    kinds = Counter(query.modification.kind for query in queries)
    shares = {kind: count / len(queries) for kind, count in kinds.items()}
    assert shares == pytest.approx({"add": 1 / 3, "remove": 1 / 3, "make-colour": 1 / 6, "make-size": 1 / 6}, abs=0.03)
    selectors = [query.modification.modification.selector for query in queries]
    assert_even(Counter(selector.cell for selector in selectors if selector.cell), len(Cell))


# Answers


def test_a_solver_that_reads_scenes_scores_100(test):
    for query in queries_of(test):
        text, source = query.modification.text, query.source_scene
        assert fits(text, source, query.target_scene)
        assert query.modification.is_target(source, query.target_scene)
        assert len(query.distractors) == TRACK.distractors
        for why, image in query.distractors:
            assert why in TRACK.contrasts
            assert not fits(text, source, test.scene(image))
            assert test.scene(image) != source


def test_how_much_an_image_shows_of_what_is_held_out_says_little_of_the_answer(test):
    """The target shows the most of its block in 27% and the least in 16% of the blocks, where chance is 25."""
    most, least, test_only = [], [], test.held_out.test_only
    for query in queries_of(test):
        if query.modification.novelty in ("cell and colour", "shape and colour"):
            scenes = [query.target_scene, *(test.scene(image) for _, image in query.distractors)]
            shown = [
                sum(x.colour is HELD_OUT_COLOURS[x.cell] or (x.shape, x.colour) in test_only for x in scene)
                for scene in scenes
            ]
            most.append((shown[0] == max(shown)) / shown.count(max(shown)))
            least.append((shown[0] == min(shown)) / shown.count(min(shown)))
    assert fmean(most) < 0.35
    assert fmean(least) < 0.35


def test_hardly_any_text_decides_its_answer(test):
    """Some do: few images show what is held out, and where a text names it in full, there may be no other."""
    assert share_that_the_text_decides(test, every=7) < 0.01


def test_a_linear_probe_on_text_alone_finds_next_to_nothing(train, test):
    """The printed level of text alone is 0.8 in a gallery of 10,000; the probe works, as it does with the source."""
    assert probe_recall(train, test, with_source=False) < 1
    assert probe_recall(train, test, with_source=True) > 10


def test_a_solver_of_seen_queries_scores_their_share(test):
    """It leaves the source of any other query as it is, which answers none: 16.7 in all."""
    scores = shortcut_recall(test, "novelty")
    assert scores["all"] == pytest.approx(100 / 6, abs=1.5)
    assert {name: score for name, score in scores.items() if name != "all"} == {
        name: 100 * (name == "seen") for name in NOVELTIES
    }


# Programs


def test_programs_are_read_back(test):
    for query in queries_of(test)[::5]:
        program = query.modification
        for names in ("2d", "3d"):
            assert TRACK.parse(program.text_with(names)) == program
        read = program_from_json(program.to_json())
        assert (read, read.novelty) == (program, program.novelty)


GOOD = json.loads(SystematicEdit(parse_css("add red circle"), "objects").to_json())


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{}",
        json.dumps(GOOD | {"more": 1}),
        json.dumps(GOOD | {"novelty": "new"}),
        json.dumps(GOOD | {"novelty": None}),
        json.dumps(GOOD | {"novelty": ["seen"]}),
        json.dumps(GOOD | {"modification": "add red circle"}),
    ],
)  # fmt: skip
def test_other_json_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match="cannot read the program") as caught:
        program_from_json(text)
    assert "\n" not in str(caught.value)
    assert isinstance(program_from_json(json.dumps(GOOD)).modification, Add)
