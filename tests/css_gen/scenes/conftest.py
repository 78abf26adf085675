"""The splits of a dataset of 20,000 images, planned once."""

import pytest

from css_gen.scenes.randomness import SplitId
from css_gen.scenes.sampling import HeldOut, Query, SplitPlan


@pytest.fixture(scope="session", params=SplitId, ids=lambda split: split.name.lower())
def plan(request) -> SplitPlan:
    return SplitPlan(10_000, seed=0, split=request.param, held_out=HeldOut.sample(seed=0))


@pytest.fixture(scope="session")
def queries(plan) -> list[Query]:
    return plan.queries(0, plan.images - plan.references)
