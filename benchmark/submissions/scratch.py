"""The folder that a submission's process may write into: a new one for each process, removed whatever is in it."""

import contextlib
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp


def fresh(folder: Path, *, keep: str = "") -> Path:
    """Empty the folder, except for that one file if an earlier process left it as a regular file."""
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
    """Remove a folder or a file without following links. `rm` also removes folders too deep for Python's recursion."""
    subprocess.run(["rm", "-rf", "--", str(folder)], check=False, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def temporary(purpose: str) -> Iterator[Path]:
    """Make a temporary folder, removed at the end."""
    folder = Path(mkdtemp(prefix=f"tirg-bench-{purpose}-"))
    try:
        yield folder
    finally:
        remove(folder)
