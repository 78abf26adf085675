"""A disk that is full, read-only or closed to us ends the command in one line, and keeps what is finished."""

import contextlib
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.css_gen.one_line import RENDER, assert_one_line


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A small file system of its own. The tests may run as root, for whom permissions mean nothing."""
    folder.mkdir(exist_ok=True)
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting a small disk needs root")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"cannot mount a small disk here: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def test_a_full_disk(run_css_gen, tiny_dataset, tmp_path, contents):
    arguments = ("render", "--n", 150, "--size", 32, "--seed", 3, "--jobs", 1)
    with mounted(tmp_path / "disk", "size=200k") as disk:
        result = run_css_gen(*arguments, "--out", disk / "css", "--yes")
        assert_one_line(result, 1, "the disk is full", "run the same command again")
        kept = {path.name for path in (disk / "css").rglob("*.parquet")}
        assert 0 < len(kept) < 10
        assert not list(disk.rglob("*.partial"))
        remount(disk, "size=10m")
        result = run_css_gen(*arguments, "--out", disk / "css")
        assert result.exit_code == 0, result.stderr
        assert "resuming in" in result.stderr
        assert contents(disk / "css") == contents(tiny_dataset)


def test_a_full_disk_with_several_workers(run_css_gen, tmp_path):
    with mounted(tmp_path / "disk", "size=200k") as disk:
        result = run_css_gen("render", "--n", 150, "--size", 32, "--jobs", 2, "--out", disk / "css", "--yes")
        assert_one_line(result, 1, "the disk is full", "run the same command again")
        assert not list(disk.rglob("*.partial"))


@pytest.mark.parametrize("layout", ["png", "tirg", "webdataset"])
def test_a_disk_that_fills_up_while_exporting(run_css_gen, tiny_dataset, tmp_path, layout):
    with mounted(tmp_path / "disk", "size=60k") as disk:
        result = run_css_gen("export", tiny_dataset, "--format", layout, "--out", disk / "out")
        assert_one_line(result, 1, "the disk is full")
        assert list(disk.iterdir()) == []


def test_a_read_only_disk(run_css_gen, tiny_dataset, tmp_path):
    with mounted(tmp_path / "disk", "size=10m") as disk:
        shutil.copytree(tiny_dataset, disk / "css")
        (disk / "half").mkdir()
        remount(disk, "ro")
        assert_one_line(run_css_gen(*RENDER, "--out", disk / "new"), 1, "read-only", disk / "new")
        assert_one_line(run_css_gen(*RENDER, "--out", disk / "half"), 1, "read-only")
        assert_one_line(run_css_gen(*RENDER, "--out", disk / "css", "--force"), 1, "read-only")
        complete = run_css_gen("render", "--n", 150, "--size", 32, "--seed", 3, "--out", disk / "css")
        assert complete.exit_code == 0
        assert run_css_gen("verify", disk / "css", "--jobs", 1).exit_code == 0
        assert_one_line(run_css_gen("show", tiny_dataset, "--out", disk / "sheet.png"), 1, "read-only")


def test_a_limit_on_the_size_of_a_file(start_css_gen, tmp_path):
    """What a full disk looks like to a process that may not mount one."""
    limit = (resource.RLIMIT_FSIZE, (8_000, 8_000))
    process = start_css_gen(
        "render", "--n", 150, "--size", 32, "--jobs", 1, "--out", tmp_path / "css",
        preexec_fn=lambda: resource.setrlimit(*limit),
    )  # fmt: skip
    _, stderr = process.communicate()
    result = SimpleNamespace(exit_code=process.returncode, stderr=stderr)
    assert_one_line(result, 1, "a file would be too large", "run it again")
    assert not list(tmp_path.rglob("*.partial"))


@contextlib.contextmanager
def without_privileges(folder: Path) -> Iterator[None]:
    """Permissions mean nothing to root, so for a while this process is somebody else."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)


def test_a_folder_without_permission(run_css_gen, tiny_dataset):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        # Everything is imported and compiled by now: somebody else might not be able to read our Python.
        assert run_css_gen(*RENDER, "--out", folder / "mine").exit_code == 0
        shutil.copytree(tiny_dataset, folder / "css")
        with without_privileges(folder):
            rendered = run_css_gen(*RENDER, "--out", folder / "theirs")
            exported = run_css_gen("export", folder / "css", "--format", "png", "--out", folder / "exported")
            shown = run_css_gen("show", folder / "css", "--out", folder / "sheet.png")
        for result in (rendered, exported, shown):
            assert_one_line(result, 1, "permission denied", folder)
        assert {path.name for path in folder.iterdir()} == {"mine", "css"}
