"""The folder that a submission's process may write into: made anew for each process, and removed whatever is in it."""

import contextlib
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp


def fresh(folder: Path, *, keep: str = "") -> Path:
    """The folder, with nothing in it but that one file if an earlier process left it as a regular file."""
    kept = folder.with_name(f".{folder.name}.kept")
    remove(kept)
    with contextlib.suppress(OSError):
        # Asked of the file itself: behind a link could be anything.
        if keep and stat.S_ISREG((folder / keep).lstat().st_mode) and not folder.is_symlink():
            (folder / keep).replace(kept)
    remove(folder)
    folder.mkdir(parents=True)
    with contextlib.suppress(FileNotFoundError):
        kept.replace(folder / keep)
    return folder


def remove(folder: Path) -> None:
    """Remove a folder or a file, following no link, however deep: `rm` goes where Python's recursion does not."""
    subprocess.run(["rm", "-rf", "--", str(folder)], check=False, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def temporary(purpose: str) -> Iterator[Path]:
    """A folder of our own that is gone in the end."""
    folder = Path(mkdtemp(prefix=f"tirg-bench-{purpose}-"))
    try:
        yield folder
    finally:
        remove(folder)
