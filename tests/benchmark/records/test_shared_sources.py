"""What the code version covers, without starting a process for each file as test_code_version.py does."""

from pathlib import Path

import pytest

import css_gen
import models
from benchmark.records import code_version
from benchmark.records.code_version import shared_sources

ROOT = Path(models.__file__).parents[1]


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("benchmark/runs/single_run.py", True),
        ("benchmark/datasets/splits.py", True),
        ("css_gen/dataset.py", True),
        ("css_gen/storage/reader.py", True),
        ("css_gen/scenes/modification/add.py", True),
        ("css_gen/storage/manifest.py", False),
        ("css_gen/rendering/stage.py", False),
        ("benchmark/runs/grid.py", False),
        ("benchmark/tasks/fashion200k.py", False),
        ("models/composers/film.py", False),
    ],
)
def test_what_a_result_depends_on_is_hashed(file: str, counts: bool) -> None:
    assert Path(css_gen.__file__).is_relative_to(ROOT)
    assert (ROOT / file).is_file()
    assert (ROOT / file in shared_sources("css")) is counts


def test_every_hashed_source_is_there() -> None:
    assert all(file.is_file() for file in shared_sources("css"))
    assert len(code_version.code_version("css")) == 64
