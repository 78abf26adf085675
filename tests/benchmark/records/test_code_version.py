"""Which edits age a record: those of code that its result depends on."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import models

REPOSITORY = Path(models.__file__).parents[1]

ASK = """
from benchmark.records.code_version import code_version, composer_sha256
from models.registry import get
print(code_version("css"), composer_sha256(get("tirg")))
"""


def versions(root: Path) -> list[str]:
    process = subprocess.run([sys.executable, "-c", ASK], cwd=root, capture_output=True, text=True, check=True)
    return process.stdout.split()


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("code")
    for package in ("benchmark", "models", "css_gen"):
        shutil.copytree(REPOSITORY / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture(scope="module")
def before(copy: Path) -> list[str]:
    return versions(copy)


def test_a_new_task_composer_table_preset_or_command_ages_nothing(copy: Path, before: list[str]) -> None:
    edited = [
        copy / "benchmark/tasks/of_somebody.py",
        copy / "models/composers/of_somebody.py",
        copy / "models/composers/film.py",
        copy / "models/ablations/tirg.py",
        copy / "benchmark/leaderboard/tables.py",
        copy / "benchmark/recipe/presets.py",
        copy / "benchmark/records/store.py",
        copy / "benchmark/cli/run.py",
        copy / "css_gen/render.py",
    ]
    texts = {path: path.read_text() if path.exists() else None for path in edited}
    for path, text in texts.items():
        path.write_text((text or "") + "\n# changed\n")
    assert versions(copy) == before
    for path, text in texts.items():
        path.unlink() if text is None else path.write_text(text)


@pytest.mark.parametrize(
    "edited",
    [
        "models/network.py",
        "benchmark/training/loop.py",
        "benchmark/tasks/css.py",
        "css_gen/scenes/modification/add.py",
        "models/composers/tirg.py",
    ],
)
def test_code_that_a_result_depends_on_ages_it(edited: str, copy: Path, before: list[str]) -> None:
    text = (copy / edited).read_text()
    (copy / edited).write_text(text + "\n# changed\n")
    now = versions(copy)
    (copy / edited).write_text(text)
    is_composer = "composers" in edited
    assert [one != other for one, other in zip(now, before, strict=True)] == [not is_composer, is_composer]
