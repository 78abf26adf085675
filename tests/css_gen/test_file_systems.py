"""Systems that offer less than a Linux desktop, and folders of any name."""

import errno
import fcntl
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import css_gen
from css_gen.export import names
from css_gen.pool import run_tasks
from css_gen.storage import estimate
from css_gen.storage.folder import our_files
from tests.css_gen.one_line import RENDER, assert_one_line

LATIN_1 = os.fsdecode(b"donn\xe9es")


def square(number, step):
    step(1)
    return number * number


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/dev/shm"),
        OSError(errno.ENOSPC, "No space left on device"),
        PermissionError(errno.EACCES, "Permission denied"),
        ImportError("This platform lacks a functioning sem_open implementation"),
        NotImplementedError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_without_shared_memory_one_process_does_it_all(monkeypatch, error):
    class Context:
        def Value(self, *_given: object) -> None:  # noqa: N802
            raise error

    monkeypatch.setattr(multiprocessing, "get_context", lambda _method: Context())
    notes: list[str] = []
    done: list[int] = []
    found = dict(run_tasks(square, range(5), jobs=3, on_progress=done.append, on_note=notes.append))
    assert found == {number: number * number for number in range(5)}
    assert done == [1, 2, 3, 4, 5]
    (note,) = notes
    assert "--jobs 1" in note
    assert (str(error) or type(error).__name__) in note


def test_an_error_of_a_task_is_not_taken_for_missing_memory(monkeypatch):
    """It is raised as it is, once, with no note and no trace of the fallback."""

    class Context:
        def Value(self, *_given: object) -> None:  # noqa: N802
            raise FileNotFoundError("/dev/shm")

    def fail(number, step):  # noqa: ARG001
        raise OSError("the task's own")

    monkeypatch.setattr(multiprocessing, "get_context", lambda _method: Context())
    with pytest.raises(OSError, match="the task's own") as caught:
        dict(run_tasks(fail, range(5), jobs=3, on_progress=print))
    assert caught.value.__context__ is None


@pytest.mark.parametrize("name", ["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def test_rendering_without_locks_leaves_a_note(run_css_gen, monkeypatch, tmp_path, name):
    def flock(*_given: object) -> None:
        raise OSError(getattr(errno, name), "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    result = run_css_gen(*RENDER, "--out", tmp_path / "css")
    assert result.exit_code == 0, result.stderr
    assert f"the file system of {tmp_path / 'css'} has no locks" in result.stderr
    assert run_css_gen("verify", tmp_path / "css", "--jobs", 1).exit_code == 0


def test_a_folder_whose_name_is_not_utf_8(run_css_gen, tmp_path):
    try:
        (tmp_path / LATIN_1).mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    folder = tmp_path / LATIN_1 / "css"
    run = partial(run_well, run_css_gen)
    run(*RENDER, "--out", folder)
    assert "complete" in run(*RENDER, "--out", folder)
    assert "fingerprint" in run("info", folder)
    run("verify", folder, "--jobs", 1)
    run("show", folder, "--out", folder.parent / "sheet.png")
    assert (folder.parent / "sheet.png").stat().st_size > 1000
    for layout in names():
        run("export", folder, "--format", layout, "--out", folder.parent / layout)
        assert any((folder.parent / layout).iterdir())
    (folder / "train" / "images-00001-of-00004.parquet").write_bytes(b"damaged")
    assert_one_line_names_the_folder(run_css_gen("export", folder, "--format", "png", "--out", folder.parent / "new"))
    run("verify", folder, "--repair", "--jobs", 1)


def run_well(run_css_gen, *arguments: object) -> str:
    result = run_css_gen(*arguments)
    assert result.exit_code == 0, result.output
    return str(result.output)


def assert_one_line_names_the_folder(result) -> None:
    assert_one_line(result, 1, "images-00001-of-00004.parquet cannot be read", r"donn\udce9es")


HIDDEN = ("._images-00000-of-00004.parquet", ".images-00009-of-00010.parquet", "._queries.parquet", ".DS_Store")


def test_hidden_files_are_never_data(run_css_gen, tiny_copy, monkeypatch):
    """macOS and file servers leave such files beside others; they are neither read, nor counted, nor deleted."""
    before = our_files(tiny_copy)
    for folder in (tiny_copy, tiny_copy / "train", tiny_copy / "test"):
        for name in HIDDEN:
            (folder / name).write_bytes(b"not Parquet")
    hidden = {path: path.read_bytes() for path in tiny_copy.rglob(".*")}
    assert our_files(tiny_copy) == before
    assert run_css_gen("verify", tiny_copy, "--jobs", 1).exit_code == 0
    assert run_css_gen("info", tiny_copy).exit_code == 0
    monkeypatch.setattr(estimate.shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(0, 0, 0))
    size = sum((tiny_copy / name).stat().st_size for name in before)
    assert estimate.refuse_too_large(tiny_copy, size) is None
    assert estimate.refuse_too_large(tiny_copy, size + 1)
    monkeypatch.undo()
    arguments = ("render", "--n", 150, "--size", 32, "--seed", 3, "--jobs", 1, "--out", tiny_copy)
    assert run_css_gen(*arguments, "--force").exit_code == 0
    assert {path: path.read_bytes() for path in hidden} == hidden
    assert set(json.loads((tiny_copy / "manifest.json").read_text())["files"]) == before


def test_a_folder_of_hidden_files_may_be_rendered_into(run_css_gen, tmp_path):
    (tmp_path / ".DS_Store").write_bytes(b"theirs")
    assert run_css_gen(*RENDER, "--out", tmp_path).exit_code == 0
    assert (tmp_path / ".DS_Store").read_bytes() == b"theirs"


def test_a_full_disk_under_the_output(tiny_dataset):
    """A terminal cannot be full, but the file that output goes to can be."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "css_gen.cli", "info", tiny_dataset],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(Path(css_gen.__file__).parents[1])},
        )  # fmt: skip
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert len(done.stderr.splitlines()) == 1
