"""Tallies of answers against slow counts, and the guards on words that stand out."""

from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

import css_gen.dataset
from benchmark.explanation import summary
from benchmark.explanation.answer_kinds import AnswerKind, kind_of_answer
from benchmark.explanation.differences import CellRow, differing_cells, in_words
from benchmark.explanation.summary import Tally, kinds_of_answers, tally, words_of
from benchmark.explanation.track_kinds import Kind
from css_gen.dataset import QueryRow
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.modification import parse
from css_gen.scenes.scene import Scene, SceneObject
from tests.benchmark.made_up_site import random_answers

OBJECT, SCENE, DRAWN = AnswerKind.OBJECT, AnswerKind.SCENE, AnswerKind.DRAWN


def query(number: int, text: str, modification: int | None = None) -> QueryRow:
    """A query; every modification has three, as in a dataset, unless its number is given."""
    program = parse(text)
    group = number // 3 if modification is None else modification
    return QueryRow(number, 0, 1, group, text, program, program.kind, novel=False)


def by_kind(tallies: tuple[Tally, ...]) -> dict[AnswerKind, Tally]:
    return {each.kind: each for each in tallies}


def test_the_kinds_of_a_split_agree_with_its_ranks(css_root: Path) -> None:
    split = css_gen.dataset.open(css_root).split("test")
    scenes = [split.scene(row) for row in range(len(split))]
    outcomes, top = random_answers(css_root, seed=1)
    kinds = kinds_of_answers(scenes, split.queries, outcomes)
    assert [kind.is_relevant for kind in kinds] == (outcomes.ranks == 1).tolist()
    for each, first, kind in zip(split.queries, top[:, 0], kinds, strict=True):
        source, target = split.scene(each.source_id), split.scene(each.target_id)
        assert kind is kind_of_answer(source, each.modification, target, split.scene(int(first)))
    assert SCENE in kinds


def test_known_kinds_are_those_of_every_run(css_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = css_gen.dataset.open(css_root).split("test")
    scenes = [split.scene(row) for row in range(len(split))]
    runs = [random_answers(css_root, seed=seed)[0] for seed in (1, 2, 3)]
    alone = [kinds_of_answers(scenes, split.queries, run) for run in runs]
    known: dict[tuple[int, int], Kind] = {}
    assert [kinds_of_answers(scenes, split.queries, run, known=known) for run in runs] == alone
    assert known.keys() == {pair for run in runs for pair in enumerate(run.top1.tolist())}
    monkeypatch.setattr(summary, "kind_of_image", None)
    assert kinds_of_answers(scenes, split.queries, runs[1], known=known) == alone[1]


def test_scenes_that_were_not_ranked_are_noticed(css_root: Path) -> None:
    split = css_gen.dataset.open(css_root).split("test")
    scenes = [split.scene(row) for row in range(len(split))]
    outcomes, _ = random_answers(css_root, seed=1)
    shifted = replace(outcomes, top1=np.roll(outcomes.top1, 1))
    with pytest.raises(ValueError, match=r"query \d+: its rank contradicts the scene of its first image"):
        kinds_of_answers(scenes, split.queries, shifted)


TEXTS = ["add red circle to top-left", "add object", "remove small rectangle", "make red object blue",
         "make bottom-right red circle red", "remove top-left gray triangle", "make object large"]  # fmt: skip


@pytest.mark.parametrize("runs", [1, 3])
def test_a_tally_is_the_count(runs: int) -> None:
    """Where texts with "red" fail often: against counts word by word, and query by query."""
    rng = np.random.default_rng(runs)
    queries = [query(number, str(text)) for number, text in enumerate(rng.choice(TEXTS, 200))]
    chance = [0.7 if "red" in each.text else 0.1 for each in queries]
    kinds = [[OBJECT if fails else DRAWN for fails in rng.random(len(queries)) < chance] for _ in range(runs)]
    kinds[0][0] = SCENE
    found = by_kind(tally(queries, kinds))
    assert list(found) == list(AnswerKind)
    assert sum(each.share for each in found.values()) == pytest.approx(100)
    pairs = [(each, kind) for answers in kinds for each, kind in zip(queries, answers, strict=True)]
    for kind, each in found.items():
        of_kind = [one for one, its in pairs if its is kind]
        assert each.answers == len(of_kind)
        assert each.share == pytest.approx(100 * len(of_kind) / len(pairs))
        assert list(each.by_modification) == ["add", "make-colour", "make-size", "remove"]
        for name, share in each.by_modification.items():
            asked = [its for one, its in pairs if one.kind == name]
            assert share == pytest.approx(100 * asked.count(kind) / len(asked))
        expected = {}
        for word in {word for one in queries for word in words_of(one.text, one.modification)}:
            having = [one for one in of_kind if word in words_of(one.text, one.modification)]
            everywhere = sum(word in words_of(one.text, one.modification) for one, _ in pairs)
            mean = everywhere / len(pairs) * len(of_kind) / runs
            is_enough = len(having) >= 10 * runs and len({one.modification_id for one in having}) >= 5
            if is_enough and (len(having) / runs - mean) / sqrt(mean) >= 3:
                expected[word] = (pytest.approx(len(having) / runs / mean), len(having))
        assert {word.word: word[1:] for word in each.words}.items() <= expected.items()
        assert len(each.words) == min(3, len(expected))
    assert "red" in {word.word for word in found[OBJECT].words}


def failing(count: int, *, modifications: int, others: int = 200, runs: int = 1) -> tuple[Tally, ...]:
    """`count` queries of "remove red circle" have the wrong object in each run, those of other texts the target."""
    queries = [query(number, "remove red circle", number % modifications) for number in range(count)]
    queries += [query(count + number, "remove small triangle", 1000 + number) for number in range(others)]
    return tally(queries, [[OBJECT] * count + [DRAWN] * others] * runs)


@pytest.mark.parametrize("runs", [1, 10])
def test_words_stand_out_where_their_queries_fail(runs: int) -> None:
    words = by_kind(failing(20, modifications=10, runs=runs))[OBJECT].words
    assert {word.word for word in words} == {"red", "circle", "(no size)"}
    assert [word.ratio for word in words] == [pytest.approx(11)] * 3
    assert {word.answers for word in words} == {20 * runs}
    assert by_kind(failing(20, modifications=10))[SCENE].words == ()


@pytest.mark.parametrize(
    ("count", "modifications", "others"),
    [(9, 9, 200), (20, 4, 200), (20, 10, 10), (20, 10, 0)],
    ids=["few answers", "few modifications", "hardly more than in all", "everything fails"],
)
@pytest.mark.parametrize("runs", [1, 10])
def test_words_that_may_stand_out_by_chance_are_left_out(
    count: int, modifications: int, others: int, runs: int
) -> None:
    """However many runs agree: they answer the same queries."""
    assert by_kind(failing(count, modifications=modifications, others=others, runs=runs))[OBJECT].words == ()


def test_words_of_a_text_name_what_it_leaves_open_too() -> None:
    def words(text: str) -> list[str]:
        return list(words_of(text, parse(text)))

    assert words("add object") == ["object", "(no cell)", "(no size)", "(no colour)"]
    assert words("make top-left small red circle red") == ["top-left", "small", "red", "circle"]


def test_no_answers_have_no_tally() -> None:
    with pytest.raises(ValueError, match="there are no answers"):
        tally([], [[]])


CUBE = SceneObject(Cell.TOP_LEFT, Size.LARGE, Colour.RED, Shape.RECTANGLE)
BALL = SceneObject(Cell.BOTTOM_RIGHT, Size.SMALL, Colour.BLUE, Shape.CIRCLE)
RED_BALL = SceneObject(Cell.BOTTOM_RIGHT, Size.SMALL, Colour.RED, Shape.CIRCLE)


def test_only_cells_that_differ_are_told_in_the_order_of_the_grid() -> None:
    scenes = [Scene((BALL, CUBE)), Scene((RED_BALL, CUBE)), Scene((BALL,))]
    assert differing_cells(scenes, names="2d") == [
        CellRow(Cell.TOP_LEFT, ("large red rectangle", "large red rectangle", "-")),
        CellRow(Cell.BOTTOM_RIGHT, ("small blue circle", "small red circle", "small blue circle")),
    ]
    assert differing_cells([Scene((BALL,)), Scene((BALL,))], names="2d") == []


def test_scenes_are_told_with_the_names_of_their_texts() -> None:
    scene = Scene((BALL, CUBE))
    assert in_words(scene, names="2d") == scene.key
    assert in_words(scene, names="3d") == "top-left large red cube; bottom-right small blue sphere"
    assert in_words(Scene(), names="3d") == "nothing"
    with pytest.raises(ValueError, match="names must be 2d or 3d"):
        in_words(scene, names="4d")
