"""What a process leaves in its folder leads nowhere: not out of it, not into the next process, not into a wait."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.submissions import scratch
from benchmark.submissions.exchange import AnswerError, require_file


def as_link(path: Path) -> None:
    path.symlink_to(path.parents[1] / "precious")


def as_folder(path: Path) -> None:
    path.mkdir()


def as_nothing(path: Path) -> None:
    pass


NO_FILE: list[Callable[[Path], object]] = [as_link, os.mkfifo, as_folder, as_nothing]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "precious").write_text("| TIRG |")
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def test_a_fresh_folder_holds_the_state_alone(folder: Path) -> None:
    (folder / "state").write_text("step 7")
    (folder / "cache").write_text("what it saw")
    (folder / "link").symlink_to(folder.parent)
    assert [path.name for path in scratch.fresh(folder, keep="state").iterdir()] == ["state"]
    assert (folder / "state").read_text() == "step 7"
    assert list(scratch.fresh(folder).iterdir()) == []
    assert (folder.parent / "precious").read_text() == "| TIRG |"


@pytest.mark.parametrize("make", NO_FILE)
def test_only_a_file_is_kept(make: Callable[[Path], object], folder: Path) -> None:
    make(folder / "state")
    assert list(scratch.fresh(folder, keep="state").iterdir()) == []
    assert (folder.parent / "precious").read_text() == "| TIRG |"


def test_a_folder_that_became_a_link_is_one_again(folder: Path) -> None:
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "state").write_text("not its own")
    folder.rmdir()
    folder.symlink_to(elsewhere)
    assert list(scratch.fresh(folder, keep="state").iterdir()) == []
    assert not folder.is_symlink()
    assert (elsewhere / "state").read_text() == "not its own"


def test_deep_folders_are_removed(folder: Path) -> None:
    here = os.open(folder, os.O_RDONLY)
    for _ in range(3_000):
        os.mkdir("a", dir_fd=here)
        deeper = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    scratch.remove(folder)
    assert not folder.exists()


@pytest.mark.parametrize("make", NO_FILE)
def test_nothing_but_a_file_is_read(make: Callable[[Path], object], folder: Path) -> None:
    make(folder / "00000.safetensors")
    with pytest.raises(AnswerError, match=r"00000\.safetensors"):
        require_file(folder / "00000.safetensors", 100)


def test_a_huge_file_is_not_read(folder: Path) -> None:
    (folder / "answer").write_bytes(b"x" * 101)
    require_file(folder / "answer", 101)
    with pytest.raises(AnswerError, match="not a regular file of at most 100 bytes"):
        require_file(folder / "answer", 100)
