"""Chains, against a reader of their words that shares no code with css_gen, and what a split asks."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise, permutations

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
         "order matters in part"),
        # The other order leaves a blue circle, and so does leaving out the removal.
        ("make red object blue, then remove blue object", [RED],
         "order matters in part"),
        # No two neighbours can be swapped to another answer, but the first and the last can.
        ("make red object blue, then remove gray object, then remove blue object",
         [RED, GRAY, "bottom-left small blue circle"],
         "order matters"),
    ],
)  # fmt: skip
def test_whether_the_order_matters(text: str, source: list[str], order: str) -> None:
    assert CHAIN.parse(text).attributes(scene(*source))["order"] == order


def outcomes(texts: Sequence[str], source: str) -> set[str]:
    """Return the keys of what the edits make one after the other; one that does not apply is left out."""
    keys = {source}
    for text in texts:
        keys = {after for key in keys for after in CHAIN.parse(text).targets(_read(key)) or {key}}
    return keys


def other_orders(texts: Sequence[str], source: str) -> list[set[str]]:
    return [outcomes(order, source) for order in permutations(texts) if order != tuple(texts)]


def fewer_edits(texts: Sequence[str], source: str) -> set[str]:
    some = (each for count in range(len(texts)) for each in combinations(texts, count))
    return {key for each in some for key in outcomes(each, source)}


RELATED = [
    *("remove red object", "remove blue circle", "remove small object", "make red object blue", "make blue object red"),
    *("make circle large", "make top-right object red", "add small red circle to top-left"),
    *("add blue circle to middle-center", "add small circle to bottom-left"),
]
"""Edits that often change what others select."""


@settings(max_examples=200)
@given(
    texts=st.lists(st.sampled_from(RELATED), min_size=2, max_size=4),
    source=st.sampled_from([scene(RED, GRAY), scene(RED, BLUE), scene(RED, BLUE, "middle-left large blue circle")]),
)
def test_the_order_is_what_plain_enumeration_gives(texts: list[str], source: Scene) -> None:
    chain = CHAIN.parse(", then ".join(texts))
    right = chain.targets(source)
    orders = other_orders(texts, source.key)
    wrong = {key for each in orders if not each & right for key in each - fewer_edits(texts, source.key)}
    expected = "order does not matter" if all(each == right for each in orders) else "order matters in part"
    assert chain.attributes(source)["order"] == ("order matters" if wrong else expected)
    assert {each.key for result in chain.other_orders(source) for each in result} == wrong


# What a split asks


MISSING = {"missing edit", "missing edit or other order"}


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
        between = [plan.scene(image) for _, image in query.distractors[: len(edits) - 1]]
        assert {why for why, _ in query.distractors[: len(edits) - 1]} <= MISSING
        assert all(steps(text, query.source_scene, query.target_scene, between))
        assert len(wrong["other source"]) == 1
        other = wrong["other source"][0]
        changed = {*other} ^ {*query.target_scene}
        assert len({item.cell for item in changed}) == 1
        assert query.modification.can_make(other)
        matters = query.modification.attributes(query.source_scene)["order"] == "order matters"
        assert len(wrong["other order"]) == matters


def test_a_wrong_answer_tells_a_missing_edit_from_another_order() -> None:
    plan = plan_of("chain", SplitId.TEST)
    for query in queries_of("chain", SplitId.TEST):
        texts, source = query.modification.text.split(", then "), query.source_scene.key
        orders, fewer = set().union(*other_orders(texts, source)), fewer_edits(texts, source)
        expected = {
            "missing edit": (True, False),
            "other order": (False, True),
            "missing edit or other order": (True, True),
        }
        for why, image in query.distractors:
            key = plan.scene(image).key
            assert (key in fewer, key in orders) == expected.get(why, (False, False)), (why, query.modification.text)


def test_lengths_and_orders_are_asked_equally_often() -> None:
    for split, lengths in ((SplitId.TRAIN, 2), (SplitId.TEST, 4)):
        rows = [query.modification.attributes(query.source_scene) for query in queries_of("chain", split)]
        asked = Counter(row["length"] for row in rows)
        assert len(asked) == lengths
        assert max(asked.values()) - min(asked.values()) <= 0.03 * len(rows) + 2
        for length in set(asked) - {"1 edit"}:
            orders = Counter(row["order"] for row in rows if row["length"] == length)
            for order, share in {
                "order matters": 0.5,
                "order matters in part": 0.25,
                "order does not matter": 0.25,
            }.items():
                assert abs(orders[order] - share * asked[length]) <= 0.03 * asked[length] + 2


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


def test_a_solver_that_ignores_the_order_guesses_where_the_order_matters() -> None:
    """It takes the results of all orders for right: 46 of 10,000 images where the order matters, 77 in all."""
    plan, shares = plan_of("chain", SplitId.TEST), defaultdict(list)
    images = Counter(plan.scene(image).key for image in range(plan.images))
    for query in queries_of("chain", SplitId.TEST):
        source, texts = query.source_scene, [edit.text for edit in query.modification.edits]
        right = query.modification.targets(source)
        taken = right.union(*other_orders(texts, source.key))
        counts = {key: images[key] - (key == source.key) for key in taken}
        share = 100 * sum(counts[key] for key in right) / sum(counts.values())
        for name in ("all", query.modification.order(source)):
            shares[name].append(share)
    found = {name: sum(each) / len(each) for name, each in shares.items()}
    assert found["order matters"] == pytest.approx(46, abs=5)
    assert found["all"] == pytest.approx(77, abs=5)
    assert found["one edit"] == found["order does not matter"] == 100
