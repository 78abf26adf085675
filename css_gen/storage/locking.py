"""Hold a file's lock, also where the file system has none."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from css_gen.errors import CssBenchError

_WITHOUT_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}


@contextmanager
def held(
    path: Path,
    *,
    busy: CssBenchError | str = "",
    timeout: float = 0,
    on_note: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Hold the lock of a file, which is made if need be, for as long as the block runs.

    A file system without locks (Lustre mounted without `flock`, NFS without its lock daemon, some FUSE) lets the block
    run all the same, after a note: files appear by a rename, so two processes waste work but damage nothing.

    Args:
        path: the lock's own file, in a folder that exists.
        busy: raised if another process still holds the lock at the end; a text becomes a CssBenchError.
        timeout: seconds to wait for another process; negative waits for ever.
        on_note: called with one line if there are no locks.

    Raises:
        CssBenchError: `busy`.
        OSError: the file cannot be made.
    """
    lock = FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(timeout=timeout)
    except Timeout:
        error = busy if isinstance(busy, CssBenchError) else CssBenchError(busy or f"another process holds {path}")
        raise error from None
    except OSError as refused:
        if refused.errno not in _WITHOUT_LOCKS:
            raise
        if on_note:
            on_note(f"the file system of {path.parent} has no locks: make sure that no other process writes there now")
        yield
        return
    try:
        yield
    finally:
        lock.release()
