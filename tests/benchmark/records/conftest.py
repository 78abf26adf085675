"""A stored record, made up."""

from pathlib import Path

import pytest

from benchmark.records.store import (
    save_record,
)
from tests.benchmark.made_up import make_outcomes, make_record


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    outcomes = make_outcomes()
    return save_record(make_record(outcomes), outcomes, tmp_path / "records")
