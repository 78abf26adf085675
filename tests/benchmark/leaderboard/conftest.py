"""Made-up records of three composers, to rank and to show."""

from pathlib import Path

import pytest

from tests.benchmark.leaderboard.made_up_tables import save


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three composers with three seeds each, best to worst TIRG, FiLM, Text only."""
    for seed in range(3):
        save(tmp_path, hit_rate=0.8, seed=seed, noise=1)
        save(tmp_path, hit_rate=0.5, seed=seed, noise=2, composer="film", title="FiLM")
        save(tmp_path, hit_rate=0.1, seed=seed, noise=3, composer="text_only", title="Text only")
    return tmp_path
