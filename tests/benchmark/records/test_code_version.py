"""Which edits age a record: those of code that its result depends on."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import models

REPOSITORY = Path(models.__file__).parents[1]

RESULTS_DEPEND_ON = (
    "models/network.py",
    "benchmark/training/loop.py",
    "benchmark/tasks/css.py",
    "css_gen/scenes/modification/add.py",
    "models/composers/tirg.py",
)
ASK = """
import json, sys
from pathlib import Path
from benchmark.records.code_version import code_version, composer_sha256
from models.registry import get

def versions():
    code_version.cache_clear(), composer_sha256.cache_clear()
    return code_version("css"), composer_sha256(get("tirg"))

found = {"": versions()}
for edited in map(Path, sys.argv[1:]):
    text = edited.read_text()
    edited.write_text(text + "\\n# changed\\n")
    found[str(edited)] = versions()
    edited.write_text(text)
print(json.dumps(found))
"""

Versions = dict[str, list[str]]
"""The code's and the composer's, by the edited file; "" for none."""


def versions(root: Path, *edited: str) -> Versions:
    command = [sys.executable, "-c", ASK, *edited]
    found: Versions = json.loads(subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout)
    return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("code")
    for package in ("benchmark", "models", "css_gen"):
        shutil.copytree(REPOSITORY / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture(scope="module")
def by_edit(copy: Path) -> Versions:
    return versions(copy, *RESULTS_DEPEND_ON)


def test_a_new_task_composer_table_preset_or_command_ages_nothing(copy: Path, by_edit: Versions) -> None:
    edited = [
        copy / "benchmark/tasks/of_somebody.py",
        copy / "models/composers/of_somebody.py",
        copy / "models/composers/film.py",
        copy / "benchmark/leaderboard/tables.py",
        copy / "benchmark/recipe/presets.py",
        copy / "benchmark/records/store.py",
        copy / "benchmark/cli/run.py",
        copy / "css_gen/render.py",
        copy / "css_gen/storage/manifest.py",
        copy / "benchmark/runs/grid.py",
    ]
    texts = {path: path.read_text() if path.exists() else None for path in edited}
    for path, text in texts.items():
        path.write_text((text or "") + "\n# changed\n")
    assert versions(copy)[""] == by_edit[""]
    for path, text in texts.items():
        path.unlink() if text is None else path.write_text(text)


@pytest.mark.parametrize("edited", RESULTS_DEPEND_ON)
def test_code_that_a_result_depends_on_ages_it(edited: str, by_edit: Versions) -> None:
    is_composer = "composers" in edited
    changed = [one != other for one, other in zip(by_edit[edited], by_edit[""], strict=True)]
    assert changed == [not is_composer, is_composer]
