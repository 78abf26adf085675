"""Which model of a folder of runs is taken."""

import os
from pathlib import Path

import pytest

from benchmark.errors import BenchmarkError
from benchmark.search.stored_models import find_model

NAMES = ("quick-01234567-s0-89abcdef", "quick-01234567-s1-89abcdef", "paper-76543210-s0-89abcdef")


def test_the_newest_model_that_fits_is_taken(tmp_path: Path) -> None:
    paths = [tmp_path / "css" / "tirg" / name / "model.safetensors" for name in NAMES]
    for age, path in enumerate(paths):
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (1_000 - age, 1_000 - age))
    assert find_model(tmp_path, "tirg", "css", None, None) == paths[0]
    assert find_model(tmp_path, "tirg", "css", None, 1) == paths[1]
    assert find_model(tmp_path, "tirg", "css", "paper", None) == paths[2]
    (tmp_path / "css" / "tirg" / "mine").mkdir()
    (tmp_path / "css" / "tirg" / "mine" / "model.safetensors").touch()  # not the folder of a run
    assert find_model(tmp_path, "tirg", "css", None, None) == paths[0]
    with pytest.raises(BenchmarkError, match=r"no model of tirg on css with --seed 7; there is css/tirg/mine"):
        find_model(tmp_path, "tirg", "css", None, 7)
    with pytest.raises(BenchmarkError, match=r"`tirg-bench run --composer film --dataset css` makes it"):
        find_model(tmp_path, "film", "css", None, None)
    (tmp_path / "submissions" / "mine-01234567").mkdir(parents=True)
    with pytest.raises(BenchmarkError, match="mine is a submission: its code is run by"):
        find_model(tmp_path, "mine", "css", None, None)
