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
    """Return the four shares in percent, image by image."""
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
        rows.append((set(possible) <= set(right), not wrong, hits / max(1, len(taken)), len(right) / len(others)))
    return [100 * sum(column) / len(rows) for column in zip(*rows, strict=True)]


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
            tuple(row[image] for _, image in query.distractors if with_distractors),
        )
        for query in queries
    ]
    found = certify(CHAIN, questions, gallery)
    figures = [found.text_alone, found.source_alone, found.shortcut_recall, found.chance]
    assert figures == pytest.approx(slowly(questions, gallery))
    assert (found.text_alone > 0) != with_distractors


def test_by_hand() -> None:
    """Image 0 is the source of both queries, image 3 shows it again; 1 and 2 are their answers, 4 is another scene."""
    gallery = [scene(RED, BLUE), scene(RED), scene(BLUE), scene(RED, BLUE), scene("top-left large red circle")]
    questions = [Question(CHAIN.parse("remove blue circle"), 0), Question(CHAIN.parse("remove red circle"), 0)]
    both = certify(CHAIN, questions, gallery)
    # Without its source a scene with no blue circle is 1 or 4, one with no red circle is 2 alone.
    assert (both.text_alone, both.source_alone, both.shortcut_recall, both.chance) == (50, 0, 100, 25)
    alone = certify(CHAIN, questions[:1], gallery)
    assert alone.source_alone == 100
    assert certify(CHAIN, [replace(questions[0], distractors=(4,))], gallery).source_alone == 0
    # A red circle may have been added to any scene that has one, and the large one is wrong here.
    assert certify(CHAIN, [Question(CHAIN.parse("add small red circle"), 2)], gallery).text_alone == 0
    assert certify(CHAIN, [Question(CHAIN.parse("add small red circle"), 2)], gallery[:4]).text_alone == 0
    assert certify(CHAIN, [Question(CHAIN.parse("add small circle to top-right"), 1)], gallery).chance == 50


def test_no_queries_are_refused() -> None:
    with pytest.raises(ValueError, match="there are no queries"):
        certify(CHAIN, [], [scene(RED)])
