"""A package of the user's own with one of this program's names is named, with what to do about it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from css_gen.errors import CssBenchError
from css_gen.namesakes import require_own_packages

ROOT = Path(__file__).parents[2]
ENTRY = ["-c", "import sys; sys.argv[0] = 'tirg-bench'; from css_gen.entry import tirg_bench; tirg_bench()"]
MODULE = ["-m", "benchmark.cli"]


def start(command: list[str], *, path: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Start tirg-bench with `path` before everything else."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (path, str(ROOT))))}
    arguments = [sys.executable, *command, "list"]
    return subprocess.run(arguments, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def make_package(folder: Path, name: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text("")
    return folder / name


@pytest.mark.parametrize("name", ["models", "benchmark"])
def test_a_package_on_the_path_is_named(name: str, tmp_path: Path) -> None:
    package = make_package(tmp_path / "mine", name)
    ran = start(ENTRY, path=str(tmp_path / "mine"), cwd=tmp_path)
    assert ran.returncode == 1
    assert ran.stderr == (
        f"tirg-bench: error: {package} hides this program's own package {name} ({ROOT / name}): "
        f"take {package.parent} out of PYTHONPATH, start the command in another folder, or rename {name}\n"
    )


def test_a_package_in_the_current_folder_is_named_under_python_m(tmp_path: Path) -> None:
    package = make_package(tmp_path, "models")
    ran = start(MODULE, path="", cwd=tmp_path)
    assert ran.returncode == 1
    assert f"{package} hides this program's own package models" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_file_of_the_name_is_named(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text("raise SystemExit('never imported')\n")
    ran = start(ENTRY, path=str(tmp_path), cwd=tmp_path)
    assert ran.returncode == 1
    assert f"{tmp_path / 'models.py'} hides" in ran.stderr
    assert "rename models.py\n" in ran.stderr


def test_nothing_is_said_where_nothing_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "weights.bin").write_bytes(b"a folder of data is no package")
    ran = start(ENTRY, path="", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    require_own_packages(["css_gen", "models", "benchmark"])


def test_a_package_that_is_missing_is_said_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("css_gen.namesakes._ROOT", tmp_path)
    with pytest.raises(CssBenchError, match="the package no_such_package_ is missing from"):
        require_own_packages(["no_such_package_"])
