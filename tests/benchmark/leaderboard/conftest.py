"""Made-up records of three composers, to rank and to show."""

import shutil
from pathlib import Path

import pytest

from tests.benchmark.leaderboard.made_up_tables import save


@pytest.fixture(scope="session")
def three_composers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three composers with three seeds each, best to worst TIRG, FiLM, Text only. Not to be written to."""
    root = tmp_path_factory.mktemp("three-composers")
    for seed in range(3):
        save(root, hit_rate=0.8, seed=seed, noise=1)
        save(root, hit_rate=0.5, seed=seed, noise=2, composer="film", title="FiLM")
        save(root, hit_rate=0.1, seed=seed, noise=3, composer="text_only", title="Text only")
    return root


@pytest.fixture
def root(three_composers: Path, tmp_path: Path) -> Path:
    """A copy of `three_composers`, to make tables of."""
    return Path(shutil.copytree(three_composers, tmp_path, dirs_exist_ok=True))
