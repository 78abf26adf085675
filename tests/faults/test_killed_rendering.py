"""A rendering that is killed at any moment, again and again, ends with the same bytes and the same rows."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.faults.campaign import Moments, kill_until
from tests.faults.commands import Process, Server, Started, children
from tests.faults.conftest import RENDER, Undisturbed, times

Contents = Callable[[Path], dict[str, bytes]]


@pytest.fixture(scope="module")
def undisturbed(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    root = tmp_path_factory.mktemp("undisturbed")
    counted = root.parent / "events"
    assert server.run("css-gen", "--version")[0] == 0  # once all is imported
    started = time.perf_counter()
    code, output = server.run(
        *RENDER, "--jobs", 1, "--out", root / "css", fault={"count": str(counted), "below": str(root)}
    )
    assert code == 0, output
    return Undisturbed(root / "css", time.perf_counter() - started, int(counted.read_text()))


def rows(root: Path) -> dict[str, list[int]]:
    """The image ids and query ids of each split, in their order."""
    found: dict[str, list[int]] = {}
    for path in sorted(root.glob("*/*.parquet")):
        is_queries = path.stem == "queries"
        column = pq.read_table(path, columns=["query_id" if is_queries else "image_id"]).column(0).to_pylist()
        found.setdefault(f"{path.parent.name}/{'queries' if is_queries else 'images'}", []).extend(column)
    return found


def difference(place: Path, undisturbed: Undisturbed, contents: Contents) -> str:
    for name, ids in rows(place / "css").items():
        if ids != list(range(len(ids))):
            return f"rows of {name} are lost or doubled: {ids}"
    found, expected = contents(place / "css"), contents(undisturbed.root)
    if found.keys() != expected.keys():
        return f"files {sorted(found.keys() ^ expected.keys())}"
    return ", ".join(name for name in found if found[name] != expected[name])


def test_killed_at_random_moments(server: Server, undisturbed: Undisturbed, contents: Contents, tmp_path: Path) -> None:
    largest = max(path.stat().st_size for path in undisturbed.root.rglob("*.parquet"))
    kill_until(
        times(4),
        name="rendering, kill -9 of the process",
        start=lambda place, fault: server.start(*RENDER, "--jobs", 1, "--out", place / "css", fault=fault),
        moments=Moments(undisturbed.events, undisturbed.seconds, largest),
        folder=tmp_path,
        compare=lambda place: difference(place, undisturbed, contents),
        seed=19,
    )


def test_force_over_a_rendering_that_was_killed(
    server: Server, undisturbed: Undisturbed, contents: Contents, tmp_path: Path
) -> None:
    """`--force` starts over in a folder whose rendering was killed, and is killed, too, at each of its first events."""
    command = (*RENDER, "--jobs", 1, "--out", tmp_path / "css")
    below = {"signal": 9, "below": str(tmp_path)}
    for event in range(1, 61, max(1, 60 // times(4, share=0.3))):
        assert server.run(*command, fault=below | {"event": 40})[0] == -9
        assert server.run(*command, "--force", fault=below | {"event": event})[0] == -9
        code, output = server.run(*command, "--force")
        assert code == 0, output
        assert contents(tmp_path / "css") == contents(undisturbed.root)
        (tmp_path / "css" / "manifest.json").unlink()
        (tmp_path / "css").rename(tmp_path / f"finished {event}")




def strike_worker(process: Process) -> None:
    """Kill the first worker; the command itself, where there is none yet."""
    found = children(process.pid)
    os.kill(found[0] if found else process.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("strike", [Process.kill, strike_worker])
def test_killed_with_workers_at_random_moments(
    strike: Callable[[Process], object], undisturbed: Undisturbed, contents: Contents, tmp_path: Path
) -> None:
    """Either the command, so that its workers end with it, or one of them."""
    of = "parent" if strike is Process.kill else "worker"
    started = time.perf_counter()
    whole = Started(*RENDER, "--jobs", 2, "--out", tmp_path / "css", folder=tmp_path)
    assert whole.wait() == 0, whole.output
    kill_until(
        times(1, share=0.1),
        name=f"rendering with two workers, kill -9 of a {of}",
        start=lambda place, fault: Started(
            *RENDER, "--jobs", 2, "--out", place / "css", fault=fault | {"of": of}, folder=tmp_path
        ),
        moments=Moments(undisturbed.events // 2, time.perf_counter() - started, largest=0),
        folder=tmp_path / "runs",
        compare=lambda place: difference(place, undisturbed, contents),
        seed=20,
        strike=strike,
    )
