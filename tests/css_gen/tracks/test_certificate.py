"""The certificate against enumerating every scene for every query, one after the other."""

from dataclasses import replace

import pytest

from css_gen import tracks
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.scene import Scene
from css_gen.tracks.certificate import Question, certify
from tests.css_gen.tracks.test_chain import scene
from tests.css_gen.tracks.test_every_track import plan_of, queries_of

CHAIN = tracks.get("chain")
RED, BLUE = "top-left small red circle", "top-right small blue circle"


def slowly(questions: list[Question], gallery: list[Scene]) -> list[float]:
    """Return the six shares in percent, image by image."""
    rows = []
    for question in questions:
        program, source = question.program, gallery[question.source]
        others = [image for image in range(len(gallery)) if image != question.source]
        right = [image for image in others if program.is_target(source, gallery[image])]
        possible = [image for image in others if program.can_make(gallery[image])]
        siblings = [each for each in questions if gallery[each.source] == source]
        known = [
            image
            for each in siblings
            for image in range(len(gallery))
            if each.program.is_target(source, gallery[image])
        ]
        wrong = [image for image in (*known, *question.distractors) if not program.is_target(source, gallery[image])]
        taken = [image for image in others if gallery[image].key in CHAIN.shortcut.targets(program, source)]
        hits = len(set(taken) & set(right))
        block = [gallery[image] for image in (question.target, *question.distractors)]
        sums = [sum(cells_that_differ(each, other) for other in block if other is not each) for each in block]
        nearest = [place for place, each in enumerate(sums) if each == min(sums)]
        centre = 1 / len(nearest) if 0 in nearest else 0
        known_wrong = set(possible) <= set(right), not wrong
        rows.append((*known_wrong, hits / max(1, len(taken)), len(right) / len(others), centre, 1 / len(block)))
    return [100 * sum(column) / len(rows) for column in zip(*rows, strict=True)]


def cells_that_differ(first: Scene, second: Scene) -> int:
    return len({item.cell for item in {*first} ^ {*second}})


@pytest.mark.parametrize("with_distractors", [True, False])
def test_it_is_what_plain_enumeration_gives(with_distractors: bool) -> None:
    plan = plan_of("chain", SplitId.TEST)
    queries = queries_of("chain", SplitId.TEST)[:24]
    images = [*range(60), *(query.target for query in queries)]
    images += [image for query in queries for _, image in query.distractors if with_distractors]
    row = {image: number for number, image in enumerate(images)}
    gallery = [plan.scene(image) for image in images]
    questions = [
        Question(
            query.modification,
            row[query.source],
            row[query.target],
            tuple(row[image] for _, image in query.distractors if with_distractors),
        )
        for query in queries
    ]
    found = certify(CHAIN, questions, gallery)
    figures = [found.text_alone, found.source_alone, found.shortcut_recall, found.chance]
    figures += [found.centre, found.centre_chance]
    assert figures == pytest.approx(slowly(questions, gallery))
    assert (found.text_alone > 0) != with_distractors


def test_by_hand() -> None:
    """Image 0 is the source of both queries, image 3 shows it again; 1 and 2 are their answers, 4 is another scene."""
    gallery = [scene(RED, BLUE), scene(RED), scene(BLUE), scene(RED, BLUE), scene("top-left large red circle")]
    questions = [Question(CHAIN.parse("remove blue circle"), 0, 1), Question(CHAIN.parse("remove red circle"), 0, 2)]
    both = certify(CHAIN, questions, gallery)
    # Without its source a scene with no blue circle is 1 or 4, one with no red circle is 2 alone.
    assert (both.text_alone, both.source_alone, both.shortcut_recall, both.chance) == (50, 0, 100, 25)
    alone = certify(CHAIN, questions[:1], gallery)
    assert alone.source_alone == 100
    assert certify(CHAIN, [replace(questions[0], distractors=(4,))], gallery).source_alone == 0
    # A red circle may have been added to any scene that has one, and the large one is wrong here.
    assert certify(CHAIN, [Question(CHAIN.parse("add small red circle"), 2, 0)], gallery).text_alone == 0
    assert certify(CHAIN, [Question(CHAIN.parse("add small red circle"), 2, 0)], gallery[:4]).text_alone == 0
    assert certify(CHAIN, [Question(CHAIN.parse("add small circle to top-right"), 1, 0)], gallery).chance == 50


def test_the_centre_differs_from_the_others_in_the_fewest_cells() -> None:
    gallery = [scene(RED, BLUE), scene(RED), scene(BLUE), scene(), scene("top-left large red circle")]
    # Image 1 differs in 1, 2, 1 and 1 cells from the images 0, 2, 3 and 4, and image 3 in as many.
    asked = [Question(CHAIN.parse("remove blue circle"), 0, target, others) for target, others in (
        (1, (0, 4)), (1, (0, 2, 3, 4)), (0, (1, 2, 3, 4)), (1, (4,)), (1, (3, 4)), (1, ())
    )]  # fmt: skip
    found = [certify(CHAIN, [each], gallery) for each in asked]
    assert [each.centre for each in found] == pytest.approx([100, 50, 0, 50, 100 / 3, 100])
    assert [each.centre_chance for each in found] == pytest.approx([100 / 3, 20, 20, 50, 100 / 3, 100])


def test_progress_counts_the_queries() -> None:
    gallery, done = [scene(RED, BLUE), scene(RED)], []
    certify(CHAIN, [Question(CHAIN.parse("remove blue circle"), 0, 1)] * 3, gallery, report=done.append)
    assert done == [1, 2, 3]


def test_no_queries_are_refused() -> None:
    with pytest.raises(ValueError, match="there are no queries"):
        certify(CHAIN, [], [scene(RED)])
