"""Under which conditions the rows of a board were made, and which rows differ from the others.

A board is a function of its records alone, so a row is compared with the board's other rows, not with the code or the
machine of whoever writes the table.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from benchmark.records.equal_versions import representative
from benchmark.records.store import RunRecord

MOST_OTHER_CORES = 0.25
"""A run counts as undisturbed if other processes keep at most this many cores busy."""

T = TypeVar("T", str, "Machine")


class Machine(NamedTuple):
    """The conditions that times depend on."""

    device: str
    threads: int
    is_compiled: bool
    jobs: int = 1
    devices: int = 1

    def __str__(self) -> str:
        device = f"{self.devices} x {self.device}" if self.devices > 1 else self.device
        threads = f"{self.threads} thread{'' if self.threads == 1 else 's'}"
        at_a_time = f", {self.jobs} runs at a time" if self.jobs > 1 else ""
        return f"{device}, {threads}{', compiled' if self.is_compiled else ''}{at_a_time}"


class Origin(NamedTuple):
    """Code, torch and machine of most runs of a board. Versions of the code that give equal results are one."""

    code: str
    torch: str
    machine: Machine


class Notes(NamedTuple):
    """How a row differs from its board, and whether its times compare with those of the others."""

    texts: tuple[str, ...]
    is_timed_alike: bool


def origin_of(records: Sequence[RunRecord]) -> Origin:
    """The most frequent conditions of the records; of equally frequent ones, the first in the order of the alphabet."""
    return Origin(
        code=_most_common(map(_code_of, records)),
        torch=_most_common(record.environment.torch for record in records),
        machine=_most_common(map(machine_of, records)),
    )


def notes_on(records: Sequence[RunRecord], origin: Origin) -> Notes:
    """How the row of these records differs from its board, in the order of importance."""
    texts = differences(records, origin)
    cores = max((_other_cores(record) for record in records), default=0.0)
    if cores > MOST_OTHER_CORES:
        texts.append(f"other processes used {cores:.1f} cores")
    is_alike = cores <= MOST_OTHER_CORES and all(machine_of(record) == origin.machine for record in records)
    return Notes(tuple(dict.fromkeys(texts)), is_alike)


def differences(records: Sequence[RunRecord], origin: Origin) -> list[str]:
    """What may change the results of these records, compared with most runs of their board."""
    return [
        *(f"local file {record.composer_sha256[:8]}" for record in records if record.is_local),
        *(f"other code {record.environment.code_version[:8]}" for record in records if _code_of(record) != origin.code),
        *("uncommitted changes of the code" for record in records if record.environment.dirty),
        *_several("versions of the composer", (record.composer_sha256 for record in records)),
        *(f"torch {record.environment.torch}" for record in records if record.environment.torch != origin.torch),
        *(str(machine) for machine in map(machine_of, records) if machine != origin.machine),
    ]


def _code_of(record: RunRecord) -> str:
    return representative(record.environment.code_version)


def machine_of(record: RunRecord) -> Machine:
    environment = record.environment
    runtime = environment.runtime
    return Machine(environment.device, runtime.threads, runtime.compile, runtime.jobs, runtime.devices)


def _other_cores(record: RunRecord) -> float:
    """Cores that other processes kept busy, without the runs of the same grid that were made beside this one: those are
    part of `machine_of`."""
    runtime = record.environment.runtime
    beside = (runtime.jobs - 1) * runtime.threads
    return max(0.0, (record.environment.other_cores or 0.0) - beside)


def _several(what: str, values: Iterable[str]) -> list[str]:
    count = len(set(values))
    return [f"{count} {what}"] if count > 1 else []


def _most_common(values: Iterable[T]) -> T:
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value))
