"""Which sense of "left of" the track relation uses, and how often it asks a question twice."""

from collections import Counter

import pytest

from css_gen import tracks
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.randomness import SplitId
from css_gen.tracks.plan import TrackPlan, TrackQuery
from css_gen.tracks.relation_program import Relate


@pytest.fixture(scope="module")
def queries() -> list[TrackQuery]:
    plan = TrackPlan("relation", 4_000, seed=0, split=SplitId.TEST, held_out=HeldOut.sample(seed=0))
    return plan.queries(0, plan.query_count)


def test_positions_are_told_from_the_wider_sense_by_the_definition(queries: list[TrackQuery]) -> None:
    """In any column further left, most queries leave two or more objects: rows and columns have to be named."""
    assert "same row" in tracks.get("relation").about
    assert "same column" in tracks.get("relation").about
    directions = {"left of": (0, -1), "right of": (0, 1), "in front of": (1, 0), "behind": (-1, 0)}
    several = []
    for query in queries:
        program = query.modification
        assert isinstance(program, Relate)
        if program.relation in directions:
            down, right = directions[program.relation]
            (anchor,) = [item for item in query.source_scene if program.anchors[0].matches(item)]
            meant = [
                item
                for item in query.source_scene
                if program.noun.matches(item)
                and down * (item.cell.row - anchor.cell.row) + right * (item.cell.column - anchor.cell.column) > 0
            ]
            several.append(len(meant) > 1)
    assert sum(several) > len(several) / 2


def test_few_questions_are_asked_twice(queries: list[TrackQuery]) -> None:
    """Of 10,000 images, 5.5% have source and text of an earlier query: each query is drawn on its own."""
    asked = Counter((query.source, query.modification.text) for query in queries)
    assert len(queries) - len(asked) < 0.08 * len(queries)
