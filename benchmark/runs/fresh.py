"""Fresh test sets: test splits that nobody has seen, rendered when a model is scored, from a new seed."""

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from benchmark import tasks
from benchmark.datasets.splits import Split
from benchmark.errors import BenchmarkError
from benchmark.scoring.fresh import FreshScore, fresh_score
from benchmark.scoring.recall import Outcomes
from css_gen.errors import DatasetError
from css_gen.fresh import render_fresh_test
from css_gen.pool import available_cores
from css_gen.progress import Reporter
from css_gen.storage.configuration import Configuration

_SEED_BYTES = 6
"""JSON readers that take numbers for doubles read a seed of up to 53 bits exactly."""


class Rendered(Protocol):
    """What has to be known of a dataset: the name of its task, its fingerprint, and the configuration that css-gen
    renders it from, None for data that cannot be rendered."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def rendering(self) -> dict[str, Any] | None: ...


class FreshTestSet(NamedTuple):
    """A fresh test split of a dataset, the seed that it was rendered from, and its fingerprint."""

    seed: int
    fingerprint: str
    split: Split

    def score(self, outcomes: Outcomes) -> FreshScore:
        """Return the score of the outcomes of a model on this split."""
        return fresh_score(outcomes, seed=self.seed, fingerprint=self.fingerprint)


class FreshTestSets:
    """A fresh test set of every rendered dataset, drawn when it is first asked for.

    Tasks on one dataset share a rendering. Renderings are in a temporary folder, which is removed with this object, on
    leaving a `with` block, or when the process ends without being killed. A copy that is sent to another process reads
    them, and does not remove them.

    Args:
        place: the folder of the temporary folder, where other machines have to see it; None for the system's.
        seed: of the renderings. Without one, the operating system draws a seed for each of them.
    """

    def __init__(self, place: Path | None = None, *, seed: int | None = None) -> None:
        self._place, self._seed = place, seed
        self._folders: dict[str, Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for folder in self._folders.values():
            _remove(folder)
        self._folders.clear()

    def of(self, dataset: Rendered, *, image_size: int, reporter: Reporter) -> FreshTestSet | None:
        """Return the fresh test set of a dataset for its task, with images of that size; None if it is not rendered.

        Raises:
            BenchmarkError: it cannot be rendered.
        """
        task = tasks.find(dataset.name)
        root = self.render(dataset, reporter)
        if task is None or root is None:
            return None
        key = task.name, root, image_size
        if key not in _opened:
            opened = task.open(root, image_size=image_size, reporter=reporter, skip_broken=False)
            seed = int((opened.rendering or {})["seed"])
            _opened[key] = FreshTestSet(seed, opened.fingerprint, opened.test)
        return _opened[key]

    def render(self, dataset: Rendered, reporter: Reporter) -> Path | None:
        """Render a fresh test set of a dataset, unless there is one; return its folder, or None as `of` does.

        Raises:
            BenchmarkError: it cannot be rendered.
        """
        if tasks.find(dataset.name) is None or dataset.rendering is None:
            return None
        if dataset.fingerprint not in self._folders:
            folder = _render(Configuration.from_json(dataset.rendering), reporter, self._place, self._seed)
            self._folders[dataset.fingerprint] = folder
            weakref.finalize(self, _remove, folder)
        return self._folders[dataset.fingerprint]


_opened: dict[tuple[str, Path, int], FreshTestSet] = {}
"""That this process has opened, by task, folder and image size: a folder is never written twice."""


def _render(configuration: Configuration, reporter: Reporter, place: Path | None, seed: int | None) -> Path:
    """Render a fresh test split into a new folder, and return the folder."""
    folder = Path(tempfile.mkdtemp(prefix="tirg-bench-fresh-", dir=place))
    if seed is None:
        seed = int.from_bytes(os.urandom(_SEED_BYTES))
    try:
        render_fresh_test(folder, configuration, seed=seed, jobs=available_cores(), reporter=reporter)
    except BaseException as error:
        _remove(folder)
        if isinstance(error, ValueError):
            raise BenchmarkError(str(error)) from None
        if not isinstance(error, DatasetError | OSError):
            raise
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise BenchmarkError(
            f"{folder}: a fresh test set cannot be rendered here ({why}); set TMPDIR to a folder with room"
        ) from None
    return folder


def _remove(folder: Path) -> None:
    """Remove a rendering, and what this process has opened of it."""
    for key in [key for key in _opened if key[1] == folder]:
        del _opened[key]
    shutil.rmtree(folder, ignore_errors=True)
