"""Chains, against a reader of their words that shares no code with css_gen, and what a split asks."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from css_gen import tracks
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.scene import Scene, SceneObject
from tests.css_gen.scenes.reading import fits
from tests.css_gen.scenes.test_exact_targets import ALL_TEXTS, FEW_CELLS, SMALL_TEXTS, SMALL_WORLD, scenes
from tests.css_gen.tracks.test_every_track import certificate, plan_of, queries_of

CHAIN = tracks.get("chain")
SMALL = {scene.key: scene for scene in SMALL_WORLD}
EDITS = SMALL_TEXTS.filter(lambda text: not text.startswith("add") or (len(text.split()) == 6 and "object" not in text))
"""Of the small world; an add names all of its object, so that the scenes in between are of the small world, too."""


def scene(*texts: str) -> Scene:
    factors = (Cell, Size, Colour, Shape)
    return Scene(
        tuple(SceneObject(*(f(word) for f, word in zip(factors, text.split(), strict=True))) for text in texts)
    )


def made_of(text: str, source: Scene) -> set[str]:
    """Return the scenes of the small world that the text makes by way of scenes of the small world."""
    reached = {source.key}
    for edit in text.split(", then "):
        reached = {key for key, after in SMALL.items() if any(fits(edit, SMALL[each], after) for each in reached)}
    return reached


@settings(max_examples=25)
@given(first=EDITS, second=EDITS, source=st.sampled_from(SMALL_WORLD))
def test_targets_are_what_one_edit_after_the_other_makes(first: str, second: str, source: Scene) -> None:
    assert made_of(f"{first}, then {second}", source) == CHAIN.parse(f"{first}, then {second}").targets(source)


RED, GRAY, BLUE = "top-left small red circle", "top-right small gray circle", "top-right small blue circle"


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("remove gray object, then make top-left circle large", [RED, GRAY], [["top-left large red circle"]]),
        ("make red object blue, then remove blue object", [RED, GRAY], [[GRAY]]),
        ("make red object blue, then remove blue object", [RED, BLUE], [[]]),
        ("remove blue object, then make red object blue", [RED, BLUE], [["top-left small blue circle"]]),
        ("remove red object, then remove red object", [RED, GRAY], []),
        ("make red object blue, then make blue object blue", [RED], [["top-left small blue circle"]]),
        ("add small red circle to top-left, then remove large object", [RED], []),
        ("add small red circle to top-left, then make small object large", [GRAY],
         [["top-left large red circle", "top-right large gray circle"]]),
        ("add red circle to top-left, then make large object gray", [GRAY], [["top-left large gray circle", GRAY]]),
    ],
)  # fmt: skip
def test_by_example(text: str, before: list[str], after: list[list[str]]) -> None:
    assert CHAIN.parse(text).targets(scene(*before)) == {scene(*each).key for each in after}


@settings(max_examples=100)
@given(texts=st.lists(ALL_TEXTS, min_size=1, max_size=4), source=scenes)
def test_a_chain_can_make_its_targets(texts: list[str], source: Scene) -> None:
    adds = [place for place, text in enumerate(texts) if text.startswith("add")]
    chain = CHAIN.parse(", then ".join(text for place, text in enumerate(texts) if place not in adds[1:]))
    assert all(chain.can_make(_read(key)) for key in chain.targets(source))


@settings(max_examples=40)
@given(first=EDITS, second=EDITS)
def test_it_can_make_a_scene_if_and_only_if_some_source_leads_there(first: str, second: str) -> None:
    """Two of the three cells are empty in the end, so that there was room for whatever two edits took away."""
    chain = CHAIN.parse(f"{first}, then {second}")
    made = {key for source in SMALL_WORLD for key in chain.targets(source)}
    for after in SMALL_WORLD:
        if all(item.cell is FEW_CELLS[0] for item in after):
            assert chain.can_make(after) == (after.key in made), (chain.text, after.key)


def _read(key: str) -> Scene:
    return scene(*key.split("; ")) if key else Scene()


@pytest.mark.parametrize("text", ["[]", '[{"type": "jump"}]', "[1]", '{"type": "remove"}'])
def test_json_of_no_chain_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot read the chain"):
        CHAIN.from_json(text)


def test_five_edits_are_too_many() -> None:
    with pytest.raises(ValueError, match="expected 1 to 4 edits, got 5"):
        CHAIN.parse(", then ".join(["remove circle"] * 5))
    with pytest.raises(ValueError, match="cannot read the modification"):
        CHAIN.parse("remove circle then remove triangle")


@pytest.mark.parametrize(
    ("text", "source", "order"),
    [
        ("make red object blue, then remove blue object", [RED, BLUE],
         "order matters"),
        ("make red object blue, then remove circle", [RED, BLUE],
         "order does not matter"),
        ("remove red object, then remove blue object", [RED, BLUE],
         "order does not matter"),
        ("remove red object", [RED], "one edit"),
        # Only one of eight colours of the new object would be made large with it: the other order has right answers.
        ("add small circle to top-left, then make red circle large", ["top-right small red circle"],
         "order does not matter"),
    ],
)  # fmt: skip
def test_the_order_matters_where_no_answer_of_another_is_right(text: str, source: list[str], order: str) -> None:
    assert CHAIN.parse(text).attributes(scene(*source))["order"] == order


# What a split asks


def steps(text: str, source: Scene, target: Scene, between: list[Scene]) -> Iterator[bool]:
    edits = text.split(", then ")
    for edit, (before, after) in zip(edits, pairwise([source, *between, target]), strict=True):
        yield fits(edit, before, after) and before != after


def test_the_gallery_holds_every_scene_in_between_and_the_other_order() -> None:
    plan = plan_of("chain", SplitId.TEST)
    for query in queries_of("chain", SplitId.TEST):
        text, edits = query.modification.text, query.modification.edits
        wrong: dict[str, list[Scene]] = {why: [] for why in CHAIN.contrasts}
        for why, image in query.distractors:
            wrong[why].append(plan.scene(image))
        between = wrong["missing edit"][: len(edits) - 1]
        assert all(steps(text, query.source_scene, query.target_scene, between))
        assert len(wrong["other source"]) == 1
        other = wrong["other source"][0]
        changed = {*other} ^ {*query.target_scene}
        assert len({item.cell for item in changed}) == 1
        assert query.modification.can_make(other)
        matters = query.modification.attributes(query.source_scene)["order"] == "order matters"
        assert len(wrong["swapped order"]) == matters


def test_lengths_and_orders_are_asked_equally_often() -> None:
    for split, lengths in ((SplitId.TRAIN, 2), (SplitId.TEST, 4)):
        rows = [query.modification.attributes(query.source_scene) for query in queries_of("chain", split)]
        asked = Counter(row["length"] for row in rows)
        assert len(asked) == lengths
        assert max(asked.values()) - min(asked.values()) <= 0.03 * len(rows) + 2
        for length in set(asked) - {"1 edit"}:
            orders = Counter(row["order"] for row in rows if row["length"] == length)
            assert max(orders.values()) - min(orders.values()) <= 0.05 * asked[length] + 2


def test_kinds_of_edits_are_as_frequent_as_in_css() -> None:
    kinds = Counter(
        edit.kind for split in SplitId for query in queries_of("chain", split) for edit in query.modification.edits
    )
    for kind, share in {"add": 1 / 3, "remove": 1 / 3, "make-colour": 1 / 6, "make-size": 1 / 6}.items():
        expected = share * kinds.total()
        assert abs(kinds[kind] - expected) < 4 * expected**0.5, kinds


def test_the_last_edit_alone_answers_little_more_than_the_queries_of_one_edit() -> None:
    one_edit = sum(len(query.modification.edits) == 1 for query in queries_of("chain", SplitId.TEST))
    share = 100 * one_edit / len(queries_of("chain", SplitId.TEST))
    assert share - 3 <= certificate("chain").shortcut_recall <= share + 8
