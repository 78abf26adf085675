"""Which folders a submission's process may read: all that Python imports from, nothing else."""

import os
import subprocess
import sys
import sysconfig
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmark.submissions import bubblewrap, installed, sandbox
from benchmark.submissions.installed import hidden_folders, import_path, package_folders
from benchmark.submissions.messages import Candidate, Job


def is_readable(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in package_folders())


def packages_folder(root: Path) -> Path:
    """A folder as pip installs into."""
    (root / "some-1.0.dist-info").mkdir(parents=True)
    (root / "some").mkdir()
    (root / "some/data.bin").touch()
    return root


def checkout(root: Path) -> Path:
    """A project that its developer put on sys.path, with data beside its package."""
    (root / "project").mkdir(parents=True)
    (root / "project/__init__.py").touch()
    (root / "single.py").touch()
    (root / "project.egg-info").mkdir()
    (root / "data").mkdir()
    (root / "data/labels.parquet").touch()
    (root / "secrets.txt").touch()
    return root


LIST_IMPORTED_FILES = """
import benchmark.submissions.child, benchmark.submissions.contract, benchmark.submissions.composing, sys, torchvision
import benchmark.submissions.confinement, benchmark.submissions.loading
assert "css_gen" not in sys.modules
for module in list(sys.modules.values()):
    if getattr(module, "__file__", None):
        print(module.__file__)
"""


def test_everything_that_a_run_imports_can_be_read(tmp_path: Path) -> None:
    listed = subprocess.run(
        [sys.executable, "-c", LIST_IMPORTED_FILES], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    files = [Path(line) for line in listed.stdout.splitlines()]
    assert Path(torch.__file__) in files
    folders = package_folders()
    for file in files:
        assert not file.exists() or any(file.is_relative_to(folder) for folder in folders), file
    assert is_readable(Path(sysconfig.get_path("stdlib")))
    assert is_readable(Path(sys.executable).resolve())


def test_what_lies_beside_the_packages_of_a_checkout_cannot_be_read() -> None:
    root = Path(sandbox.__file__).parents[2]
    if any(root.glob("*.dist-info")):
        pytest.skip("the packages are installed, not a checkout")
    assert is_readable(root / "models/base.py")
    assert not is_readable(root / "data/css/train-00000.parquet")
    assert not is_readable(root / "leaderboards/records")
    assert not is_readable(root)


def test_folders_on_the_search_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, project = packages_folder(tmp_path / "site"), checkout(tmp_path / "checkout")
    assert not is_readable(site)
    archive = tmp_path / "packages.zip"
    archive.touch()
    monkeypatch.setattr(sys, "path", [*sys.path, "", "absent", str(archive), str(site), str(project)])
    monkeypatch.chdir(tmp_path)
    assert is_readable(site / "some/data.bin")
    assert is_readable(archive)
    assert is_readable(project / "project/module.py")
    assert is_readable(project / "single.py")
    assert is_readable(project / "project.egg-info/entry_points.txt")
    for private in ("data/labels.parquet", "secrets.txt", "."):
        assert not is_readable(project / private)
    assert not is_readable(tmp_path)


def test_a_link_counts_as_what_it_leads_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = packages_folder(tmp_path / "site")
    (tmp_path / "linked").symlink_to(site)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "linked")])
    assert is_readable(site / "some/data.bin")
    assert is_readable(tmp_path / "linked/some/data.bin")


def test_a_child_imports_what_we_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = packages_folder(tmp_path / "site")
    (site / "some/__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"site{os.pathsep}{os.pathsep}")
    told = subprocess.run(
        [sys.executable, "-P", "-c", "import some, benchmark, css_gen, models; print(some.__file__)"],
        env={"PYTHONPATH": import_path()}, cwd="/", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(told.stdout.strip()) == site / "some/__init__.py"


def test_bubblewrap_is_shown_the_same_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = checkout(tmp_path / "checkout")
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages_folder(tmp_path / "site")), str(project)])
    job = Job(
        candidate=Candidate(shown="mine.py", file=str(tmp_path / "mine.py")), scratch=str(tmp_path / "s"),
        readable=package_folders(), hidden=hidden_folders(), areas=(3, 4), memory_mib=512, open_files=64,
    )  # fmt: skip
    command = bubblewrap.prefix(job, tmp_path / "job.json")
    shown = {path for option, path in pairwise(command) if option == "--ro-bind-try"}
    assert {*package_folders(), str(tmp_path / "site"), str(project / "project"), job.candidate.file} <= shown
    assert str(project / "data") not in shown
    assert not any(Path(path) in (project, tmp_path) for path in shown)


def test_the_metadata_of_an_editable_install_may_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install -e` leaves an egg-info folder in the checkout, and nothing on sys.path that leads there."""
    for folder in ("models", "css_bench.egg-info", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "models" / "__init__.py").touch()
    monkeypatch.setattr(installed, "_OURS", (SimpleNamespace(__path__=[str(tmp_path / "models")]),))
    readable = package_folders()
    assert str(tmp_path) in import_path()
    assert {str(tmp_path / "models"), str(tmp_path / "css_bench.egg-info")} <= {*readable}
    assert not {str(tmp_path), str(tmp_path / "data")} & {*readable}
