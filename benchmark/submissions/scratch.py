"""The folder that a submission's process may write into: a new one for each process, removed whatever is in it."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp


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
