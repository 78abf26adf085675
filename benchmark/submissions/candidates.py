"""Find the composer that was named on the command line: in a file, or as an installed package's entry point.

No code of the submission runs here: the file of an entry point's module is located, not imported.
"""

import json
import os
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from urllib.parse import unquote, urlparse

from benchmark.errors import UsageError
from benchmark.submissions.messages import Candidate
from models.parts import unknown

GROUP = "tirg_bench.composers"
_LARGEST = 1_000_000


def find(named: str) -> Candidate:
    """Find FILE, FILE:CLASS, or the entry point of that name in `GROUP`.

    Raises:
        UsageError: neither such a file nor such an entry point exists, or the file is not Python source.
    """
    path, _, class_name = named.partition(":")
    if path.endswith(".py") or os.sep in path:
        return _of_file(named, Path(path), class_name)
    points = {point.name: point for point in entry_points(group=GROUP)}
    if named not in points:
        if not points:
            raise UsageError(
                f"{named}: expected a Python file such as my_composer.py, or the name of an installed composer "
                f"(entry points {GROUP}; there are none)"
            )
        raise UsageError(f"{unknown('installed composer', named, points)}; a file ends in .py")
    point = points[named]
    return _of_file(named, _file_of(point), point.attr)


def _of_file(named: str, path: Path, class_name: str) -> Candidate:
    try:
        if not path.is_file():
            raise UsageError(f"{path}: there is no such file; `tirg-bench new {path.name}` writes a template")
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{path}: is larger than {_LARGEST:,} bytes; expected one file with a composer's source")
        path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as text ({error})") from None
    if path.suffix != ".py":
        raise UsageError(f"{named}: expected a Python file, its name ends in .py")
    return Candidate(shown=path.name, file=str(path.resolve()), class_name=class_name)


def _file_of(point: EntryPoint) -> Path:
    """Locate the module of an entry point, also in a project that is installed as editable.

    Raises:
        UsageError: it is not among the installed packages.
    """
    parts = Path(*point.module.split("."))
    project = _editable_place(point)
    folders = [project, project / "src"] if project else []
    for folder in (*folders, *map(Path, sys.path)):
        for file in (folder / parts.with_suffix(".py"), folder / parts / "__init__.py"):
            if file.is_file():
                return file
    raise UsageError(f"{point.name}: its module {point.module} cannot be found; reinstall its package")


def _editable_place(point: EntryPoint) -> Path | None:
    text = point.dist.read_text("direct_url.json") if point.dist else None
    if not text:
        return None
    url = urlparse(str(json.loads(text).get("url", "")))
    return Path(unquote(url.path)) if url.scheme == "file" else None
