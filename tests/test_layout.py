"""The house: few files at the root of a room, none too long to read, and command lines that start at once."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST = 300
MOST_FILES = 900
HEAVY = ("torch", "torchvision", "numpy", "pandas", "scipy", "numba", "llvmlite", "pyarrow", "PIL", "rich", "jinja2",
         "pydantic", "matplotlib")  # fmt: skip


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def test_the_root_of_the_benchmark_has_at_most_two_files_of_its_own() -> None:
    files = {path.name for path in (ROOT / "benchmark").iterdir() if path.is_file()}
    assert "__init__.py" in files
    assert len(files) <= 3


def test_no_file_is_too_long_to_read() -> None:
    files = sources("css_gen", "models", "benchmark", "speed", "tests")
    lengths = {path: len(path.read_text().splitlines()) for path in files}
    assert len(lengths) > 250
    assert {path.relative_to(ROOT).as_posix(): lines for path, lines in lengths.items() if lines > LONGEST} == {}


RECORDS = ("leaderboards/records/", "leaderboards/scaling/records/")


def test_the_tracked_tree_is_small() -> None:
    if not (shutil.which("git") and (ROOT / ".git").exists()):
        pytest.skip("this is not a git repository, or there is no git")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    files = listed.decode().split("\0")[:-1]
    assert "pyproject.toml" in files
    written = [file for file in files if not file.startswith(RECORDS)]  # two files for each run
    assert len(written) < MOST_FILES
    assert not [file for file in files if file.startswith("leaderboards/site")], "the site is built, not committed"


@pytest.mark.parametrize("module", ["css_gen.cli", "benchmark.cli.main"])
def test_a_command_line_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({set(HEAVY)!r} & sys.modules.keys()), len(sys.modules))"
    *heavy, count = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert heavy == []
    assert int(count) < 250
