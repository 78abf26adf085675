"""The plan of a track's test split, for the files that name their TRACK."""

import pytest

from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.scene import Scene
from css_gen.tracks.plan import TrackPlan, TrackQuery


@pytest.fixture(scope="module")
def plan(request: pytest.FixtureRequest) -> TrackPlan:
    return TrackPlan(request.module.TRACK, 4_000, seed=0, split=SplitId.TEST, held_out=HeldOut.sample(seed=0))


@pytest.fixture(scope="module")
def queries(plan: TrackPlan) -> list[TrackQuery]:
    return plan.queries(0, plan.query_count)


@pytest.fixture(scope="module")
def gallery(plan: TrackPlan) -> list[Scene]:
    return [plan.scene(image) for image in range(plan.images)]
