"""The version of the code that a run was made with: hashes of the sources that its result depends on.

Every run of a task depends on the shared sources: encoders and network, datasets, training, scoring, the course of a
run (`single_run`: which part is trained on, which is scored), css_gen's scenes (which define relevance) and its reader
of rendered data, the recipe's keys and hash, and the file of the task itself. The composer's own file has a hash of
its own. Other tasks, other composers and their variants (`models/ablations`), presets (their recipes are hashed),
records, tables and commands do not count. A run on a track depends on css_gen's plan of tracks and on that track's own
files, too; no other run does.
"""

import ast
import hashlib
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import css_gen
import models
from benchmark import tasks as datasets
from css_gen import tracks
from models.base import Composer

LOCAL_MODULE = "local_composer_"
"""Prefix of the modules of composers from files named on the command line."""

_BENCHMARK = Path(__file__).parents[1]
_FOLDERS = ("datasets", "training", "scoring")
_FILES = ("device.py", "recipe/hashing.py", "recipe/parts.py", "recipe/schema.py", "runs/single_run.py")
_GENERATOR_FILES = ("dataset.py", "storage/random_access.py", "storage/reader.py")
_TASKS, _TRACKS = "benchmark.tasks", "css_gen.tracks"


@cache
def code_version(task: str) -> str:
    """SHA-256 over the shared sources of a task's runs: each file's name and content, in the order of the names."""
    digest = hashlib.sha256()
    for file in sorted(shared_sources(task), key=lambda file: file.relative_to(file.parents[1]).as_posix()):
        digest.update(f"{file.parent.name}/{file.name}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def shared_sources(task: str) -> set[Path]:
    """The files that results of a task depend on, whatever the composer."""
    root = _BENCHMARK
    files = [root / name for name in _FILES]
    files += [file for folder in _FOLDERS for file in (root / folder).rglob("*.py")]
    files += [_folder(css_gen) / name for name in _GENERATOR_FILES]
    files += (_folder(css_gen) / "scenes").rglob("*.py")
    composers = [_folder(models) / name for name in ("composers", "ablations")]
    files += [file for file in _folder(models).rglob("*.py") if not any(map(file.is_relative_to, composers))]
    files += _task_files(task)
    files += _track_files(datasets.get(task).track)
    return set(files)


@cache
def composer_sha256(composer: type[Composer]) -> str:
    """SHA-256 of the file that defines a composer, as it was at the first call in this process.

    For a composer that extends another one, as a variant in `models/ablations` does: over the hashes of both files.
    """
    classes = [kind for kind in inspect.getmro(composer) if issubclass(kind, Composer) and kind is not Composer]
    files = dict.fromkeys(inspect.getfile(kind) for kind in classes)
    hashes = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def is_local(composer: type[Composer]) -> bool:
    """Whether a composer comes from a file that was named on the command line."""
    return composer.__module__.startswith(LOCAL_MODULE)


def _task_files(task: str) -> set[Path]:
    """The file that opens a task's data, and what it imports of the tasks' package."""
    opener = datasets.get(task).open
    file = inspect.getfile(opener if inspect.isroutine(opener) or inspect.isclass(opener) else type(opener))
    return _with_imports(Path(file), _TASKS, _BENCHMARK / "tasks")


def _track_files(track: str) -> set[Path]:
    """The files that draw a track's queries and define its relevance; none for the name of no track."""
    if not track:
        return set()
    folder = _folder(tracks)
    own = _with_imports(Path(inspect.getfile(tracks.get(track).draw)), _TRACKS, folder)
    return own | {folder / name for name in ("__init__.py", "base.py", "plan.py", "registry.py")}


def _with_imports(file: Path, package: str, folder: Path) -> set[Path]:
    """A file, and all that it imports of a package, directly or not."""
    waiting, seen = [file], set[Path]()
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += _imported(file, package, folder)
    return seen


def _imported(file: Path, package: str, folder: Path) -> Iterator[Path]:
    """Files of a package, but its own `__init__`, that a file imports."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if (
                name.startswith(f"{package}.")
                and (found := folder / f"{name.removeprefix(f'{package}.')}.py").is_file()
            ):
                yield found


def _folder(package: ModuleType) -> Path:
    assert package.__file__
    return Path(package.__file__).parent
