"""What nothing disturbed: a small rendering and a small run, and in what another differs from them."""

import csv
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from benchmark.records.store import read_stored
from tests.faults.commands import Server

Contents = Callable[[Path], dict[str, bytes]]

RENDER = ("css-gen", "render", "--n", "60", "--size", "32", "--seed", "3")
TRAIN = (
    "tirg-bench", "run", "--composer", "tirg", "--composer", "concat", "--dataset", "css", "--threads", "1",
    "--no-fresh", "--checkpoint-seconds", "0", "--validate-every", "3",
    *(
        f"--set={assignment}"
        for assignment in (
            "data.image_size=16", "model.text_width=8", "model.state_width=8", "model.embedding_width=8",
            "model.dropout=0.1", "training.steps=6", "training.sources=2", "training.modifications=2",
        )
    ),
)  # fmt: skip


def rendering(root: Path, jobs: int = 1) -> tuple[object, ...]:
    return (*RENDER, "--jobs", jobs, "--out", root)


def training(place: Path, out: str = "") -> tuple[object, ...]:
    """A run of two composers on `place/css`, whose boards and runs are in `place/out`."""
    return (*TRAIN, "--data", f"css={place / 'css'}", "--out", place / out / "boards", "--runs", place / out / "runs")


@dataclass(frozen=True)
class Measured:
    """A finished folder, the seconds that it took, its file events and the bytes of its largest file."""

    root: Path
    seconds: float
    events: int

    @property
    def largest(self) -> int:
        return max(path.stat().st_size for path in self.root.rglob("*") if path.is_file())


@dataclass(frozen=True)
class Undisturbed:
    """Attributes:
    data: a rendering.
    run: a run on it, in a folder with its copy.
    """

    server: Server
    data: Measured
    run: Measured
    contents: Contents

    def place(self, folder: Path) -> Path:
        """Make a folder with a copy of the data, to run in."""
        shutil.copytree(self.data.root, folder / "css")
        return folder

    def in_data(self, root: Path) -> str:
        """Say in what a rendering differs, "" if in nothing: rows, or the bytes of any file but the lock."""
        for path in sorted(root.glob("*/*.parquet")):
            expected = self.data.root / path.relative_to(root)
            if not expected.exists() or (found := _ids(path)) != _ids(expected) or len(set(found)) < len(found):
                return f"rows of {path} are lost or doubled"
        return _difference(self._files(root), self._files(self.data.root))

    def in_run(self, place: Path) -> str:
        """Say in what a run differs, "" if in nothing: records and tables, but for times; models; the data itself."""
        found, expected = _boards(place / "boards"), _boards(self.run.root / "boards")
        if different := [what for what in found if found[what] != expected[what]]:
            return f"{', '.join(different)} differ"
        return _difference(self._files(place / "css"), self._files(self.run.root / "css")) or _difference(
            self._files(place / "runs"), self._files(self.run.root / "runs")
        )

    def _files(self, root: Path) -> dict[str, bytes]:
        """All but hidden files and TensorBoard's, whose names hold times."""
        return {
            name: content
            for name, content in self.contents(root).items()
            if not name.rpartition("/")[2].startswith((".", "events."))
        }


def make_undisturbed(server: Server, folder: Path, contents: Contents) -> Undisturbed:
    assert server.run("css-gen", "--version")[0] == 0  # everything is imported from now on
    data = _measured(server, folder / "rendered", rendering(folder / "rendered"))
    shutil.copytree(data.root, folder / "trained/css")
    run = _measured(server, folder / "trained", training(folder / "trained"))
    return Undisturbed(server, data, run, contents)


def _measured(server: Server, root: Path, words: tuple[object, ...]) -> Measured:
    counted, started = root.with_suffix(".events"), time.perf_counter()
    code, output = server.run(*words, fault={"count": str(counted), "below": str(root)})
    assert code == 0, output
    return Measured(root, time.perf_counter() - started, int(counted.read_text()))


def _ids(path: Path) -> list[int]:
    column = "query_id" if path.stem == "queries" else "image_id"
    ids: list[int] = pq.read_table(path, columns=[column])[column].to_pylist()
    return ids


def _boards(boards: Path) -> dict[str, object]:
    """What a folder of boards says, but for times and the load of the machine."""
    stored = {
        path.relative_to(boards).as_posix(): read_stored(path) for path in sorted(boards.glob("records/*/*/*.json"))
    }
    rows = csv.DictReader((boards / "css.csv").read_text().splitlines())
    columns = ("composer", "slice", "queries", "seeds", "recall_1", "map_50")
    return {
        "records": {name: each.record.reproducible() for name, each in stored.items()},
        "ranks": {path.name: path.read_bytes() for path in boards.rglob("*.parquet")},
        "rows of tables": [[row[name] for name in columns] for row in rows],
        "datasets": (boards / "datasets.json").read_bytes(),
        "pages": sorted(path.name for path in boards.glob("*.md")),
    }


def _difference(found: dict[str, bytes], expected: dict[str, bytes]) -> str:
    names = sorted(found.keys() ^ expected.keys()) or [name for name in found if found[name] != expected[name]]
    return f"{', '.join(names)} differ" if names else ""
