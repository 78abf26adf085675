"""The undisturbed runs that every disturbed one is compared with, and a table of what was injected."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.campaign import TALLIES
from tests.faults.commands import Server

RENDER = ("css-gen", "render", "--n", "60", "--size", "32", "--seed", "3")
TRAIN = (
    "tirg-bench", "run", "--composer", "tirg", "--composer", "concat", "--dataset", "css", "--threads", "1", "--no-fresh",
    "--checkpoint-seconds", "0", "--validate-every", "3",
    *(
        f"--set={assignment}"
        for assignment in (
            "data.image_size=16", "model.text_width=8", "model.state_width=8", "model.embedding_width=8",
            "model.dropout=0.1", "training.steps=6", "training.sources=2", "training.modifications=2",
        )
    ),
)  # fmt: skip

if sys.platform != "linux":
    collect_ignore_glob = ["test_*"]


def times(short: int, *, share: float = 1) -> int:
    """How often to inject a random fault: `short` times, or that share of FAULTS, which `make test-faults` sets."""
    return round(int(os.environ["FAULTS"]) * share) if "FAULTS" in os.environ else short


@dataclass(frozen=True)
class Undisturbed:
    """A folder of a run that nothing disturbed, its seconds and its file events."""

    root: Path
    seconds: float
    events: int


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("output"))
    yield server
    server.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for tally in TALLIES:
        ways = ", ".join(f"{way} {count}" for way, count in sorted(tally.kills.items()))
        terminalreporter.write_line(
            f"{tally.name}: {sum(tally.kills.values())} kills ({ways}), {tally.finished} runs finished and compared, "
            f"{tally.differing} differ"
        )
