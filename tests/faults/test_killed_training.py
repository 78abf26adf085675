"""Training, evaluation and the writing of tables, killed at any moment again and again, end with the same records."""

import csv
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.records.store import read_stored
from tests.faults.campaign import Moments, kill_until
from tests.faults.commands import Process, Server, Started
from tests.faults.conftest import RENDER, TRAIN, Undisturbed, times
from tests.faults.test_killed_rendering import strike_worker


CALLS = (
    ("torch.optim.AdamW.step", 12),
    ("benchmark.runs.single_run.evaluate", 6),
    ("benchmark.scoring.evaluation.rank_targets", 12),
    ("benchmark.leaderboard.files.load_records", 3),
    ("benchmark.leaderboard.files.write_atomically", 15),
)
"""Functions of training, evaluation and the writing of tables, and about how often each is called in a run."""


@pytest.fixture(scope="module")
def css(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "css"
    code, output = server.run(*RENDER, "--jobs", 1, "--out", root)
    assert code == 0, output
    return root


def command(place: Path) -> tuple[object, ...]:
    return (*TRAIN, "--data", f"css={place / 'css'}", "--out", place / "boards", "--runs", place / "runs")


@pytest.fixture(scope="module")
def undisturbed(server: Server, css: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    root = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(css, root / "css")
    counted = root.parent / "events"
    started = time.perf_counter()
    code, output = server.run(*command(root), fault={"count": str(counted), "below": str(root)})
    assert code == 0, output
    return Undisturbed(root, time.perf_counter() - started, int(counted.read_text()))


def difference(place: Path, undisturbed: Path, contents: Callable[[Path], dict[str, bytes]]) -> str:
    """Say in what records, ranks, models, tables or data differ, times apart; "" if in nothing."""
    found, expected = (read(root / "boards") for root in (place, undisturbed))
    for what in found:
        if found[what] != expected[what]:
            return f"{what} differ"
    for folder in ("css", "runs"):
        mine, its = (
            {
                name: content
                for name, content in contents(root / folder).items()
                if not name.rpartition("/")[2].startswith((".", "events."))
            }
            for root in (place, undisturbed)
        )
        if mine != its:
            return f"{folder}: {sorted(mine.keys() ^ its.keys()) or [name for name in mine if mine[name] != its[name]]}"
    return ""


def read(boards: Path) -> dict[str, object]:
    """Everything below a folder of boards that does not hold times."""
    stored = {path.relative_to(boards).as_posix(): read_stored(path) for path in sorted(boards.glob("records/*/*/*.json"))}
    rows = list(csv.DictReader((boards / "css.csv").read_text().splitlines()))
    return {
        "records": {name: each.record.reproducible() for name, each in stored.items()},
        "ranks": {path.name: path.read_bytes() for path in boards.rglob("*.parquet")},
        "rows": [[row[name] for name in ("composer", "slice", "queries", "seeds", "recall_1", "map_50")] for row in rows],
        "datasets": (boards / "datasets.json").read_bytes(),
        "pages": sorted(path.name for path in boards.glob("*.md")),
    }


def test_killed_at_random_moments(
    server: Server, css: Path, undisturbed: Undisturbed, contents: Callable[[Path], dict[str, bytes]], tmp_path: Path
) -> None:
    largest = max(path.stat().st_size for path in undisturbed.root.rglob("*") if path.is_file())
    kill_until(
        times(2),
        name="training, evaluation and tables, kill -9 of the process",
        start=lambda place, fault: server.start(*command(place), fault=fault),
        moments=Moments(undisturbed.events, undisturbed.seconds, largest, CALLS),
        folder=tmp_path,
        compare=lambda place: difference(place, undisturbed.root, contents),
        seed=19,
        prepare=lambda place: shutil.copytree(css, place / "css"),
    )


@pytest.mark.slow
@pytest.mark.parametrize("strike", [Process.kill, strike_worker])
def test_killed_side_by_side_at_random_moments(
    strike: Callable[[Process], object],
    css: Path,
    undisturbed: Undisturbed,
    contents: Callable[[Path], dict[str, bytes]],
    tmp_path: Path,
) -> None:
    of = "parent" if strike is Process.kill else "worker"
    shutil.copytree(css, tmp_path / "css")
    started = time.perf_counter()
    whole = Started(*command(tmp_path), "--jobs", 2, folder=tmp_path)
    assert whole.wait() == 0, whole.output
    assert not difference(tmp_path, undisturbed.root, contents)
    kill_until(
        times(1, share=0.1),
        name=f"training with two workers, kill -9 of a {of}",
        start=lambda place, fault: Started(*command(place), "--jobs", 2, fault=fault | {"of": of}, folder=tmp_path),
        moments=Moments(undisturbed.events // 2, time.perf_counter() - started, largest=0),
        folder=tmp_path / "runs of kills",
        compare=lambda place: difference(place, undisturbed.root, contents),
        seed=20,
        strike=strike,
        prepare=lambda place: shutil.copytree(css, place / "css"),
    )


def test_killed_while_tables_are_written(
    server: Server, undisturbed: Undisturbed, contents: Callable[[Path], dict[str, bytes]], tmp_path: Path
) -> None:
    """Tables are a function of the records, so they are compared to the byte."""

    def start(place: Path, fault: dict[str, object]) -> Process:
        return server.start("tirg-bench", "leaderboard", "--out", place, fault=fault)

    def visible(place: Path) -> dict[str, bytes]:
        return {name: content for name, content in contents(place).items() if not Path(name).name.startswith(".")}

    expected = visible(undisturbed.root / "boards")
    kill_until(
        times(2, share=0.3),
        name="tables, kill -9 of the process",
        start=start,
        moments=Moments(events=20, seconds=0.5, largest=max(map(len, expected.values())), calls=CALLS[-2:]),
        folder=tmp_path,
        compare=lambda place: "" if visible(place) == expected else "tables differ",
        seed=21,
        prepare=lambda place: shutil.copytree(undisturbed.root / "boards/records", place / "records")
        and shutil.copy(undisturbed.root / "boards/datasets.json", place),
    )
