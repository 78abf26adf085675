"""Which edits age a record: those of code that its result depends on."""

import json
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

import css_gen
import models
from benchmark.records import code_version
from benchmark.records.code_version import composer_sha256, shared_sources
from models.ablations import tirg as variants
from models.composers import tirg

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
        copy / "models/ablations/tirg.py",
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


def hash_of(file: str | None) -> str:
    assert file is not None
    return sha256(Path(file).read_bytes()).hexdigest()


def test_a_variant_ages_with_its_composer() -> None:
    own, composers = hash_of(variants.__file__), hash_of(tirg.__file__)
    assert composer_sha256(variants.GateOnly) == sha256(f"{own}{composers}".encode()).hexdigest()
    assert composer_sha256(tirg.Tirg) == composers


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("benchmark/runs/single_run.py", True),
        ("benchmark/datasets/splits.py", True),
        ("css_gen/dataset.py", True),
        ("css_gen/storage/random_access.py", True),
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
    assert Path(css_gen.__file__).is_relative_to(REPOSITORY)
    assert (REPOSITORY / file).is_file()
    assert (REPOSITORY / file in shared_sources("css")) is counts


def test_every_hashed_source_is_there() -> None:
    assert all(file.is_file() for file in shared_sources("css"))
    assert len(code_version.code_version("css")) == 64
