"""Write files that are there in full or not at all, whatever happens to the process or the machine."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PARTIAL_SUFFIX = ".partial"
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of writing that mean no room: on the disk, in its user's quota, or below the largest size of a file."""

_LOST = NO_ROOM | {errno.EIO}
"""Errors of `fsync` that mean lost data. Any other means that the file system does not offer it."""


@contextmanager
def written_atomically(path: Path, *, is_synced: bool = True) -> Iterator[BinaryIO]:
    """Open a file to write to that takes its name when the block ends well, and is deleted when it does not.

    The temporary name starts with a dot, ends in `.partial` and carries the process id and a random number, so that it
    cannot be mistaken for data and two processes, also of two machines, cannot write into one file. Errors name the
    file itself.

    Args:
        is_synced: whether to wait until the file is on disk. Without it, a power failure may leave an empty file under
            the final name: only for what can be made again.

    Raises:
        OSError: as `open` and `write` do; the path then holds what it held before.
    """
    unique = f"{os.getpid()}{int.from_bytes(os.urandom(4)):010}"
    temporary = path.with_name(f".{path.name}.{unique}{PARTIAL_SUFFIX}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            if is_synced:
                _sync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            error.filename = str(path)
            del error.filename2
        raise
    if is_synced:
        _sync_folder(path.parent)


def write_atomically(path: Path, content: bytes, *, is_synced: bool = True) -> None:
    """Write a whole file.

    Args:
        is_synced: as in `written_atomically`.

    Raises:
        OSError: as `open` and `write` do; the path then holds what it held before.
    """
    with written_atomically(path, is_synced=is_synced) as file:
        file.write(content)


def _sync_folder(folder: Path) -> None:
    """Have a folder's new name on disk, where folders can be opened for that: not on Windows."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    """Have a file or a folder on disk, as far as its file system offers that: SMB, vboxsf and some FUSE do not."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno in _LOST:
            raise
