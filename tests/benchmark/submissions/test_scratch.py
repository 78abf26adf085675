"""A process's folder is removed whatever is in it, and nothing outside of it."""

import os
from pathlib import Path

from benchmark.submissions import scratch


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("| TIRG |")
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch/link").symlink_to(tmp_path)
    (tmp_path / "gone").symlink_to(tmp_path)
    scratch.remove(tmp_path / "scratch")
    scratch.remove(tmp_path / "gone")
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_deep_folders_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    for _ in range(3_000):
        os.mkdir("a", dir_fd=here)
        deeper = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    scratch.remove(folder)
    assert not folder.exists()
