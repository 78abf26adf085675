"""Files appear whole or not at all, also on file systems that offer less than Linux's own."""

import errno
import os
import stat

import pytest

from css_gen.storage.atomic import write_atomically, written_atomically

LOST = ("EIO", "ENOSPC", "EDQUOT", "EFBIG")


def refuse_fsync(monkeypatch, code: int, *, of_folders: bool) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) == of_folders:
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("of_folders", [True, False], ids=["folders", "files"])
@pytest.mark.parametrize("name", ["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EACCES", "EPERM", "EISDIR", "EBADF"])
def test_a_file_system_without_fsync(monkeypatch, tmp_path, name, of_folders):
    refuse_fsync(monkeypatch, getattr(errno, name), of_folders=of_folders)
    write_atomically(tmp_path / "file", b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"new"}


@pytest.mark.parametrize("name", LOST)
def test_data_that_did_not_reach_the_disk(monkeypatch, tmp_path, name):
    (tmp_path / "file").write_bytes(b"old")
    refuse_fsync(monkeypatch, getattr(errno, name), of_folders=False)
    with pytest.raises(OSError, match=r"\[Errno") as caught:
        write_atomically(tmp_path / "file", b"new")
    assert caught.value.errno == getattr(errno, name)
    assert caught.value.filename == str(tmp_path / "file")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"old"}


def test_a_file_that_is_not_waited_for_is_still_written_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "fsync", None)
    path = tmp_path / "file"
    with written_atomically(path, is_synced=False) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    write_atomically(path, b"newer", is_synced=False)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"file": b"newer"}


@pytest.mark.parametrize("fails", ["open", "write", "replace"])
def test_errors_name_the_file_itself(tmp_path, fails):
    """And not the hidden one, which is gone by then."""
    path = tmp_path / "file"
    if fails == "open":
        path = tmp_path / "absent" / "file"
    if fails == "replace":
        path.mkdir()

    def write() -> None:
        with written_atomically(path) as file:
            if fails == "write":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            file.write(b"new")

    with pytest.raises(OSError, match=r"\[Errno") as caught:
        write()
    assert caught.value.filename == str(path)
    assert ".partial" not in str(caught.value)
    assert "None" not in str(caught.value)


def test_errors_about_other_files_keep_their_names(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, written_atomically(tmp_path / "file"):
        (tmp_path / "another").read_bytes()
    assert caught.value.filename == str(tmp_path / "another")


def test_folders_that_cannot_be_opened(monkeypatch, tmp_path):
    """As on Windows."""
    real = os.open

    def refuse(path, flags, *rest):
        if os.path.isdir(path):  # noqa: PTH112
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
