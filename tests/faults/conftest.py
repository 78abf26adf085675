"""The undisturbed runs that every disturbed one is compared with, and a line for every campaign of kills."""

import os
import sys
from collections.abc import Iterator

import pytest

from tests.faults.campaign import TALLIES
from tests.faults.commands import Server
from tests.faults.undisturbed import Contents, Undisturbed, make_undisturbed

if sys.platform != "linux":
    collect_ignore_glob = ["test_*"]


def times(short: int, *, share: float = 1) -> int:
    """How often to inject a random fault: `short` times, or that share of FAULTS, which `make test-faults` sets."""
    return round(int(os.environ["FAULTS"]) * share) if "FAULTS" in os.environ else short


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, contents: Contents) -> Iterator[Undisturbed]:
    folder = tmp_path_factory.mktemp("undisturbed")
    server = Server(tmp_path_factory.mktemp("output"))
    yield make_undisturbed(server, folder, contents)
    server.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for tally in TALLIES:
        ways = ", ".join(f"{way} {count}" for way, count in sorted(tally.kills.items()))
        terminalreporter.write_line(
            f"{tally.name}: {sum(tally.kills.values())} kills ({ways}), {tally.finished} runs finished and compared, "
            f"{tally.differing} differ"
        )
