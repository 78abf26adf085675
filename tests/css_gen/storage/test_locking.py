"""A lock holds others off, and a file system without locks is used after a note."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from css_gen.errors import CssBenchError, DatasetError
from css_gen.storage.locking import held


def in_another_process(path) -> str:
    """Try to take the lock in a process of its own."""
    code = (
        "import sys, pathlib\nfrom css_gen.storage.locking import held\n"
        "try:\n    with held(pathlib.Path(sys.argv[1]), busy='busy'):\n        print('held')\n"
        "except Exception as error:\n    print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.check_output([sys.executable, "-c", code, path], text=True, env=environment).strip()


def test_others_are_held_off_until_the_block_ends(tmp_path):
    notes: list[str] = []
    path = tmp_path / ".lock"
    with held(path, on_note=notes.append):
        assert in_another_process(path) == "busy"
    assert in_another_process(path) == "held"
    with pytest.raises(RuntimeError, match="inside"), held(path):
        raise RuntimeError("inside")
    assert in_another_process(path) == "held"
    assert notes == []


@pytest.mark.parametrize(
    ("busy", "kind", "text"),
    [
        ("wait", CssBenchError, "^wait$"),
        (DatasetError("wait here"), DatasetError, "^wait here$"),
        ("", CssBenchError, "another process holds .*lock"),
    ],
)
def test_the_error_of_whoever_comes_second(tmp_path, busy, kind, text):
    with held(tmp_path / ".lock"), pytest.raises(kind, match=text) as caught, held(tmp_path / ".lock", busy=busy):
        pass
    assert type(caught.value) is kind


@pytest.mark.parametrize("name", ["ENOSYS", "ENOLCK", "EOPNOTSUPP", "ENOTSUP"])
def test_a_file_system_without_locks(monkeypatch, tmp_path, name):
    def flock(*_given: object) -> None:
        raise OSError(getattr(errno, name), "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    notes: list[str] = []
    for _ in range(2):
        with held(tmp_path / ".lock", on_note=notes.append):
            (tmp_path / "written").write_text("yes")
    assert (tmp_path / "written").exists()
    assert len(notes) == 2
    assert all(str(tmp_path) in note and "no locks" in note and "\n" not in note for note in notes)
    with held(tmp_path / ".lock"):
        pass


def test_another_failure_is_not_taken_for_a_missing_lock(monkeypatch, tmp_path):
    def flock(*_given: object) -> None:
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="broken disk"), held(tmp_path / ".lock"):
        pytest.fail("the block ran")


def test_an_error_inside_the_block_passes_through(tmp_path):
    with pytest.raises(OSError, match="mine"), held(tmp_path / ".lock"):
        raise OSError(errno.ENOLCK, "mine")
