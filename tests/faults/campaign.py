"""Kill a command at seeded random moments, run it again, and compare what it leaves with an undisturbed run."""

import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.faults.commands import Fault, Process

Start = Callable[[Path, Fault], Process]
"""Starts a command that works in a folder, with a fault."""


@dataclass
class Tally:
    """Attributes:
    kills: processes that were killed, by the way in which the moment was chosen.
    finished: runs that were resumed to their end, and compared.
    """

    name: str
    kills: Counter[str] = field(default_factory=Counter)
    finished: int = 0
    differing: int = 0


TALLIES: list[Tally] = []
"""Of this session; `conftest` prints them."""


@dataclass(frozen=True)
class Moments:
    """What the moments of kills are drawn from.

    Attributes:
        events: how many file events an undisturbed run has.
        seconds: how long it takes.
        largest: bytes of its largest file; 0 if no kill is to come in the middle of a write.
        calls: full names of functions, and how often an undisturbed run calls them.
    """

    events: int
    seconds: float
    largest: int
    calls: Sequence[tuple[str, int]] = ()

    def draw(self, rng: np.random.Generator) -> tuple[str, Fault, float | None]:
        """Return a way to choose a moment, the fault, and the seconds after which to kill from outside."""
        ways = ["file event", "delay"] + ["middle of a write"] * bool(self.largest) + ["call"] * bool(self.calls)
        way = ways[rng.integers(len(ways))]
        if way == "file event":
            return way, {"signal": int(signal.SIGKILL), "event": int(rng.integers(1, self.events + 1))}, None
        if way == "middle of a write":
            return way, {"largest": int(rng.integers(0, self.largest))}, None
        if way == "call":
            name, calls = self.calls[rng.integers(len(self.calls))]
            return way, {"signal": int(signal.SIGKILL), "name": name, "call": int(rng.integers(1, calls + 1))}, None
        return way, {}, float(rng.uniform(0, self.seconds))


def kill_until(
    kills: int,
    *,
    name: str,
    start: Start,
    moments: Moments,
    folder: Path,
    compare: Callable[[Path], str],
    seed: int,
    strike: Callable[[Process], object] = Process.kill,
    prepare: Callable[[Path], object] = lambda _: None,
) -> Tally:
    """Kill a command until so many kills are done. Each killed run is resumed, perhaps killed again, and compared.

    Args:
        start: the same command each time.
        compare: says in what a finished folder differs from the undisturbed one; "" if in nothing.
        strike: kills from outside: the command's process, or one that belongs to it, such as a worker, or a Ray node.
        prepare: makes the folder of a new run.
    """
    rng, tally, number = np.random.default_rng(seed), Tally(name), 0
    TALLIES.append(tally)
    while sum(tally.kills.values()) < kills:
        number += 1
        place = folder / f"{number}"
        place.mkdir(parents=True)
        prepare(place)
        # Half of the runs are killed once, a quarter twice, and so on.
        for _ in range(int(rng.geometric(0.5))):
            way, fault, seconds = moments.draw(rng)
            process = start(place, fault | {"below": str(place)})
            code = process.wait(seconds)
            if code is None:
                strike(process)
                code = process.wait()
            if code in (-signal.SIGKILL, -signal.SIGXFSZ) or (code == 1 and "process was killed" in process.output):
                tally.kills[way] += 1
            else:
                assert code == 0, process.output
        finish = start(place, {})
        assert finish.wait() == 0, finish.output
        tally.finished += 1
        if difference := compare(place):
            tally.differing += 1
            raise AssertionError(f"{name}: run {number} of seed {seed} in {place}: {difference}")
    return tally
